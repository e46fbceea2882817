use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{NotInMessage, TakeError, attach, take_descriptor, take_reply};
use crate::codec::Encoder;
use crate::{DecodeError, EncodeError, Handle, HandleRef, deserialize, serde_in_ipc_mode, serialize};

type Socket = Handle<UnixStream>;

/// A socket to put into messages, and the other end of it, which sees when the last copy is closed.
fn watched() -> (UnixStream, Watch) {
    let (socket, watch) = UnixStream::pair().unwrap();
    watch.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (socket, Watch(watch))
}

struct Watch(UnixStream);

impl Watch {
    /// Waits until every copy is closed; fails when one stays open.
    #[track_caller]
    fn assert_closed(mut self) {
        assert_eq!(self.0.read(&mut [0]).expect("a copy stays open"), 0);
    }

    #[track_caller]
    fn assert_open(&self) {
        self.0.set_nonblocking(true).unwrap();
        assert_eq!((&self.0).read(&mut [0]).expect_err("all are closed").kind(), io::ErrorKind::WouldBlock);
        self.0.set_nonblocking(false).unwrap();
    }
}

#[test]
fn p01_a_handle_given_away_leaves_no_copy_behind() {
    let (socket, watch) = watched();
    let number = socket.as_raw_fd();
    let (_bytes, descriptors) = serialize(Handle::from(socket)).unwrap();
    assert_eq!(descriptors.iter().map(AsRawFd::as_raw_fd).collect::<Vec<_>>(), [number]);
    drop(descriptors);
    watch.assert_closed();
}

#[test]
fn p02_descriptors_are_closed_when_the_value_does_not_decode() {
    let (socket, watch) = watched();
    let (bytes, descriptors) = serialize(("text", Handle::from(socket))).unwrap();
    assert_eq!(
        deserialize::<(Socket, String)>(&bytes, descriptors).unwrap_err(),
        DecodeError::DescriptorIndex { index: 4, count: 1 }
    );
    watch.assert_closed();
}

#[test]
fn p02_descriptors_already_taken_are_closed_with_them() {
    let (socket, watch) = watched();
    let (bytes, descriptors) = serialize((Handle::from(socket), 2u8)).unwrap();
    assert!(matches!(deserialize::<(Socket, bool)>(&bytes, descriptors), Err(DecodeError::Malformed(_))));
    watch.assert_closed();
}

#[test]
fn p03_surplus_descriptors_are_refused_and_closed() {
    let (first, first_watch) = watched();
    let (second, second_watch) = watched();
    let descriptors = vec![OwnedFd::from(first), OwnedFd::from(second)];
    let error = deserialize::<Socket>(&0u32.to_le_bytes(), descriptors).unwrap_err();
    assert_eq!(error, DecodeError::SurplusDescriptors { count: 1 });
    first_watch.assert_closed();
    second_watch.assert_closed();
}

#[test]
fn p04_one_index_twice_is_refused() {
    let (socket, watch) = watched();
    let error = deserialize::<(Socket, Socket)>(&[0; 8], vec![socket.into()]).unwrap_err();
    assert_eq!(error, DecodeError::DescriptorTwice { index: 0 });
    watch.assert_closed();
}

#[test]
fn p05_an_index_past_the_end_is_refused() {
    for index in [0, 1, u32::MAX] {
        let error = deserialize::<Socket>(&index.to_le_bytes(), Vec::new()).unwrap_err();
        assert_eq!(error, DecodeError::DescriptorIndex { index, count: 0 });
    }
}

#[test]
fn p06_a_message_that_is_not_sent_closes_nothing_of_the_values() {
    let (socket, watch) = watched();
    let handle = Handle::from(socket);
    let mut encoder = Encoder::new();
    encoder.put(&handle).unwrap();
    drop(encoder);
    watch.assert_open();
    drop(handle);
    watch.assert_closed();
}

#[test]
fn p07_handle_serialised_twice_sends_two_descriptors() {
    let (socket, watch) = watched();
    let handle = Handle::from(socket);
    let (bytes, descriptors) = serialize((&handle, &handle)).unwrap();
    assert_eq!(descriptors.len(), 2);
    let (first, second) = deserialize::<(Socket, Socket)>(&bytes, descriptors).unwrap();
    drop((handle, first));
    watch.assert_open();
    drop(second);
    watch.assert_closed();
}

#[test]
fn p07_a_handle_made_for_a_moment_inside_a_serialize_is_the_one_that_is_sent() {
    struct Momentary(UnixStream);

    impl Serialize for Momentary {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let handle = Handle::from(self.0.try_clone().unwrap());
            (handle, HandleRef::from(&self.0)).serialize(serializer)
        }
    }

    let (socket, watch) = watched();
    let mut encoder = Encoder::new();
    encoder.put(&Momentary(socket)).unwrap();
    let (bytes, mut attachments) = encoder.finish();
    watch.assert_open();
    assert_eq!(attachments.open().unwrap().len(), 2);
    drop((bytes, attachments));
    watch.assert_closed();
}

/// A value that sends another message while it is serialised.
struct Sends<'a>(&'a Socket);

impl Serialize for Sends<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (bytes, descriptors) = serialize((self.0, self.0)).unwrap();
        assert_eq!((&bytes[..], descriptors.len()), (&[0, 0, 0, 0, 1, 0, 0, 0][..], 2));
        deserialize::<(Socket, Socket)>(&bytes, descriptors).unwrap();
        self.0.serialize(serializer)
    }
}

#[test]
fn p38_a_message_sent_inside_a_serialize_has_a_table_of_its_own() {
    let (socket, _watch) = watched();
    let handle = Handle::from(socket);
    let (bytes, descriptors) = serialize((&handle, Sends(&handle), &handle)).unwrap();
    assert_eq!(bytes, [0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]);
    assert_eq!(descriptors.len(), 3);
}

#[test]
fn p38_a_message_received_inside_a_deserialize_has_a_table_of_its_own() {
    #[derive(Debug)]
    struct Receives;

    impl<'de> Deserialize<'de> for Receives {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let (socket, _watch) = watched();
            deserialize::<Socket>(&[0; 4], vec![socket.into()]).unwrap();
            assert_eq!(attach(Arc::new(watched().0.into())), Err(NotInMessage));
            Socket::deserialize(deserializer).map(|_| Self)
        }
    }

    let (socket, _watch) = watched();
    deserialize::<Receives>(&[0; 4], vec![socket.into()]).unwrap();
}

#[test]
fn a_failed_serialize_leaves_no_descriptor_for_the_next_message() {
    struct Fails(Socket);

    impl Serialize for Fails {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(serializer)?;
            Err(serde::ser::Error::custom("too late"))
        }
    }

    let (socket, watch) = watched();
    let error = serialize(Fails(socket.into())).unwrap_err();
    assert!(matches!(error, EncodeError::Value(text) if text == "too late"));
    watch.assert_closed();
    assert!(!serde_in_ipc_mode());
    let (_, descriptors) = serialize(7u8).unwrap();
    assert!(descriptors.is_empty());
}

#[test]
fn a_panic_leaves_no_state_behind() {
    struct Panics(Socket);

    impl Serialize for Panics {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(serializer)?;
            panic!("in serialize");
        }
    }

    impl<'de> Deserialize<'de> for Panics {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let _taken = Socket::deserialize(deserializer)?;
            panic!("in deserialize");
        }
    }

    let (outer, outer_watch) = watched();
    let (inner, inner_watch) = watched();
    let panics = Panics(inner.into());
    struct Catches<'a>(&'a Panics);

    impl Serialize for Catches<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert!(catch_unwind(AssertUnwindSafe(|| serialize(self.0))).is_err());
            assert!(serde_in_ipc_mode(), "the outer message goes on");
            serializer.serialize_u8(7)
        }
    }

    let (bytes, descriptors) = serialize((Handle::from(outer), Catches(&panics))).unwrap();
    assert!(!serde_in_ipc_mode());
    assert_eq!((&bytes[..], descriptors.len()), (&[0, 0, 0, 0, 7][..], 1));
    drop(panics);
    inner_watch.assert_closed();

    assert!(catch_unwind(AssertUnwindSafe(|| deserialize::<Panics>(&bytes, descriptors).map(drop))).is_err());
    assert!(!serde_in_ipc_mode());
    outer_watch.assert_closed();
}

#[test]
fn outside_of_a_message_a_handle_is_an_error() {
    let (socket, _watch) = watched();
    let handle = Handle::from(socket);
    let error = serde_json::to_string(&handle).unwrap_err().to_string();
    assert!(error.contains("unix_ipc"), "{error}");
    assert!(serde_json::to_string(&HandleRef::from(&handle)).is_err());
    let error = serde_json::from_str::<Socket>("0").unwrap_err().to_string();
    assert!(error.contains("unix_ipc"), "{error}");
    assert_eq!(take_descriptor(0).unwrap_err(), TakeError::NotInMessage(NotInMessage));
    assert_eq!(take_reply().unwrap_err(), TakeError::NotInMessage(NotInMessage));
}

#[test]
fn a_message_being_decoded_takes_no_attachments() {
    #[derive(Debug)]
    struct Attaches;

    impl<'de> Deserialize<'de> for Attaches {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            attach(Arc::new(watched().0.into())).map_err(D::Error::custom)?;
            Ok(Self)
        }
    }

    assert!(matches!(deserialize::<Attaches>(&[], Vec::new()), Err(DecodeError::Value(_))));
}

#[test]
fn messages_can_be_made_while_the_thread_ends() {
    struct AtTheEnd;

    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            let (socket, _watch) = watched();
            let (bytes, descriptors) = serialize(Handle::from(socket)).unwrap();
            deserialize::<Socket>(&bytes, descriptors).unwrap();
            DONE.fetch_add(1, Ordering::SeqCst);
        }
    }

    static DONE: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static LAST: AtTheEnd = const { AtTheEnd });

    std::thread::spawn(|| {
        LAST.with(|_| ());
        serialize(7u8).unwrap();
    })
    .join()
    .unwrap();
    assert_eq!(DONE.load(Ordering::SeqCst), 1);
}
