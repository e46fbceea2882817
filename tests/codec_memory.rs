//! What hostile bytes make the codec allocate: next to nothing, whatever they claim.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ffi::CString;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use unix_ipc::{deserialize, serialize};

/// The most that a refused message of a few bytes may hold at once. A length that is believed costs
/// 2^20 bytes or more: that is where serde's own caution begins.
const NOTHING_TO_SPEAK_OF: u64 = 4096;

/// Decodes what must be refused, and gives the most bytes that were allocated at once.
fn refused<T: DeserializeOwned>(bytes: &[u8]) -> u64 {
    let info = allocation_counter::measure(|| assert!(deserialize::<T>(bytes, Vec::new()).is_err()));
    assert_eq!(info.bytes_current, 0, "a refused message leaves nothing behind");
    info.bytes_max
}

#[track_caller]
fn assert_cheap<T: DeserializeOwned>(bytes: &[u8]) {
    let most = refused::<T>(bytes);
    assert!(most <= NOTHING_TO_SPEAK_OF, "{most} bytes were allocated");
}

#[derive(Deserialize)]
struct Large {
    _block: [u64; 32],
}

#[derive(Debug, Serialize, Deserialize)]
struct Node {
    next: Option<Box<Node>>,
}

#[derive(Deserialize)]
struct Wide(#[expect(dead_code, reason = "only decoded")] Vec<Wide>);

#[test]
fn the_counter_counts() {
    let (bytes, _) = serialize(vec![0u8; 1 << 20]).unwrap();
    let info = allocation_counter::measure(|| drop(deserialize::<Vec<u8>>(&bytes, Vec::new())));
    assert!((1 << 20..(1 << 20) + 4096).contains(&info.bytes_max), "a block is allocated once: {info:?}");
}

#[test]
fn p32_claimed_lengths_allocate_nothing_to_speak_of() {
    for length in [1u64 << 30, 1 << 62, u64::MAX] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend([1; 16]);
        assert_cheap::<Vec<u8>>(&bytes);
        assert_cheap::<Box<[u8]>>(&bytes);
        assert_cheap::<Vec<u64>>(&bytes);
        assert_cheap::<Vec<String>>(&bytes);
        assert_cheap::<Vec<Large>>(&bytes);
        assert_cheap::<VecDeque<u8>>(&bytes);
        assert_cheap::<String>(&bytes);
        assert_cheap::<Box<str>>(&bytes);
        assert_cheap::<CString>(&bytes);
        assert_cheap::<HashSet<u64>>(&bytes);
        assert_cheap::<BTreeSet<u64>>(&bytes);
        assert_cheap::<HashMap<u64, u64>>(&bytes);
        assert_cheap::<BTreeMap<u8, String>>(&bytes);
        assert_cheap::<Option<(u8, Vec<u8>)>>(&bytes);
        assert_cheap::<Vec<Vec<Vec<u64>>>>(&bytes);
    }
}

#[test]
fn p32_elements_of_no_size_allocate_nothing() {
    for length in [1u64 << 30, 1 << 62] {
        assert_cheap::<Vec<()>>(&length.to_le_bytes());
        assert_cheap::<Vec<[(); 3]>>(&length.to_le_bytes());
        assert_cheap::<BTreeMap<(), ()>>(&length.to_le_bytes());
        assert_cheap::<HashSet<()>>(&length.to_le_bytes());
    }
}

#[test]
fn p36_a_million_levels_allocate_256() {
    assert_cheap::<Node>(&vec![1; 1_000_000]);
}

#[test]
fn p32_claims_inside_claims_do_not_add_up() {
    // 128 levels, each of which says that it holds as many elements as there are bytes.
    let bytes = 1_000_000u64.to_le_bytes().repeat(125_000);
    let most = refused::<Wide>(&bytes);
    assert!(most < 4 << 20, "{most} bytes were allocated for a message of a million");
}

#[test]
fn p37_what_is_decoded_before_trailing_bytes_are_seen_is_freed() {
    let (mut bytes, _) = serialize((vec![1u8; 1000], "text".to_owned())).unwrap();
    bytes.push(0);
    assert!(refused::<(Vec<u8>, String)>(&bytes) < 2048);
}
