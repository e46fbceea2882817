//! Strangers and one that floods keep nobody from its calls.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use unix_ipc::Limits;

use crate::raw::{CALL, FAULT, RawClient};
use crate::service::{CounterClient, client_in_time, serve_while};
use crate::util::{Holdings, Watchdog, alone};

const STRANGERS: usize = 50;
const CALLS: u64 = 2000;

/// Far above what the longest call takes, which is some tens of milliseconds.
const BOUND: Duration = Duration::from_secs(10);

/// Calls, and says how long the longest took.
fn call_honestly(client: &CounterClient) -> Duration {
    let mut longest = Duration::ZERO;
    for number in 0..CALLS {
        let start = Instant::now();
        assert_eq!(client.double(number).expect("the server lives"), 2 * number);
        longest = longest.max(start.elapsed());
    }
    longest
}

/// Fills whatever has room, and reads no reply, for as long as it is told to.
fn flood_with_calls(path: &Path, goes_on: &AtomicBool) {
    while goes_on.load(Ordering::Relaxed) {
        let client = client_in_time(path).with_timeout(Duration::ZERO);
        let mut unread = Vec::new();
        for _ in 0..3000 {
            // Refused where there is no room now.
            unread.extend(client.begin_bytes(1000));
            let _ = client.note(1);
        }
    }
}

/// Halves of messages and bytes that are none, again and again, each time until it is hung up on.
fn flood_with_garbage(path: &Path, goes_on: &AtomicBool) {
    let half = |offset: u32| {
        [&0u64.to_le_bytes()[..], &offset.to_le_bytes(), &(60u32 << 20).to_le_bytes(), &[7; 60_000]].concat()
    };
    while goes_on.load(Ordering::Relaxed) {
        let raw = RawClient::connect(path);
        for number in 0..20 {
            let mut piece = vec![CALL, 1, 0, 0];
            let body = half(60_000 * number);
            piece.extend((body.len() as u32).to_le_bytes());
            piece.extend(1u64.to_le_bytes());
            piece.extend(body);
            if !raw.send_bytes(&piece) {
                break;
            }
        }
        // No kind of message.
        raw.send_bytes(&[255; 100]);
        // It is told, where there was room to say so, and hung up on.
        while let Some(packet) = raw.receive() {
            assert_eq!(packet[0], FAULT);
        }
    }
}

/// Fifty strangers, one that floods, and an honest client, which is there before or comes later.
fn beside(workers: usize, flood: fn(&Path, &AtomicBool)) {
    serve_while(Limits::default(), workers, |path| {
        let strangers: Vec<_> = (0..STRANGERS).map(|_| RawClient::connect(path)).collect();
        let before = client_in_time(path);
        let goes_on = AtomicBool::new(true);
        thread::scope(|scope| {
            // Ends the flood where an assertion fails as well.
            let stop = Stop(&goes_on);
            scope.spawn(|| flood(path, &goes_on));
            let longest = call_honestly(&before).max(call_honestly(&client_in_time(path)));
            drop(stop);
            println!("{workers} workers: the longest of {} calls took {longest:?}", 2 * CALLS);
            assert!(longest < BOUND, "{longest:?}");
        });
        drop(strangers);
    });
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[test]
fn p60_strangers_and_one_that_reads_no_reply_keep_nobody_from_its_calls() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::after(Duration::from_secs(240));
    let before = Holdings::now();
    for workers in [1, 3] {
        beside(workers, flood_with_calls);
    }
    before.assert_restored();
}

#[test]
fn strangers_and_one_that_sends_garbage_keep_nobody_from_its_calls() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::after(Duration::from_secs(240));
    let before = Holdings::now();
    for workers in [1, 3] {
        beside(workers, flood_with_garbage);
    }
    before.assert_restored();
}

#[test]
fn a_flood_at_the_limit_of_clients_keeps_nobody_from_its_calls() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::after(Duration::from_secs(240));
    let before = Holdings::now();
    let mut limits = Limits::default();
    limits.clients = 8;
    for workers in [1, 3] {
        serve_while(limits, workers, |path| {
            let honest = client_in_time(path);
            let goes_on = AtomicBool::new(true);
            thread::scope(|scope| {
                let stop = Stop(&goes_on);
                // Strangers that come again each time that they had to make room.
                scope.spawn(|| {
                    let mut strangers = Vec::new();
                    while goes_on.load(Ordering::Relaxed) {
                        strangers.push(RawClient::connect(path));
                        strangers.drain(..strangers.len().saturating_sub(STRANGERS));
                    }
                });
                let longest = call_honestly(&honest).max(call_honestly(&client_in_time(path)));
                drop(stop);
                println!("{workers} workers: the longest of {} calls took {longest:?}", 2 * CALLS);
                assert!(longest < BOUND, "{longest:?}");
            });
        });
    }
    before.assert_restored();
}
