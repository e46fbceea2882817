//! A process that writes to the rings what it must not: the other end has an error, or waits alone, and nothing worse.

use std::env;
use std::time::{Duration, Instant};

use unix_ipc::{CallError, Limits, ProtocolError};

use crate::service::{MEMORY, MillClient, busy, random, serve_in_child};
use crate::util::{Holdings, Watchdog, alone};

/// Where the child's words are: it receives in the first ring, and sends in the second.
const FIRST: u64 = 0;
const SECOND: u64 = MEMORY / 2;
const CONSUMED: u64 = 0;
const DESCRIPTORS: u64 = 8;
const ASLEEP: u64 = 128;
const CORE: u64 = 136;
const WANTS_ROOM: u64 = 256;
const RECORDS: u64 = 512;

/// Calls until a call fails, at most so often: how.
fn fail(mill: &MillClient, most: usize) -> Option<CallError> {
    let hasty = mill.with_timeout(Duration::from_secs(2));
    let bytes = vec![5; 20_000];
    (0..most).find_map(|number| {
        let echoed = if number % 3 == 0 { hasty.echo(&bytes).map(drop) } else { hasty.add(1, 2).map(drop) };
        echoed.err()
    })
}

/// The child writes a record's first word wherever its next record may begin, until it is hung up on.
pub(crate) fn haunt_records(mill: &MillClient, first: u64) {
    let hasty = mill.with_timeout(Duration::from_secs(2));
    let _ = hasty.haunt(SECOND + RECORDS, 64, (1 << 16) / 64, &first.to_ne_bytes(), 5000);
}

fn lie<E: std::fmt::Debug>(error: Option<CallError<E>>) -> String {
    match error {
        Some(CallError::Protocol { source, .. }) => source.to_string(),
        other => panic!("no lie was found: {other:?}"),
    }
}

#[test]
fn a_count_that_goes_back_or_past_the_end_is_named() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for count in [u64::MAX, 1 << 40, 1, 63] {
        let mill = busy(Limits::default());
        mill.haunt(FIRST + CONSUMED, 0, 1, &count.to_ne_bytes(), 5000).unwrap();
        let what = lie(fail(&mill, 100_000));
        assert_eq!(what, "shared memory with a place in the ring that was not reached");
    }
}

#[test]
fn a_record_longer_than_the_ring_is_named() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mill = busy(Limits::default());
    haunt_records(&mill, 7 | (u64::from(u32::MAX) << 32));
    let what = lie(fail(&mill, 100_000));
    assert_eq!(what, "shared memory with a packet longer than the ring");
}

#[test]
fn a_record_that_is_no_packet_is_named() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for (kind, expected) in [
        (99_u64, ProtocolError::Kind(99)),
        (5, ProtocolError::Kind(5)),
        (7 | 9 << 8, ProtocolError::Flags(9)),
        (7 | 1 << 16, ProtocolError::Ring("descriptors that did not come")),
    ] {
        let mill = busy(Limits::default());
        haunt_records(&mill, kind);
        let error = fail(&mill, 100_000);
        let Some(CallError::Protocol { source, .. }) = error else { panic!("{error:?}") };
        assert_eq!(source, expected);
    }
}

#[test]
fn more_descriptors_taken_than_were_sent_is_named() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mill = busy(Limits::default());
    mill.scribble(FIRST + DESCRIPTORS, &9_u64.to_ne_bytes()).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap().into();
    let what = lie(mill.with_timeout(Duration::from_secs(2)).read(&file).err());
    assert_eq!(what, "shared memory with more descriptors taken than were sent");
    assert_eq!(lie(mill.add(1, 2).err()), what, "and the connection is over");
}

#[test]
fn a_child_that_never_rings_keeps_only_its_own_callers_waiting() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (mill, other) = (busy(Limits::default()), busy(Limits::default()));
    // It says that this process is awake, whatever that says: it rings no more, and replies lie in the ring unseen.
    for _ in 0..20 {
        let _ = mill.with_timeout(Duration::from_millis(100)).scribble(SECOND + ASLEEP, &0_u64.to_ne_bytes());
        assert_eq!(other.add(1, 2).unwrap(), 3);
    }
    for word in [ASLEEP, CORE, WANTS_ROOM] {
        for ring in [FIRST, SECOND] {
            let _ =
                mill.with_timeout(Duration::from_millis(100)).scribble(ring + word, &u64::MAX.to_ne_bytes());
        }
    }
    assert!(mill.with_timeout(Duration::from_secs(2)).add(1, 2).is_ok_and(|sum| sum == 3));
}

/// How many storms there are, each with another seed, the first always being 1: a few among the tests, and as many as one
/// likes in a soak.
fn storms() -> u64 {
    const VARIABLE: &str = "SOAK_STORMS";
    let Some(text) = env::var_os(VARIABLE) else { return 20 };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("{VARIABLE} is {text:?}, and no number"))
}

/// Calls while the child writes to the rings, and a little longer: what it wrote last is still there then.
fn call_in_a_storm(seed: u64) {
    const LASTS: Duration = Duration::from_millis(200);
    const CALLS_AFTER: usize = 50;
    let mill = busy(Limits::default());
    let hasty = mill.with_timeout(Duration::from_millis(300));
    // Its own reply may be hit.
    let _ = hasty.storm(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), LASTS.as_millis() as u64);
    let (end, mut after, mut state) = (Instant::now() + LASTS, 0, seed);
    while after < CALLS_AFTER {
        after += usize::from(Instant::now() >= end);
        let bytes = vec![1; (random(&mut state) % 120_000) as usize];
        if hasty.echo(&bytes).is_err() || hasty.add(1, 2).is_err() || hasty.give("text").is_err() {
            break;
        }
    }
}

#[test]
fn bytes_that_change_while_they_are_read_are_at_worst_an_error() {
    if serve_in_child() || !alone() {
        return;
    }
    let storms = storms();
    let _watchdog = Watchdog::after(Duration::from_secs(60 + 3 * storms));
    let before = Holdings::now();
    for seed in 1..=storms {
        eprintln!("seed {seed}"); // printed by a run that fails
        call_in_a_storm(seed);
    }
    before.assert_restored();
}
