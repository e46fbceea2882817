//! Bytes that anybody may have sent, and the values that they are.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fmt::Debug;
use std::fs::File;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use arbitrary::Unstructured;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Arrived, decode, decode_message};
use crate::fuzzing::{Descriptors, bytes, count_descriptors, number};
use crate::raw_channel::fuzzing::in_parts;
use crate::{
    DecodeError, Handle, LimitExceeded, Limits, Receiver, Sender, SharedMemory, deserialize, serialize,
};

/// The most bytes of one message.
const MOST_BYTES: usize = 4096;
/// The most levels of a value.
const NESTING: usize = 64;

/// One value of each kind that serde knows: the bytes of each are its only ones.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    number: u32,
    wide: (i128, u8, f64),
    text: String,
    blob: Vec<u8>,
    parts: Vec<Option<Box<[u8]>>>,
    list: Vec<(bool, char)>,
    nothing: (),
    result: Result<Shape, String>,
}

#[derive(Debug, Serialize, Deserialize)]
enum Shape {
    Point,
    Line(i8, i16, i32, i64),
    Named { name: String, kind: Kind },
    Group(Vec<Shape>),
}

#[derive(Debug, Serialize, Deserialize)]
enum Kind {
    Bytes(Vec<u8>),
    Deep(Box<Shape>),
    Marks([u16; 3]),
}

#[derive(Debug, Serialize, Deserialize)]
struct Node {
    children: Vec<Node>,
    next: Option<Box<Node>>,
}

/// What sorts itself, drops what is there twice, or has several forms: bytes that decode may not be its own.
#[derive(Debug, Serialize, Deserialize)]
struct Sorted {
    map: BTreeMap<String, Vec<u8>>,
    deep: BTreeMap<u8, BTreeMap<u16, ()>>,
    set: BTreeSet<i32>,
    time: Duration,
    path: PathBuf,
    name: CString,
    address: Option<SocketAddr>,
    port: NonZeroU16,
}

/// What takes descriptors.
#[derive(Debug, Serialize, Deserialize)]
struct Ports {
    handle: Option<Handle<OwnedFd>>,
    more: Vec<Handle<File>>,
    sender: Option<Sender<Ports>>,
    receiver: Option<Receiver<u8>>,
    memory: Option<SharedMemory>,
    blob: Vec<u8>,
}

type Empty = (Vec<()>, Vec<[(); 3]>, BTreeSet<()>);

/// Bytes and descriptors are one value of a type or an error, whatever they are, and nothing is left of them.
pub fn codec(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let mut descriptors = Descriptors::new();
    let (of_type, split) = (number(&mut input, 6), usize::from(number(&mut input, u8::MAX)));
    let arrived = if of_type == 5 { descriptors.some(&mut input) } else { Vec::new() };
    let bytes = bytes(&mut input, MOST_BYTES);
    match of_type {
        0 => own_bytes::<Record>(bytes, split),
        1 => own_bytes::<Node>(bytes, split),
        2 => own_bytes::<(Vec<u8>, Option<Vec<u8>>, Vec<String>, Vec<u8>)>(bytes, split),
        3 => other_bytes::<Sorted>(bytes, split),
        4 => nothing(bytes),
        _ => ports(bytes, arrived),
    }
    descriptors.hang_up();
    descriptors.assert_closed();
    count_descriptors();
}

/// A value of a type each of whose values has bytes of its own.
fn own_bytes<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8], split: usize) {
    if let Some(encoded) = twice::<T>(bytes, split) {
        assert_eq!(encoded, bytes);
    }
}

/// A value of a type whose values have several bytes, of which one are those that it is encoded to.
fn other_bytes<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8], split: usize) {
    if let Some(encoded) = twice::<T>(bytes, split) {
        assert_eq!(twice::<T>(&encoded, split), Some(encoded));
    }
}

/// Decodes a value, as it comes in one packet and with a block in its midst: the bytes that it is encoded to.
fn twice<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8], split: usize) -> Option<Vec<u8>> {
    let limits = Limits { nesting: NESTING, ..Limits::default() };
    let value = decode::<T>(bytes, Arrived::default(), &limits);
    let message = bytes.split_at_checked(split).and_then(|(head, rest)| in_parts(head, rest));
    if let Some(mut message) = message {
        match (&value, decode_message::<T>(&mut message, &limits)) {
            (Ok(value), Ok(same)) => assert_eq!(format!("{same:?}"), format!("{value:?}")),
            // No sender has a number or a text go across the end of a block.
            (_, Err(_)) => {}
            (Err(error), Ok(value)) => panic!("in parts it is {value:?}, and in one {error}"),
        }
    }
    let (encoded, descriptors) = serialize(value.ok()?).expect("what was decoded can be encoded");
    assert!(descriptors.is_empty());
    Some(encoded)
}

/// Elements of no size, of which there may be a million.
fn nothing(bytes: &[u8]) {
    match deserialize::<Empty>(bytes, Vec::new()) {
        Ok((one, other, _)) => assert!(one.len() + other.len() <= 1 << 20),
        Err(DecodeError::Limit(LimitExceeded::EmptyElements { limit })) => assert_eq!(limit, 1 << 20),
        Err(_) => {}
    }
}

/// A value that takes each descriptor once.
fn ports(bytes: &[u8], arrived: Vec<OwnedFd>) {
    let count = arrived.len();
    let Ok(ports) = deserialize::<Ports>(bytes, arrived) else { return };
    let len = bytes.len();
    // Memory that is lent has a descriptor as well.
    let Ok((bytes, descriptors)) = serialize(ports) else { return };
    assert_eq!((bytes.len(), descriptors.len()), (len, count));
    deserialize::<Ports>(&bytes, descriptors).expect("what was encoded can be decoded");
}
