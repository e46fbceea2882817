//! Rings that get longer.

use std::fs;
use std::thread;

use unix_ipc::{CallError, Limits};

use crate::hostile::haunt_records;
use crate::service::{MillClient, busy, bytes, random, serve_in_child};
use crate::util::{Holdings, Watchdog, alone};

/// Stands in the place of a record in a ring that grows.
const GROWN: u64 = u64::MAX - 1;

/// How much of the memory of its rings the child has used, in KiB (proc(5), smaps).
fn ring_memory(mill: &MillClient) -> u64 {
    let child = mill.process().expect("the child lives");
    let maps = fs::read_to_string(format!("/proc/{child}/smaps")).expect("proc(5) is mounted");
    let mapping = maps.split_once("memfd:unix-ipc-rings").expect("the child has rings").1;
    let line = mapping.lines().find_map(|line| line.strip_prefix("Rss:")).expect("smaps has the line");
    line.trim().trim_end_matches(" kB").parse().expect("it is a number")
}

#[test]
fn long_messages_make_both_rings_longer_and_short_ones_do_not() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mill = busy(Limits::default());
    (0..50).for_each(|_| assert_eq!(mill.echo(&bytes(120_000)).unwrap(), bytes(120_000)));
    assert!(ring_memory(&mill) <= 160, "{} KiB", ring_memory(&mill));

    let long = bytes(1_000_000);
    let sum = long.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    (0..10).for_each(|_| assert_eq!(mill.sum(&long).unwrap(), sum));
    let one_way = ring_memory(&mill);
    assert!((1000..1300).contains(&one_way), "{one_way} KiB");

    (0..10).for_each(|_| assert_eq!(mill.echo(&long).unwrap(), long));
    let both = ring_memory(&mill);
    assert!((2000..2400).contains(&both), "{both} KiB");
    assert_eq!(mill.add(1, 2).unwrap(), 3);
}

#[test]
fn rings_that_may_not_grow_stay_as_they_are() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mut limits = Limits::default();
    limits.long_ring_bytes = 0;
    let mill = busy(limits);
    (0..20).for_each(|_| assert_eq!(mill.echo(&bytes(1_000_000)).unwrap(), bytes(1_000_000)));
    assert!(ring_memory(&mill) <= 160, "{} KiB", ring_memory(&mill));
}

#[test]
fn rings_grow_at_any_place_and_lose_nothing() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mut state = 0x9E37_79B9_7F4A_7C15;
    for (ring, long) in [(1 << 10, 1 << 13), (1 << 12, 1 << 13), (1 << 16, 1 << 17), (1 << 16, 1 << 24)] {
        let mut limits = Limits::default();
        (limits.ring_bytes, limits.long_ring_bytes) = (ring, long);
        for _ in 0..15 {
            let mill = busy(limits);
            for _ in 0..30 {
                let len = random(&mut state) as usize % (1 << (10 + random(&mut state) % 10));
                assert_eq!(mill.echo(&bytes(len)).unwrap(), bytes(len), "{len} bytes, rings of {ring}");
            }
        }
    }
}

#[test]
fn rings_grow_under_threads_that_call() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    if !alone() {
        return;
    }
    let before = Holdings::now();
    let mill = busy(Limits::default());
    thread::scope(|scope| {
        for number in 0..4 {
            let mill = mill.clone();
            scope.spawn(move || {
                for step in 0..60 {
                    let len = if step % 3 == number % 3 { 400_000 + step } else { 10 * step };
                    assert_eq!(mill.echo(&bytes(len)).unwrap(), bytes(len));
                }
            });
        }
    });
    drop(mill);
    before.assert_restored();
}

#[test]
fn a_ring_that_is_said_to_grow_without_end_is_named() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mill = busy(Limits::default());
    haunt_records(&mill, GROWN);
    let error = (0..100_000).find_map(|_| mill.add(1, 2).err());
    let Some(CallError::Protocol { source, .. }) = error else { panic!("{error:?}") };
    assert_eq!(source.to_string(), "shared memory with a ring that grows further than it may");
}
