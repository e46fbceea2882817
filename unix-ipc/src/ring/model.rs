//! The memory of one ring as loom sees it: every order in which two threads' accesses can take effect is tried.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering, fence};
use loom::sync::{Condvar, Mutex};

use super::{LINE, Layout, Memory, RingReceiver, RingSender, place};

/// The bytes for records: three of a line, and the word behind them.
pub(super) const BYTES: usize = super::LEAST_BYTES;

/// How many they may grow to.
const MOST_BYTES: usize = 4 * BYTES;

/// Words that two threads share.
#[derive(Clone, Debug)]
pub(super) struct Words(Arc<BTreeMap<usize, AtomicU64>>);

impl Words {
    fn new() -> Self {
        let controls = place::ALL.into_iter();
        let records = (place::RECORDS..place::RECORDS + MOST_BYTES).step_by(8);
        // Of a line only the header and one word of the body are used.
        let used = records.filter(|at| at % LINE < 24);
        Self(Arc::new(controls.chain(used).map(|at| (at, AtomicU64::new(0))).collect()))
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        &self.0[&at]
    }
}

impl Memory for Words {
    fn load(&self, at: usize) -> u64 {
        self.word(at).load(Ordering::Acquire)
    }

    fn store(&self, at: usize, word: u64) {
        self.word(at).store(word, Ordering::Release);
    }

    fn swap(&self, at: usize, word: u64) -> u64 {
        self.word(at).swap(word, Ordering::AcqRel)
    }

    fn exchange(&self, at: usize, from: u64, to: u64) -> bool {
        self.word(at).compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    // Loom takes sequentially consistent accesses for less than they are; fences it knows.
    fn store_then_load(&self, at: usize, word: u64, other: usize) -> u64 {
        self.store(at, word);
        self.fence();
        self.load(other)
    }

    fn fill_then_load(&self, at: usize, word: u64, other: usize) -> Option<u64> {
        if !self.exchange(at, 0, word) {
            return None;
        }
        self.fence();
        Some(self.load(other))
    }

    fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        for (index, word) in bytes.chunks_exact(8).enumerate() {
            let word = u64::from_le_bytes(word.try_into().unwrap());
            self.word(at + 8 * index).store(word, Ordering::Relaxed);
        }
    }

    fn write_word(&self, at: usize, word: u64) {
        self.word(at).store(word, Ordering::Relaxed);
    }

    fn append(&self, at: usize, len: usize, into: &mut Vec<u8>) {
        let mut bytes = vec![0; len];
        self.read(at, &mut bytes);
        into.extend(bytes);
    }

    fn provide(&self, _at: usize, _len: usize) -> bool {
        true
    }

    fn read(&self, at: usize, into: &mut [u8]) {
        for (index, word) in into.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&self.word(at + 8 * index).load(Ordering::Relaxed).to_le_bytes());
        }
    }
}

/// The two ends of one ring.
pub(super) fn ring() -> (RingSender<Words>, RingReceiver<Words>) {
    let (memory, layout) =
        (Words::new(), Layout { start: 0, bytes: BYTES, most: MOST_BYTES, base: 0, align: LINE });
    let receiver = RingReceiver::new(memory.clone(), layout, layout.control(place::CORE), false);
    (RingSender::new(memory, layout, true), receiver)
}

/// The socket as a bell: it holds one ring, and takes more for rung.
#[derive(Clone, Debug)]
pub(super) struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Bell {
    pub(super) fn new() -> Self {
        Self(Arc::new((Mutex::new(false), Condvar::new())))
    }

    pub(super) fn ring(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
    }

    /// A wait that nobody ends is a deadlock, which loom reports.
    pub(super) fn wait(&self) {
        let mut rung = self.0.0.lock().unwrap();
        while !*rung {
            rung = self.0.1.wait(rung).unwrap();
        }
        *rung = false;
    }
}
