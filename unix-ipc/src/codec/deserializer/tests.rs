use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::thread;

use serde::de::{DeserializeOwned, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::codec::{Arrived, decode};
use crate::{DecodeError, LimitExceeded, Limits, deserialize, serialize};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Node {
    next: Option<Box<Node>>,
}

impl Node {
    /// The bytes of this many nodes, one in the other.
    fn bytes(nodes: usize) -> Vec<u8> {
        let mut bytes = vec![1; nodes - 1];
        bytes.push(0);
        bytes
    }
}

const EMPTY_LIMIT: DecodeError = DecodeError::Limit(LimitExceeded::EmptyElements { limit: 1 << 20 });

fn nesting(limit: u64) -> DecodeError {
    DecodeError::Limit(LimitExceeded::Nesting { limit })
}

fn error<T: DeserializeOwned>(bytes: &[u8]) -> DecodeError {
    match deserialize::<T>(bytes, Vec::new()) {
        Ok(_) => panic!("{bytes:?} was decoded"),
        Err(error) => error,
    }
}

#[test]
fn p36_a_value_a_million_levels_deep_is_refused() {
    assert_eq!(error::<Node>(&vec![1; 1_000_000]), nesting(256));

    #[derive(Deserialize)]
    struct Seq(#[expect(dead_code, reason = "only decoded")] Vec<Seq>);
    assert_eq!(error::<Seq>(&1u64.to_le_bytes().repeat(1_000_000)), nesting(256));

    #[derive(Deserialize)]
    enum Tree {
        #[expect(dead_code, reason = "only decoded")]
        Branch(Box<Tree>),
    }
    assert_eq!(error::<Tree>(&[0; 4_000_000]), nesting(256));

    #[derive(Deserialize)]
    struct Map(#[expect(dead_code, reason = "only decoded")] BTreeMap<u8, Map>);
    assert_eq!(error::<Map>(&[1, 0, 0, 0, 0, 0, 0, 0, 7].repeat(1_000_000)), nesting(256));
}

#[test]
fn p36_128_levels_fit_a_stack_of_256_kib() {
    let small = thread::Builder::new().stack_size(256 << 10);
    let decode = || {
        assert!(deserialize::<Node>(&Node::bytes(128), Vec::new()).is_ok());
        assert!(deserialize::<Option<Box<Node>>>(&Node::bytes(128 + 1), Vec::new()).is_ok());
        assert_eq!(error::<Node>(&Node::bytes(130)), nesting(256));
    };
    small.spawn(decode).unwrap().join().unwrap();
}

#[test]
fn nesting_is_the_messages_limit() {
    let limits = Limits { nesting: 5, ..Limits::default() };
    let decode = |nodes| decode::<Node>(Node::bytes(nodes).as_slice(), Arrived::default(), &limits);
    assert!(decode(3).is_ok());
    assert_eq!(decode(4), Err(nesting(5)));
}

#[test]
fn neighbours_are_not_levels() {
    let many: Vec<Node> = (0..1000).map(|_| Node::default()).collect();
    let (bytes, _) = serialize(&many).unwrap();
    assert_eq!(deserialize::<Vec<Node>>(&bytes, Vec::new()), Ok(many));
}

#[test]
fn p32_lengths_of_what_is_not_there_are_the_end() {
    for length in [1 << 30, 1 << 62, u64::MAX] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend([b'a'; 100]);
        assert_eq!(error::<Vec<u8>>(&bytes), DecodeError::End);
        assert_eq!(error::<String>(&bytes), DecodeError::End);
        assert_eq!(error::<Vec<u64>>(&bytes), DecodeError::End);
        assert_eq!(error::<Vec<String>>(&bytes), DecodeError::End);
        assert_eq!(error::<HashSet<u16>>(&bytes), DecodeError::End);
        assert_eq!(error::<BTreeMap<u8, u8>>(&bytes), DecodeError::End);
        assert_eq!(error::<HashMap<u64, String>>(&bytes), DecodeError::End);
        assert_eq!(error::<std::ffi::CString>(&bytes), DecodeError::End);
        assert_eq!(error::<Vec<()>>(&length.to_le_bytes()), EMPTY_LIMIT);
        assert_eq!(error::<BTreeMap<(), ()>>(&length.to_le_bytes()), EMPTY_LIMIT);
    }
}

#[test]
fn elements_of_no_size_have_a_budget_for_the_whole_message() {
    let most = 1u64 << 20;
    assert_eq!(deserialize::<Vec<()>>(&most.to_le_bytes(), Vec::new()).map(|vec| vec.len()), Ok(1 << 20));
    assert_eq!(error::<Vec<()>>(&(most + 1).to_le_bytes()), EMPTY_LIMIT);

    let halves = (most / 2).to_le_bytes().repeat(2);
    assert!(deserialize::<(Vec<()>, Vec<()>)>(&halves, Vec::new()).is_ok());
    let more = [(most / 2).to_le_bytes(), (most / 2 + 1).to_le_bytes()].concat();
    assert_eq!(error::<(Vec<()>, Vec<()>)>(&more), EMPTY_LIMIT);
}

#[test]
fn fields_of_no_size_are_not_counted() {
    #[derive(Deserialize)]
    struct Marked {
        _byte: u8,
        _marker: (),
    }
    let count = (1u64 << 20) + 1;
    let mut bytes = count.to_le_bytes().to_vec();
    bytes.resize(bytes.len() + (1 << 20) + 1, 0);
    assert_eq!(deserialize::<Vec<Marked>>(&bytes, Vec::new()).map(|vec| vec.len()), Ok((1 << 20) + 1));
}

#[test]
fn p37_bytes_left_behind_the_value_are_refused() {
    let (bytes, _) = serialize((1u32, 2u32)).unwrap();
    assert_eq!(error::<u32>(&bytes), DecodeError::Trailing { count: 4 });
    assert_eq!(error::<()>(&bytes), DecodeError::Trailing { count: 8 });
    assert_eq!(error::<u64>(&bytes[..7]), DecodeError::End);
}

#[test]
fn what_stands_for_nothing_is_malformed() {
    assert!(matches!(error::<bool>(&[2]), DecodeError::Malformed(what) if what.contains("bool")));
    assert!(matches!(error::<Option<u8>>(&[2, 0]), DecodeError::Malformed(what) if what.contains("option")));
    assert!(matches!(error::<char>(&[0xff, 0, 0, 0]), DecodeError::Malformed(what) if what.contains("char")));
    let text = [1, 0, 0, 0, 0, 0, 0, 0, 0xff];
    assert!(matches!(error::<String>(&text), DecodeError::Malformed(what) if what.contains("string")));
    let variant = error::<Result<u8, u8>>(&[2, 0, 0, 0, 0]);
    assert!(matches!(variant, DecodeError::Value(text) if text.contains('2')), "serde names the variant");
}

#[test]
fn types_that_need_names_in_the_bytes_are_refused() {
    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        #[expect(dead_code, reason = "only decoded")]
        Number(u8),
    }
    assert!(error::<Untagged>(&[1]).to_string().contains("untagged"));
    assert!(error::<IgnoredAny>(&[1]).to_string().contains("does not name"));
}

/// A sequence that remembers how long it was told that it is.
struct Hinted<T> {
    hint: Option<usize>,
    elements: Vec<T>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Hinted<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hints<T>(Option<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Hints<T> {
            type Value = Hinted<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Hinted<T>, A::Error> {
                let hint = seq.size_hint();
                let mut elements: Vec<T> = self.0.into_iter().collect();
                // What comes before an error is enough for these tests.
                while let Ok(Some(element)) = seq.next_element() {
                    elements.push(element);
                }
                Ok(Hinted { hint, elements })
            }
        }

        deserializer.deserialize_seq(Hints(None))
    }
}

#[test]
fn sequences_hint_no_more_than_the_bytes_hold() {
    let mut bytes = (1u64 << 40).to_le_bytes().to_vec();
    bytes.extend([0; 5]);
    let hinted = deserialize::<Hinted<u8>>(&bytes, Vec::new()).unwrap();
    assert_eq!((hinted.hint, hinted.elements.len()), (Some(5), 5));
}

#[test]
fn sequences_in_sequences_do_not_hint_the_same_bytes_twice() {
    // The outer one says five, of which this is the first, so four bytes are not the inner one's.
    let mut bytes = 5u64.to_le_bytes().to_vec();
    bytes.extend((1u64 << 40).to_le_bytes());
    bytes.extend([0; 10]);
    let hinted = deserialize::<Hinted<Hinted<u8>>>(&bytes, Vec::new()).unwrap();
    assert_eq!(hinted.hint, Some(5));
    assert_eq!(hinted.elements[0].hint, Some(6));
    // An honest one is told all of it.
    let (bytes, _) = serialize(vec![vec![1u16, 2], vec![3]]).unwrap();
    let hinted = deserialize::<Hinted<Hinted<u16>>>(&bytes, Vec::new()).unwrap();
    let hints: Vec<_> = hinted.elements.iter().map(|inner| inner.hint).collect();
    assert_eq!(hints, [Some(2), Some(1)]);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    number: u32,
    text: String,
    blob: Vec<u8>,
    list: Vec<Option<(bool, char)>>,
    map: BTreeMap<String, Vec<u8>>,
    result: Result<Node, String>,
}

fn everything() -> Vec<u8> {
    let value = Everything {
        number: 7,
        text: "text ✓".to_owned(),
        blob: vec![1, 2, 3],
        list: vec![None, Some((true, 'é'))],
        map: BTreeMap::from([("key".to_owned(), vec![9])]),
        result: Ok(Node { next: Some(Box::default()) }),
    };
    serialize(value).unwrap().0
}

#[test]
fn a_message_cut_short_anywhere_is_the_end() {
    let bytes = everything();
    assert!(deserialize::<Everything>(&bytes, Vec::new()).is_ok());
    for cut in 0..bytes.len() {
        assert_eq!(error::<Everything>(&bytes[..cut]), DecodeError::End, "cut to {cut} bytes");
    }
}

#[test]
fn a_message_with_any_byte_changed_is_a_value_or_an_error() {
    let bytes = everything();
    let mut refused = 0;
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut hostile = bytes.clone();
            hostile[place] ^= 1 << bit;
            refused += usize::from(deserialize::<Everything>(&hostile, Vec::new()).is_err());
        }
    }
    assert!(refused > bytes.len() * 4, "lengths, tags and texts are most of the message");
}
