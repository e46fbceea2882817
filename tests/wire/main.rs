//! `WIRE.md` is what the library says and what it understands: each vector in it is held against packets that the
//! library sends, and given to the library as a packet that it receives.
#![cfg(test)]

#[path = "../util/mod.rs"]
mod util;

mod calls;
mod cancelling;
mod channels;
mod ending;
#[cfg(not(unix_ipc_without_rings))]
mod lanes;
mod raw;
#[cfg(not(unix_ipc_without_rings))]
mod rings;
mod spawning;
mod vectors;

/// A vector that nobody replays could say anything.
#[test]
fn every_vector_is_sent_and_received() {
    let tests = [
        include_str!("calls.rs"),
        include_str!("cancelling.rs"),
        include_str!("channels.rs"),
        include_str!("ending.rs"),
        include_str!("lanes.rs"),
        include_str!("rings.rs"),
        include_str!("spawning.rs"),
    ]
    .concat();
    for name in vectors::all().keys() {
        let [given, expected, named] =
            ["give", "expect", "expect_named"].map(|how| format!("{how}(\"{name}\""));
        assert!(tests.contains(&given), "no test gives {name} to the library");
        let is_sent = tests.contains(&expected) || tests.contains(&named);
        assert!(is_sent || name.starts_with("wrong/"), "no test expects {name} from the library");
    }
}

/// The header says how long the packet is, so a vector that was changed by hand has both changed.
#[test]
fn every_vector_is_as_long_as_its_header_says() {
    for (name, vector) in vectors::all() {
        let bytes = vectors::filled(vector);
        let length = bytes.get(4..8).and_then(<[u8]>::first_chunk).copied().map(u32::from_le_bytes);
        let body = u32::try_from(bytes.len() - 16).unwrap();
        assert_eq!(length, Some(body), "{name} has a body of {body:#x} bytes");
    }
}
