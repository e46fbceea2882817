//! What arrives, in which order, and how it is waited for.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};
use unix_ipc::{
    DecodeError, Handle, HandleRef, Limits, Receiver, RecvError, SendError, Sender, channel,
    serde_in_ipc_mode,
};

use crate::util::Watchdog;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Value {
    Nothing,
    Text(String),
    Bytes(Vec<u8>),
    Tree { name: String, children: Vec<Value>, tags: BTreeMap<u8, Option<char>> },
}

fn values() -> Vec<Value> {
    let leaf = Value::Text("ünïcödé 🦀".to_owned());
    let tags = BTreeMap::from([(1, None), (2, Some('é'))]);
    vec![
        Value::Nothing,
        leaf.clone(),
        Value::Bytes((0..=255).cycle().take(300_000).collect()),
        Value::Tree { name: String::new(), children: vec![leaf, Value::Nothing], tags },
    ]
}

#[test]
fn values_arrive_as_they_were_and_in_order() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || values().into_iter().for_each(|value| sender.send(value).unwrap()));
        let received: Vec<Value> = receiver.iter().map(Result::unwrap).collect();
        assert_eq!(received, values());
    });
}

#[test]
fn p35_a_value_without_bytes_is_a_message() {
    let (sender, receiver) = channel::<()>().unwrap();
    sender.send(()).unwrap();
    sender.try_send(()).unwrap();
    drop(sender);
    assert!(receiver.try_recv().unwrap().is_some());
    receiver.recv().unwrap();
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
}

#[test]
fn every_way_to_receive_tells_nothing_from_the_end() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<u8>().unwrap();
    assert_eq!(receiver.try_recv().unwrap(), None);
    assert!(matches!(receiver.recv_timeout(Duration::from_millis(10)), Err(RecvError::Timeout)));
    for number in 1..=3 {
        sender.send(number).unwrap();
    }
    assert_eq!(receiver.recv().unwrap(), 1);
    assert_eq!(receiver.try_recv().unwrap(), Some(2));
    assert_eq!(receiver.recv_timeout(Duration::from_secs(10)).unwrap(), 3);
    drop(sender);
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
    assert!(matches!(receiver.try_recv(), Err(RecvError::Disconnected)));
    assert!(matches!(receiver.recv_timeout(Duration::from_secs(10)), Err(RecvError::Disconnected)));
    assert!(receiver.iter().next().is_none());
}

#[test]
fn both_iterators_end_with_the_last_sender_and_stay_ended() {
    let (sender, receiver) = channel().unwrap();
    let other = sender.clone();
    sender.send(1).unwrap();
    other.send(2).unwrap();
    let mut lent = receiver.iter();
    assert_eq!(lent.next().unwrap().unwrap(), 1);
    drop((sender, other));
    let mut owned = receiver.into_iter();
    assert_eq!(owned.next().unwrap().unwrap(), 2);
    assert!(owned.next().is_none() && owned.next().is_none());
}

#[test]
fn p39_an_item_that_does_not_decode_is_an_error_and_the_next_is_right() {
    let (sender, receiver) = channel::<Value>().unwrap();
    let raw = sender.into_raw_sender().unwrap();
    raw.send(&99u32.to_le_bytes(), &[]).unwrap();
    let sender: Sender<Value> = raw.into();
    sender.send(Value::Nothing).unwrap();
    drop(sender);
    let items: Vec<_> = (&receiver).into_iter().collect();
    assert!(matches!(items[0], Err(RecvError::Decode(DecodeError::Value(_)))));
    assert!(matches!(items[1], Ok(Value::Nothing)));
    assert_eq!(items.len(), 2);
}

#[test]
fn p29_try_send_fills_the_channel_then_says_full_and_gives_the_value_back() {
    let (sender, receiver) = channel::<(u32, String)>().unwrap();
    let text = "x".repeat(1000);
    let mut count = 0;
    let error = loop {
        match sender.try_send((count, text.clone())) {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_full() && !error.is_disconnected());
    assert_eq!(error.into_inner(), (count, text.clone()));
    for number in 0..count {
        assert_eq!(receiver.try_recv().unwrap(), Some((number, text.clone())));
    }
    assert_eq!(receiver.try_recv().unwrap(), None);
}

#[test]
fn p26_clones_in_eight_threads_send_mixed_sizes_and_all_arrives() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<(u8, u32, Vec<u32>)>().unwrap();
    for who in 0..8 {
        let sender = sender.clone();
        thread::spawn(move || {
            for number in 0..32 {
                let length = [0, 10, 20_000, 100_000][((number + u32::from(who)) % 4) as usize];
                sender.send((who, number, vec![number ^ u32::from(who); length])).unwrap();
            }
        });
    }
    drop(sender);
    let mut next = [0; 8];
    for item in receiver {
        let (who, number, words) = item.unwrap();
        let expected = &mut next[usize::from(who)];
        assert_eq!(number, *expected, "the order of thread {who}");
        assert!(words.iter().all(|word| *word == number ^ u32::from(who)));
        *expected += 1;
    }
    assert_eq!(next, [32; 8]);
}

#[test]
fn the_receivers_descriptor_is_readable_when_there_is_something() {
    let (sender, receiver) = channel::<u8>().unwrap();
    let is_readable = || {
        let mut input = [PollFd::new(receiver.as_fd(), PollFlags::POLLIN)];
        poll(&mut input, PollTimeout::ZERO).unwrap() == 1
    };
    assert!(!is_readable());
    sender.send(1).unwrap();
    assert!(is_readable());
    receiver.recv().unwrap();
    assert!(!is_readable());
    drop(sender);
    assert!(is_readable(), "the end is something");
}

#[test]
fn limits_are_set_on_the_raw_ends() {
    let (sender, receiver) = channel::<Vec<u8>>().unwrap();
    let mut limits = Limits::default();
    limits.message_bytes = 100;
    let sender: Sender<Vec<u8>> = sender.into_raw_sender().unwrap().with_limits(limits).into();
    let receiver: Receiver<Vec<u8>> = receiver.into_raw_receiver().with_limits(limits).into();
    let error = sender.send(vec![1; 93]).unwrap_err();
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "the message has 101 bytes, the limit is 100"
    );
    assert!(matches!(error, SendError::Refused { value, .. } if value == [1; 93]));
    sender.clone().send(vec![1; 92]).unwrap();
    assert_eq!(receiver.recv().unwrap(), [1; 92]);
    // A raw end of a clone keeps them.
    let clone = sender.clone().into_raw_sender().unwrap();
    assert!(matches!(clone.send(&[0; 101], &[]), Err(SendError::Refused { .. })));
}

/// A file that says which form it takes.
struct Log(File);

impl Serialize for Log {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(serde_in_ipc_mode());
        HandleRef::from(&self.0).serialize(serializer)
    }
}

struct Received(Handle<File>);

impl<'de> Deserialize<'de> for Received {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        assert!(serde_in_ipc_mode());
        Handle::deserialize(deserializer).map(Received)
    }
}

#[test]
fn serde_is_in_ipc_mode_inside_of_a_message_and_nowhere_else() {
    assert!(!serde_in_ipc_mode());
    let (sender, receiver) = channel::<Log>().unwrap();
    sender.send(Log(File::open("/dev/null").unwrap())).unwrap();
    assert!(!serde_in_ipc_mode());
    let receiver: Receiver<Received> = receiver.into_raw_receiver().into();
    receiver.recv().unwrap().0.into_inner().metadata().unwrap();
    assert!(!serde_in_ipc_mode());
}

#[test]
fn ends_are_send_and_sync_whatever_they_carry() {
    fn both<T: Send + Sync>() {}
    type Local = std::rc::Rc<std::cell::Cell<u8>>;
    both::<Sender<Local>>();
    both::<Receiver<Local>>();
    both::<Handle<Local>>();
}
