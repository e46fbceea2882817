//! Calls that are given up or run out of time, between such as are not: what was waited for ran once, what was given up
//! ran once at most, and not at all where the server knew before it came to it; a handler that runs is told.

mod caller;
mod service;

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use unix_ipc::{Sender, channel};

use crate::settings::{self, BOUND};
use crate::util::{self, Holdings, Watchdog, wait_until};
use caller::{Caller, MOST, Told};
use service::{BookClient, Entries, Office, Way, is_child};

const THREADS: usize = 4;
/// How many calls one server has.
const ROUND: u64 = 400;

/// What is printed.
#[derive(Default)]
struct Totals {
    kept: usize,
    dropped: usize,
    late: usize,
    notes: u64,
    /// Those that nobody waited for to the end, and that had begun all the same.
    in_vain: usize,
    longest: Duration,
}

impl Totals {
    fn add(&mut self, told: &[Told], begun: usize) {
        let kept: usize = told.iter().map(|told| told.kept.len()).sum();
        self.kept += kept;
        self.in_vain += begun - kept;
        for told in told {
            self.dropped += told.dropped.len();
            self.late += told.late.len();
            self.notes += told.notes;
            self.longest = self.longest.max(told.longest);
        }
    }
}

/// Names what failed, so that it can be had again.
struct Named(Way, bool, u64);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("served by {:?}, with rings: {}, seed {}", self.0, self.1, self.2);
        }
    }
}

#[test]
fn calls_that_nobody_waits_for_run_once_at_most_and_the_others_once() {
    if is_child() || !settings::alone() {
        return;
    }
    let calls = settings::number("SOAK_CANCELS", 1600);
    let seed = settings::seed();
    eprintln!("seed {seed}");
    let _watchdog = Watchdog::after(4 * BOUND + Duration::from_millis(20 * calls));
    let (before, threads) = (Holdings::with_mappings(), util::threads());
    let (mut rng, mut totals) = (Rng::with_seed(seed), Totals::default());
    for (way, _) in Way::ALL.into_iter().cycle().zip(0..calls.div_ceil(ROUND)) {
        let has_rings = rng.u8(..3) > 0;
        let _named = Named(way, has_rings, seed);
        round(way, has_rings, &mut rng, &mut totals);
        before.assert_restored();
        assert!(wait_until(BOUND, || util::threads() == threads), "{} threads", util::threads());
    }
    let Totals { kept, dropped, late, notes, in_vain, longest } = totals;
    eprintln!(
        "{kept} calls waited for, {dropped} given up, {late} out of time, {notes} one way, seed {seed}: \
         {in_vain} had begun in vain, longest wait {longest:.1?}"
    );
}

/// One server, from its start to its end.
fn round(way: Way, has_rings: bool, rng: &mut Rng, totals: &mut Totals) {
    let office = Office::open(way, THREADS, has_rings);
    // Every connection is busy enough for its rings before anything is counted.
    for client in office.clients.iter().cycle().take(50 * THREADS) {
        client.mark(0).expect("it serves");
    }
    let client = office.clients.first().expect("there are threads");
    client.take().expect("it serves");
    let before = client.holdings().expect("it serves");

    let told = call_from_threads(&office, rng);
    let entries = entries_with_all_notes(client, &told);
    check(way, &told, &entries);
    totals.add(&told, entries.begun.len());

    give_up_what_waits(way, client, rng);
    let holdings = || client.holdings().expect("it serves");
    assert!(wait_until(BOUND, || holdings() == before), "{before:?}, now {:?}", holdings());
    office.close();
}

fn call_from_threads(office: &Office, rng: &mut Rng) -> Vec<Told> {
    thread::scope(|scope| {
        let callers = office.clients.iter().zip(0..).map(|(client, thread)| {
            let caller = Caller::new(client, thread, rng.fork());
            scope.spawn(move || caller.call(ROUND / THREADS as u64))
        });
        let callers: Vec<_> = callers.collect();
        callers.into_iter().map(|caller| caller.join().expect("every call ends as it should")).collect()
    })
}

/// What was begun, when every one-way call has been.
fn entries_with_all_notes(client: &BookClient, told: &[Told]) -> Entries {
    let notes: u64 = told.iter().map(|told| told.notes).sum();
    let mut all = Entries::default();
    let are_there = wait_until(BOUND, || {
        let Entries { begun, notes: noted, deaf, mistimed } = client.take().expect("it serves");
        all.begun.extend(begun);
        all.notes.extend(noted);
        all.deaf.extend(deaf);
        all.mistimed.extend(mistimed);
        all.notes.len() as u64 >= notes
    });
    assert!(are_there, "{} of {notes} one-way calls", all.notes.len());
    all
}

/// Every handler heard of the end of its call, and had the time that was given.
fn assert_told(entries: &Entries) {
    assert!(entries.deaf.is_empty(), "not told: {:?}", entries.deaf);
    assert!(entries.mistimed.is_empty(), "with another's time: {:?}", entries.mistimed);
}

fn check(way: Way, told: &[Told], entries: &Entries) {
    let begun: HashSet<u64> = entries.begun.iter().copied().collect();
    assert_eq!(begun.len(), entries.begun.len(), "a call was begun twice");
    let all = told.iter().flat_map(|told| told.kept.iter().chain(&told.dropped).chain(&told.late));
    assert!(begun.is_subset(&all.copied().collect()), "a call was begun that nobody made");
    assert!(
        told.iter().flat_map(|told| &told.kept).all(|kept| begun.contains(kept)),
        "answered and not begun"
    );
    assert_told(entries);
    for (thread, told) in (0..).zip(told) {
        let mut noted: Vec<u64> =
            entries.notes.iter().filter(|(by, _)| *by == thread).map(|(_, number)| *number).collect();
        if way.threads() > 1 {
            noted.sort_unstable();
        }
        assert!(noted.iter().copied().eq(0..told.notes), "one-way calls of one thread: {noted:?}");
    }
}

/// All threads of the server are in handlers while calls are begun and given up. Then those are begun that somebody waits
/// for, and no other.
fn give_up_what_waits(way: Way, client: &BookClient, rng: &mut Rng) {
    let (begun, begins) = channel().expect("there is room");
    let held: Vec<_> = (0..way.threads())
        .map(|_| {
            let (gate, theirs): (Sender<()>, _) = channel().expect("there is room");
            let call = client.begin_hold(begun.clone(), theirs).expect("it serves");
            begins.recv().expect("it begins");
            (gate, call)
        })
        .collect();
    let (mut kept, mut dropped) = (Vec::new(), Vec::new());
    for number in 0..rng.u64(1..40) {
        let call = client.begin_mark(number).expect("it serves");
        if rng.bool() { kept.push((number, call)) } else { dropped.push(call) }
    }
    rng.shuffle(&mut dropped);
    drop(dropped);
    for (gate, call) in held {
        drop(gate);
        call.wait().expect("its gate is open");
    }
    let mut expected = Vec::new();
    for (number, call) in kept {
        call.wait().expect("it serves");
        expected.push(number);
    }
    let entries = client.take().expect("it serves");
    assert_told(&entries);
    // One that was given up before may have been on its way to a worker.
    let mut marked: Vec<_> = entries.begun.into_iter().filter(|number| *number < MOST).collect();
    marked.sort_unstable();
    assert_eq!(marked, expected, "begun, and those that somebody waited for");
}
