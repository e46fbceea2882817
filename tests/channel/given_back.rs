//! A failed send gives the value back, handles and all, and a moved value leaves nothing behind.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use unix_ipc::{EncodeError, Handle, LimitExceeded, Limits, SendError, Sender, channel};

use crate::util::{Holdings, Watchdog, alone};

type Pipe = Handle<PipeWriter>;

fn pipe() -> (PipeReader, Pipe) {
    let (reader, writer) = io::pipe().unwrap();
    (reader, writer.into())
}

/// The handle works, and nobody else has one to the same file.
fn assert_whole_and_alone(mut reader: PipeReader, handle: Pipe) {
    let mut writer = handle.into_inner();
    writer.write_all(b"whole").unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "whole");
}

#[test]
fn p06_a_send_to_nobody_gives_the_handle_back() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<(u8, Pipe)>().unwrap();
    drop(receiver);
    for send in [Sender::send, Sender::try_send] {
        let (reader, handle) = pipe();
        let error = send(&sender, (7, handle)).unwrap_err();
        assert!(error.is_disconnected());
        let (number, handle) = error.into_inner();
        assert_eq!(number, 7);
        assert_whole_and_alone(reader, handle);
    }
}

#[test]
fn p06_a_full_channel_gives_the_handle_back() {
    let _watchdog = Watchdog::new();
    let (sender, _receiver) = channel::<Option<Pipe>>().unwrap();
    while sender.try_send(None).is_ok() {}
    let (reader, handle) = pipe();
    let error = sender.try_send(Some(handle)).unwrap_err();
    assert!(error.is_full());
    assert_whole_and_alone(reader, error.into_inner().unwrap());
}

#[test]
fn p06_a_refused_message_gives_all_its_handles_back() {
    let _watchdog = Watchdog::new();
    let (sender, _receiver) = channel::<Vec<Pipe>>().unwrap();
    let mut limits = Limits::default();
    limits.descriptors = 1;
    let sender: Sender<Vec<Pipe>> = sender.into_raw_sender().unwrap().with_limits(limits).into();
    let ((first_reader, first), (second_reader, second)) = (pipe(), pipe());
    let Err(SendError::Refused { value, source }) = sender.send(vec![first, second]) else {
        panic!("the limit does not hold")
    };
    assert_eq!(source, LimitExceeded::Descriptors { actual: 2, limit: 1 });
    let [first, second]: [Pipe; 2] = value.try_into().unwrap();
    assert_whole_and_alone(first_reader, first);
    assert_whole_and_alone(second_reader, second);
}

/// A value whose last part does not serialise.
#[derive(Serialize)]
struct Broken(Pipe, Never);

struct Never;

impl Serialize for Never {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("not today"))
    }
}

#[test]
fn p06_a_value_that_does_not_encode_comes_back_and_nothing_of_it_leaves() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Broken>().unwrap();
    let (reader, handle) = pipe();
    let Err(SendError::Encode { value, source }) = sender.send(Broken(handle, Never)) else {
        panic!("it was encoded")
    };
    assert!(matches!(source, EncodeError::Value(text) if text == "not today"));
    assert_whole_and_alone(reader, value.0);
    // The next message on this thread does not carry what the failed one had collected.
    let sender: Sender<u8> = sender.into_raw_sender().unwrap().into();
    sender.send(1).unwrap();
    let (bytes, descriptors) = receiver.into_raw_receiver().recv().unwrap();
    assert_eq!((bytes, descriptors.len()), (vec![1], 0));
}

#[test]
fn p07_a_handle_that_is_sent_twice_arrives_twice() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<(Handle<PipeWriter>, Handle<PipeWriter>)>().unwrap();
    let raw = sender.into_raw_sender().unwrap();
    let (reader, handle) = pipe();
    let lender = Sender::<(&Pipe, &Pipe)>::from(raw);
    lender.send((&handle, &handle)).unwrap();
    let (first, second) = receiver.recv().unwrap();
    first.into_inner().write_all(b"first").unwrap();
    second.into_inner().write_all(b"second").unwrap();
    let mut text = [0; 11];
    (&reader).read_exact(&mut text).unwrap();
    assert_eq!(&text, b"firstsecond");
    assert_whole_and_alone(reader, handle);
}

#[test]
fn p01_a_moved_handle_is_closed_here_and_a_lent_one_is_not() {
    if !alone() {
        return;
    }
    let (sender, receiver) = channel::<Handle<File>>().unwrap();
    let before = Holdings::now();
    for _ in 0..1000 {
        sender.send(File::open("/dev/null").unwrap().into()).unwrap();
        drop(receiver.recv().unwrap());
    }
    assert_eq!(Holdings::now(), before);
    let lender: Sender<&Handle<File>> = sender.into_raw_sender().unwrap().into();
    let lent = Handle::from(File::open("/dev/null").unwrap());
    for _ in 0..1000 {
        lender.send(&lent).unwrap();
        drop(receiver.recv().unwrap());
    }
    assert_eq!(Holdings::now().descriptor_count(), before.descriptor_count() + 1);
    lent.into_inner().metadata().unwrap();
}

/// Sends a message of its own while it is serialised.
struct Reentrant<'a> {
    other: &'a Sender<(Pipe, u8)>,
    inner: Cell<Option<Pipe>>,
    outer: Pipe,
}

impl Serialize for Reentrant<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(inner) = self.inner.take() {
            self.other.send((inner, 7)).map_err(S::Error::custom)?;
        }
        (&self.outer, 8u8).serialize(serializer)
    }
}

#[test]
fn p38_a_message_sent_while_another_is_serialised_carries_its_own_handles() {
    let _watchdog = Watchdog::new();
    let (other, inner_receiver) = channel::<(Pipe, u8)>().unwrap();
    let (sender, receiver) = channel::<Reentrant<'_>>().unwrap();
    let ((inner_reader, inner), (outer_reader, outer)) = (pipe(), pipe());
    sender.send(Reentrant { other: &other, inner: Cell::new(Some(inner)), outer }).unwrap();
    let receiver: unix_ipc::Receiver<(Pipe, u8)> = receiver.into_raw_receiver().into();
    for (receiver, reader, number) in [(inner_receiver, inner_reader, 7), (receiver, outer_reader, 8)] {
        let (handle, found) = receiver.recv().unwrap();
        assert_eq!(found, number);
        assert_whole_and_alone(reader, handle);
    }
}

#[derive(Serialize, Deserialize)]
struct Opaque(Pipe);

#[test]
fn errors_show_without_a_bound_on_the_value() {
    let (sender, receiver) = channel::<Opaque>().unwrap();
    drop(receiver);
    let error = sender.send(Opaque(pipe().1)).unwrap_err();
    assert_eq!(format!("{error} {error:?}"), "the receiver is gone Disconnected(..)");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn p06_a_long_byte_string_comes_back_as_it_was() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Vec<u8>>().unwrap();
    drop(receiver);
    for send in [Sender::send, Sender::try_send] {
        let long = vec![7; 3 << 20];
        let place = long.as_ptr();
        let back = send(&sender, long).unwrap_err().into_inner();
        assert_eq!((back.as_ptr(), back.len()), (place, 3 << 20));
        assert!(back.iter().all(|byte| *byte == 7));
    }
}
