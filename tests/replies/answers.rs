//! A service whose loop is written by hand, so that replies can go astray.

use std::process;
use std::sync::mpsc;
use std::thread;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use unix_ipc::{Connection, RecvError, SendError, Sender, ipc_service};

/// Says no when it is to be encoded.
#[derive(Debug)]
pub(crate) struct Stubborn;

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("will not go"))
    }
}

impl<'de> Deserialize<'de> for Stubborn {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("will not come"))
    }
}

#[ipc_service]
pub(crate) trait Answers {
    fn double(&self, number: u64) -> u64;
    /// The reply sender is dropped.
    fn forget(&self) -> u64;
    fn panic(&self, message: &str) -> u64;
    fn panic_oddly(&self) -> u64;
    #[oneway]
    fn panic_one_way(&self);
    fn exit(&self, status: i32) -> u64;
    fn bytes(&self, count: usize) -> Vec<u8>;
    fn stubborn(&self) -> Stubborn;
    /// Refuses its argument.
    fn take_stubborn(&self, stubborn: &Stubborn) -> u64;
    /// Answered by another thread, some calls later.
    fn later(&self, number: u64) -> u64;
    /// Lets the other thread answer.
    fn now(&self);
    /// Answered twice, on two clones: what the second time said is the next call's reply.
    fn twice(&self, number: u64) -> u64;
    fn second(&self) -> String;
    /// Tries to send a value that does not fit, then one that does.
    fn second_choice(&self, too_large: usize) -> Vec<u8>;
    /// Sends its bytes without waiting for room.
    fn try_bytes(&self, count: usize) -> Vec<u8>;
    /// The loop is left, and the reply comes afterwards.
    fn leave(&self, bytes: usize) -> Vec<u8>;
}

pub(crate) struct Plain;

/// What the hand-written loop does not do itself.
impl Answers for Plain {
    fn double(&self, number: u64) -> u64 {
        2 * number
    }

    fn forget(&self) -> u64 {
        unreachable!("the loop drops the reply")
    }

    fn panic(&self, message: &str) -> u64 {
        panic!("{message}")
    }

    fn panic_oddly(&self) -> u64 {
        std::panic::panic_any(5)
    }

    fn panic_one_way(&self) {
        panic!("nobody waits")
    }

    fn exit(&self, status: i32) -> u64 {
        process::exit(status)
    }

    fn bytes(&self, count: usize) -> Vec<u8> {
        vec![7; count]
    }

    fn stubborn(&self) -> Stubborn {
        Stubborn
    }

    fn take_stubborn(&self, _: &Stubborn) -> u64 {
        unreachable!("it cannot be encoded")
    }

    fn later(&self, number: u64) -> u64 {
        self.double(number)
    }

    fn now(&self) {}

    fn twice(&self, number: u64) -> u64 {
        self.double(number)
    }

    fn second(&self) -> String {
        String::new()
    }

    fn second_choice(&self, _: usize) -> Vec<u8> {
        Vec::new()
    }

    fn try_bytes(&self, count: usize) -> Vec<u8> {
        self.bytes(count)
    }

    fn leave(&self, bytes: usize) -> Vec<u8> {
        self.bytes(bytes)
    }
}

/// Serves by hand until the client hangs up or asks it to leave.
pub(crate) fn serve_by_hand(connection: Connection) -> Result<(), RecvError> {
    let (calls, to_answer) = mpsc::channel::<(u64, Sender<u64>)>();
    let (open, gate) = mpsc::channel::<()>();
    let answerer = thread::spawn(move || {
        for (number, reply) in to_answer {
            let _ = gate.recv();
            let _ = reply.send(2 * number);
        }
    });
    let mut second = String::new();
    let mut last = None;
    for task in connection.tasks::<AnswersTask>() {
        match task? {
            AnswersTask::Forget { reply } => drop(reply),
            AnswersTask::Later { number, reply } => calls.send((number, reply)).expect("the thread is there"),
            AnswersTask::Now { reply } => {
                open.send(()).expect("the thread is there");
                let _ = reply.send(());
            }
            AnswersTask::Twice { number, reply } => {
                let clone = reply.clone();
                reply.send(2 * number).expect("the caller waits");
                let error = clone.send(9).expect_err("a reply is sent once");
                second = format!("{} {}", error.is_disconnected(), error.into_inner());
                drop(reply);
            }
            AnswersTask::Second { reply } => reply.send(second.clone()).expect("the caller waits"),
            AnswersTask::SecondChoice { too_large, reply } => {
                let error = reply.send(vec![1; too_large]).expect_err("it is too large");
                assert!(matches!(error, SendError::Refused { .. }), "{error}");
                assert_eq!(error.into_inner().len(), too_large);
                reply.send(vec![2]).expect("this is not");
            }
            AnswersTask::TryBytes { count, reply } => {
                if let Err(error) = reply.try_send(vec![7; count]) {
                    assert!(error.is_full(), "{error}");
                    reply.send(error.into_inner()).expect("the caller waits");
                }
            }
            AnswersTask::Leave { bytes, reply } => {
                last = Some((bytes, reply));
                break;
            }
            task => task.dispatch(&Plain),
        }
    }
    drop(connection);
    if let Some((bytes, reply)) = last {
        reply.send(vec![7; bytes]).expect("the caller waits");
    }
    drop(calls);
    drop(open);
    answerer.join().expect("the thread does not panic");
    Ok(())
}
