//! A stream of values of every kind, whose two ends know from its seed what comes when: also when either of them pauses,
//! until the other says that it goes on.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use unix_ipc::{Receiver, RecvError, SendError, Sender, channel};

use crate::values::{Value, random};

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) seed: u64,
    pub(crate) count: u64,
}

/// The sending end, with what it hears and says of pauses.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) values: Sender<Value>,
    all_is_read: Receiver<u64>,
    all_is_full: Sender<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sink {
    pub(crate) values: Receiver<Value>,
    all_is_read: Sender<u64>,
    all_is_full: Receiver<u64>,
    /// The sender is not held up before this number.
    dams_from: Cell<u64>,
}

pub(crate) fn ends() -> (Source, Sink) {
    let (sender, values) = channel().unwrap();
    let (read, all_is_read) = channel().unwrap();
    let (all_is_full, full) = channel().unwrap();
    let source = Source { values: sender, all_is_read, all_is_full };
    (source, Sink { values, all_is_read: read, all_is_full: full, dams_from: Cell::new(0) })
}

struct Step {
    len: usize,
    has_file: bool,
    tries: bool,
    /// The sender waits until all is read.
    lull: bool,
    /// The receiver waits until there is no more room.
    dam: bool,
    how: u64,
}

impl Stream {
    fn step(self, number: u64) -> Step {
        let mut state = (self.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1;
        for _ in 0..4 {
            random(&mut state);
        }
        let mut below = |end: u64| random(&mut state) % end;
        let len = match below(40) {
            0 => 8192 - 100 + below(200),
            1 => 16_384 - 100 + below(200),
            2 => 65_536 - 100 + below(200),
            3 if below(8) == 0 => below(300_000),
            4..=10 => below(3000),
            11..=20 => below(100),
            _ => 0,
        };
        Step {
            len: len as usize,
            has_file: below(25) == 0,
            tries: below(3) == 0,
            lull: below(60) == 0,
            dam: below(500) == 0,
            how: below(5),
        }
    }
}

impl Source {
    pub(crate) fn send(&self, stream: Stream) {
        self.send_some(stream, 0, stream.count);
    }

    /// Sends from one number up to another.
    pub(crate) fn send_some(&self, stream: Stream, from: u64, to: u64) {
        let mut is_dammed = false;
        for number in from..to {
            let step = stream.step(number);
            let mut value = Value::of(number, step.len, step.has_file);
            if step.tries || is_dammed {
                match self.values.try_send(value) {
                    Ok(()) => value = Value::small(u64::MAX),
                    Err(SendError::Full(back)) => {
                        self.end_dam(&mut is_dammed, number);
                        value = back;
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
            if value.number == number {
                self.values.send(value).unwrap();
            }
            is_dammed |= step.dam;
            if step.lull {
                self.end_dam(&mut is_dammed, number + 1);
                assert_eq!(self.all_is_read.recv().unwrap(), number);
            }
        }
        self.end_dam(&mut is_dammed, to);
    }

    /// The receiver goes on; what follows from a number on may hold it up again.
    fn end_dam(&self, is_dammed: &mut bool, from: u64) {
        if std::mem::take(is_dammed) {
            self.all_is_full.send(from).unwrap();
        }
    }
}

impl Sink {
    pub(crate) fn receive(&self, stream: Stream) {
        self.receive_some(stream, 0, stream.count);
        self.assert_over();
    }

    pub(crate) fn assert_over(&self) {
        assert!(matches!(self.values.recv(), Err(RecvError::Disconnected)));
    }

    /// Receives from one number up to another, which is returned.
    pub(crate) fn receive_some(&self, stream: Stream, from: u64, to: u64) -> u64 {
        for number in from..to {
            let value = receive(&self.values, stream.step(number).how);
            self.check(stream, number, value);
        }
        to
    }

    /// Holds a value against what it should be, and pauses as the stream does behind it.
    pub(crate) fn check(&self, stream: Stream, number: u64, value: Value) {
        let step = stream.step(number);
        value.assert_is(number, step.len, step.has_file);
        if step.dam && number >= self.dams_from.get() {
            self.dams_from.set(self.all_is_full.recv().unwrap());
        }
        if step.lull {
            self.all_is_read.send(number).unwrap();
        }
    }
}

pub(crate) fn receive(values: &Receiver<Value>, how: u64) -> Value {
    match how {
        0 => loop {
            if let Some(value) = values.try_recv().unwrap() {
                return value;
            }
            thread::yield_now();
        },
        1 => values.recv_timeout(Duration::from_secs(50)).unwrap(),
        2 => loop {
            match values.recv_timeout(Duration::from_micros(20)) {
                Err(RecvError::Timeout) => {}
                other => return other.unwrap(),
            }
        },
        3 => values.iter().next().unwrap().unwrap(),
        _ => values.recv().unwrap(),
    }
}
