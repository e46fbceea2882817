//! The vectors of `WIRE.md`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

const TEXT: &str = include_str!("../../WIRE.md");

/// One packet: `None` is a byte that may be anything.
pub(crate) type Vector = Vec<Option<u8>>;

/// The vector of this name.
#[track_caller]
pub(crate) fn vector(name: &str) -> &'static Vector {
    all().get(name).unwrap_or_else(|| panic!("WIRE.md has no vector {name}"))
}

/// All vectors by name.
pub(crate) fn all() -> &'static BTreeMap<&'static str, Vector> {
    static ALL: OnceLock<BTreeMap<&'static str, Vector>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut vectors = BTreeMap::new();
        for block in TEXT.split("\n```wire ").skip(1) {
            let (name, rest) = block.split_once('\n').expect("a block has a first line");
            let (body, _) = rest.split_once("\n```").expect("a block ends");
            assert!(vectors.insert(name, parse(name, body)).is_none(), "{name} is there twice");
        }
        vectors
    })
}

fn parse(name: &str, body: &str) -> Vector {
    let mut vector = Vector::new();
    for line in body.lines() {
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with('#') {
            let (unit, behind) = unit(rest).unwrap_or_else(|| panic!("{name}: {rest}"));
            let (times, behind) = match behind.strip_prefix('*') {
                None => (1, behind),
                Some(repeat) => {
                    let digits = repeat.find(|c: char| !c.is_ascii_digit()).unwrap_or(repeat.len());
                    let (times, behind) = repeat.split_at(digits);
                    (times.parse().unwrap_or_else(|error| panic!("{name}: {rest}: {error}")), behind)
                }
            };
            vector.extend(unit.repeat(times));
            rest = behind.trim_start();
        }
    }
    vector
}

/// The next byte or text, and what is behind it.
fn unit(rest: &str) -> Option<(Vector, &str)> {
    if let Some(text) = rest.strip_prefix('"') {
        let (text, behind) = text.split_once('"')?;
        return Some((text.bytes().map(Some).collect(), behind));
    }
    let (byte, behind) = rest.split_at_checked(2)?;
    let byte = if byte == ".." { None } else { Some(u8::from_str_radix(byte, 16).ok()?) };
    Some((vec![byte], behind))
}

/// A packet of this form, to be sent.
pub(crate) fn filled(vector: &Vector) -> Vec<u8> {
    vector.iter().map(|byte| byte.unwrap_or(0x5a)).collect()
}

/// Holds a packet against a vector, and says where they part.
#[track_caller]
pub(crate) fn assert_is(name: &str, packet: &[u8]) {
    let expected = vector(name);
    let parted =
        expected.iter().zip(packet).position(|(expected, byte)| expected.is_some_and(|e| e != *byte));
    let window = |at: usize| packet.get(at.saturating_sub(8)..packet.len().min(at + 24)).unwrap_or_default();
    if let Some(at) = parted {
        panic!("{name} parts at byte {at}: {:02x?} around it, of {} bytes", window(at), packet.len());
    }
    assert_eq!(packet.len(), expected.len(), "{name}: {:02x?}…", &packet.get(..64).unwrap_or(packet));
}
