//! Files inside of messages, at any depth and any number.
#![cfg(test)]

mod util;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{ChildStdin, ChildStdout};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use serde::{Deserialize, Serialize};
use unix_ipc::{Handle, HandleRef, channel, deserialize, serialize};
use util::{Holdings, Watchdog, alone};

#[derive(Serialize, Deserialize)]
enum Place {
    Here(Handle<PipeWriter>),
    Nested { list: Vec<Option<Handle<PipeWriter>>>, map: BTreeMap<String, (u8, Handle<PipeWriter>)> },
    Boxed(Box<Place>, Result<Handle<PipeWriter>, String>),
    Nowhere,
}

impl Place {
    /// All handles, from left to right.
    fn handles(self) -> Vec<Handle<PipeWriter>> {
        match self {
            Self::Here(handle) => vec![handle],
            Self::Nested { list, map } => {
                list.into_iter().flatten().chain(map.into_values().map(|(_, handle)| handle)).collect()
            }
            Self::Boxed(place, handle) => place.handles().into_iter().chain(handle).collect(),
            Self::Nowhere => Vec::new(),
        }
    }
}

#[test]
fn handles_at_any_depth_arrive_in_their_own_places() {
    let _watchdog = Watchdog::new();
    let (readers, writers): (Vec<PipeReader>, Vec<PipeWriter>) = (0..6).map(|_| io::pipe().unwrap()).unzip();
    let mut writers = writers.into_iter().map(Handle::from);
    let mut next = || writers.next().unwrap();
    let list = vec![None, Some(next()), None, Some(next())];
    let map = BTreeMap::from([("a".to_owned(), (1, next())), ("b".to_owned(), (2, next()))]);
    let nested = Place::Boxed(Box::new(Place::Nested { list, map }), Ok(next()));
    let value = vec![Place::Nowhere, nested, Place::Here(next())];

    let (sender, receiver) = channel().unwrap();
    sender.send(value).unwrap();
    let handles: Vec<_> = receiver.recv().unwrap().into_iter().flat_map(Place::handles).collect();
    assert_eq!(handles.len(), 6);
    for (number, handle) in (0u8..).zip(handles) {
        handle.into_inner().write_all(&[number]).unwrap();
    }
    for (number, mut reader) in (0u8..).zip(readers) {
        let mut tag = Vec::new();
        reader.read_to_end(&mut tag).unwrap();
        assert_eq!(tag, [number]);
    }
}

#[test]
fn two_hundred_and_fifty_three_handles_fit_one_message() {
    if !alone() {
        return;
    }
    let (sender, receiver) = channel::<Vec<Handle<File>>>().unwrap();
    let before = Holdings::now();
    let open = || Handle::from(File::open("/dev/null").unwrap());
    sender.send((0..253).map(|_| open()).collect()).unwrap();
    let received = receiver.recv().unwrap();
    assert_eq!(received.len(), 253);
    assert!(received.into_iter().all(|handle| handle.into_inner().metadata().is_ok()));
    assert_eq!(Holdings::now(), before);
    let error = sender.send((0..254).map(|_| open()).collect()).unwrap_err();
    assert_eq!(error.into_inner().len(), 254);
    assert_eq!(Holdings::now(), before);
}

#[test]
fn p15_handles_ride_on_messages_of_every_length() {
    let _watchdog = Watchdog::new();
    for length in [0, 60_000, 70_000, 2 << 20] {
        let (sender, receiver) = channel::<(Handle<PipeWriter>, Vec<u8>, Handle<PipeWriter>)>().unwrap();
        let ((mut first, one), (mut second, two)) = (io::pipe().unwrap(), io::pipe().unwrap());
        let sending =
            std::thread::spawn(move || sender.send((one.into(), vec![3; length], two.into())).unwrap());
        let (one, bytes, two) = receiver.recv().unwrap();
        assert!(bytes == vec![3; length]);
        one.into_inner().write_all(b"1").unwrap();
        two.into_inner().write_all(b"2").unwrap();
        sending.join().unwrap();
        let read = |reader: &mut PipeReader| {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!((read(&mut first), read(&mut second)), ("1".to_owned(), "2".to_owned()));
    }
}

#[test]
fn every_owner_of_a_descriptor_can_be_in_a_message() {
    #[derive(Serialize, Deserialize)]
    struct Owners {
        any: Handle<OwnedFd>,
        listener: Handle<TcpListener>,
        stream: Handle<UnixStream>,
        output: Handle<ChildStdout>,
        input: Handle<ChildStdin>,
    }
    let null = || OwnedFd::from(File::open("/dev/null").unwrap());
    let (ours, theirs) = UnixStream::pair().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let owners = Owners {
        any: null().into(),
        listener: listener.into(),
        stream: theirs.into(),
        output: ChildStdout::from(null()).into(),
        input: ChildStdin::from(null()).into(),
    };
    let (sender, receiver) = channel().unwrap();
    sender.send(owners).unwrap();
    let owners: Owners = receiver.recv().unwrap();
    let _connected = TcpStream::connect(address).unwrap();
    owners.listener.into_inner().accept().unwrap();
    owners.stream.into_inner().write_all(b"theirs").unwrap();
    let mut text = String::new();
    (&ours).read_to_string(&mut text).unwrap();
    assert_eq!(text, "theirs");
    drop((owners.any, owners.output, owners.input));
}

#[test]
fn p20_a_received_handle_is_close_on_exec() {
    let (sender, receiver) = channel::<Handle<File>>().unwrap();
    sender.send(File::open("/dev/null").unwrap().into()).unwrap();
    let handle = receiver.recv().unwrap();
    let flags = fcntl(handle.as_fd(), FcntlArg::F_GETFD).unwrap();
    assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
}

#[test]
fn a_borrowed_file_is_a_handle_for_the_peer_and_stays_open_here() {
    let file = File::open("/dev/null").unwrap();
    let (sender, receiver) = channel::<Handle<File>>().unwrap();
    let lender = unix_ipc::Sender::<HandleRef<'_>>::from(sender.into_raw_sender().unwrap());
    lender.send(HandleRef::from(&file)).unwrap();
    receiver.recv().unwrap().into_inner().metadata().unwrap();
    file.metadata().unwrap();
}

/// Makes a handle for a moment, inside of its `Serialize`.
struct Momentary(String);

impl Serialize for Momentary {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (reader, mut writer) = io::pipe().map_err(serde::ser::Error::custom)?;
        writer.write_all(self.0.as_bytes()).map_err(serde::ser::Error::custom)?;
        Handle::from(reader).serialize(serializer)
    }
}

#[test]
fn a_handle_made_for_a_moment_is_the_one_that_arrives() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Vec<Momentary>>().unwrap();
    let texts = ["one", "two", "three"];
    sender.send(texts.map(|text| Momentary(text.to_owned())).into()).unwrap();
    let receiver = unix_ipc::Receiver::<Vec<Handle<PipeReader>>>::from(receiver.into_raw_receiver());
    let received: Vec<String> = receiver
        .recv()
        .unwrap()
        .into_iter()
        .map(|handle| io::read_to_string(handle.into_inner()).unwrap())
        .collect();
    assert_eq!(received, texts);
}

#[test]
fn serialize_takes_a_given_handle_and_duplicates_a_lent_one() {
    if !alone() {
        return;
    }
    let before = Holdings::now().descriptor_count();
    let handle = Handle::from(File::open("/dev/null").unwrap());
    let (bytes, descriptors) = serialize((&handle, 7u8)).unwrap();
    assert_eq!(Holdings::now().descriptor_count(), before + 2);
    let (lent, _): (Handle<File>, u8) = deserialize(&bytes, descriptors).unwrap();
    let (_, descriptors) = serialize((handle, lent)).unwrap();
    assert_eq!(Holdings::now().descriptor_count(), before + 2, "both were given, neither was duplicated");
    drop(descriptors);
    assert_eq!(Holdings::now().descriptor_count(), before);
}

#[test]
fn a_handle_outside_of_a_message_is_an_error() {
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, U32Deserializer};

    let number: U32Deserializer<Error> = 0u32.into_deserializer();
    let error = Handle::<File>::deserialize(number).unwrap_err();
    assert_eq!(error.to_string(), "a value with a file descriptor can only be sent and received by unix_ipc");
}
