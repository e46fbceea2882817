//! The values that go through lanes and around them: each says by itself whether it is the one that was sent.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};
use unix_ipc::{Handle, Receiver, Sender, channel};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Value {
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) file: Option<Handle<File>>,
}

impl Value {
    pub(crate) fn small(number: u64) -> Self {
        Self { number, bytes: Vec::new(), file: None }
    }

    pub(crate) fn of(number: u64, len: usize, has_file: bool) -> Self {
        Self { number, bytes: bytes(number, len), file: has_file.then(|| file_of(number).unwrap().into()) }
    }

    /// Fails where this is not what [`of`](Self::of) made of the same.
    #[track_caller]
    pub(crate) fn assert_is(self, number: u64, len: usize, has_file: bool) {
        assert_eq!(self.number, number, "the order");
        assert!(self.bytes == bytes(number, len), "the bytes of {number}");
        assert_eq!(self.file.is_some(), has_file, "the file of {number}");
        if let Some(file) = self.file {
            let mut text = [0; 8];
            file.into_inner().read_exact(&mut text).unwrap();
            assert_eq!(u64::from_ne_bytes(text), number, "whose file it is");
        }
    }
}

fn bytes(number: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|index| (index ^ number) as u8).collect()
}

/// A pipe that holds a number.
fn file_of(number: u64) -> io::Result<File> {
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(&number.to_ne_bytes())?;
    Ok(OwnedFd::from(reader).into())
}

pub(crate) fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// After so many values a sender has offered a lane.
pub(crate) const HOT: u64 = 128;

/// A channel whose next small value goes through a lane.
pub(crate) fn hot_channel() -> (Sender<Value>, Receiver<Value>) {
    let (sender, receiver) = channel().unwrap();
    warm(&sender, &receiver);
    (sender, receiver)
}

pub(crate) fn warm(sender: &Sender<Value>, receiver: &Receiver<Value>) {
    // The offer stands between two of them.
    for number in 0..HOT + 2 {
        sender.send(Value::small(number)).unwrap();
        receiver.recv().unwrap().assert_is(number, 0, false);
    }
}

/// Receives values that were made of these, in this order, and then nothing.
#[track_caller]
pub(crate) fn assert_left(receiver: &Receiver<Value>, expected: &[(u64, usize, bool)]) {
    for (number, len, has_file) in expected {
        receiver.try_recv().unwrap().expect("it was sent").assert_is(*number, *len, *has_file);
    }
    assert!(receiver.try_recv().unwrap().is_none(), "each comes once");
}
