//! A thread that calls, waits, gives up and runs out of time, as the dice fall.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use unix_ipc::{CallError, Handle, Pending};

use super::service::BookClient;

/// What a thread did, by the numbers of its calls.
#[derive(Default)]
pub(crate) struct Told {
    /// Answered.
    pub(crate) kept: Vec<u64>,
    /// Given up, or out of time.
    pub(crate) dropped: Vec<u64>,
    pub(crate) late: Vec<u64>,
    /// How many one-way calls there were: their numbers are those from 0 on.
    pub(crate) notes: u64,
    /// How long the longest of the answered calls took.
    pub(crate) longest: Duration,
}

pub(crate) struct Caller<'a> {
    client: &'a BookClient,
    thread: u64,
    next: u64,
    rng: Rng,
    told: Told,
}

/// More calls than any thread makes. The numbers of their calls are above it.
pub(crate) const MOST: u64 = 1 << 32;
/// What a call carries at most that may be given up, and one that is waited for, of which each thread has one. A handler
/// hears of its end only where no more than 1 MiB of other calls is before it.
const SHORT: usize = 20_000;
const LONG: usize = 200_000;

impl<'a> Caller<'a> {
    /// No two threads have a number in common.
    pub(crate) fn new(client: &'a BookClient, thread: u64, rng: Rng) -> Self {
        Self { client, thread, next: 0, rng, told: Told::default() }
    }

    pub(crate) fn call(mut self, calls: u64) -> Told {
        while self.next + self.told.notes < calls {
            self.step();
        }
        self.told
    }

    fn step(&mut self) {
        match self.rng.u8(..10) {
            0 | 1 => {
                let (number, begun) = (self.number(), Instant::now());
                self.client.mark(number).expect("it serves");
                self.keep(number, begun);
            }
            2 | 3 => self.begin_several(),
            4 | 5 => self.work_against_time(),
            6 => self.attend_and_give_up(),
            7 => self.attend_until_time_is_over(),
            8 if self.rng.bool() => {
                let (number, begun) = (self.number(), Instant::now());
                let bytes = vec![7; self.rng.usize(..LONG)];
                self.client.carry(number, &bytes, None).expect("it serves");
                self.keep(number, begun);
            }
            _ => {
                self.client.note(self.thread, self.told.notes).expect("it serves");
                self.told.notes += 1;
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        (self.thread + 1) * MOST + self.next
    }

    fn microseconds(&mut self, most: u64) -> Duration {
        Duration::from_micros(self.rng.u64(..most))
    }

    fn keep(&mut self, number: u64, begun: Instant) {
        self.told.kept.push(number);
        self.told.longest = self.told.longest.max(begun.elapsed());
    }

    /// Some of them are waited for and some given up, in any order.
    fn begin_several(&mut self) {
        let begun = Instant::now();
        let mut calls: Vec<_> = (0..self.rng.u8(1..8)).map(|_| self.begin()).collect();
        self.rng.shuffle(&mut calls);
        for (number, call) in calls {
            if self.rng.bool() {
                call.wait().expect("it serves");
                self.keep(number, begun);
            } else {
                drop(call);
                self.told.dropped.push(number);
            }
        }
    }

    fn begin(&mut self) -> (u64, Pending<()>) {
        let number = self.number();
        let begun = match self.rng.u8(..6) {
            0 => self.client.begin_carry(number, &vec![7; self.rng.usize(..SHORT)], None),
            1 => {
                let file = File::open("/dev/null").map(Handle::from).expect("it is there");
                self.client.begin_carry(number, &[], Some(file))
            }
            2 => self.client.begin_work(number, self.rng.u64(..300)),
            _ => self.client.begin_mark(number),
        };
        (number, begun.expect("it serves"))
    }

    /// A call that takes about as long as it is given.
    fn work_against_time(&mut self) {
        let (number, given) = (self.number(), self.microseconds(1500));
        let takes = self.rng.u64(..1000);
        let begun = Instant::now();
        match self.client.with_timeout(given).work(number, takes) {
            Ok(()) => self.keep(number, begun),
            Err(CallError::Timeout { .. }) => self.told.late.push(number),
            Err(error) => panic!("{error:?}"),
        }
    }

    /// A handler that ends because nobody waits for it any more, if it has begun.
    fn attend_and_give_up(&mut self) {
        let number = self.number();
        let call = self.client.begin_attend(number, None).expect("it serves");
        thread::park_timeout(self.microseconds(400));
        drop(call);
        self.told.dropped.push(number);
    }

    /// A handler that ends because its time is over.
    fn attend_until_time_is_over(&mut self) {
        let (number, given) = (self.number(), self.microseconds(1500));
        match self.client.with_timeout(given).attend(number, Some(given)) {
            // Its answer was faster than the end of the wait.
            Ok(is_told) => {
                assert!(is_told, "a handler whose time is over is told");
                self.told.kept.push(number);
            }
            Err(CallError::Timeout { .. }) => self.told.late.push(number),
            Err(error) => panic!("{error:?}"),
        }
    }
}
