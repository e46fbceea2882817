use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use crate::sys::pages::Pages;

/// Memory that two ends share. Offsets are in bytes, and those of words multiples of 8.
///
/// Loads acquire and stores release what the other end did before, except that copies of bytes are in no order of their
/// own.
pub(crate) trait Memory {
    fn load(&self, at: usize) -> u64;
    fn store(&self, at: usize, word: u64);
    fn swap(&self, at: usize, word: u64) -> u64;
    /// Writes a word in the place of another: false, and nothing done, where that is not there.
    fn exchange(&self, at: usize, from: u64, to: u64) -> bool;
    /// Writes a word, and reads another, as if a [`fence`](Self::fence) were between them.
    fn store_then_load(&self, at: usize, word: u64, other: usize) -> u64;
    /// The same for a word in the place of 0: `None`, and nothing done, where it is another.
    fn fill_then_load(&self, at: usize, word: u64, other: usize) -> Option<u64>;
    /// Between a store and a later load of another word: of two ends that both do so, one sees the other's store.
    fn fence(&self);
    fn write(&self, at: usize, bytes: &[u8]);
    /// The same for one word.
    fn write_word(&self, at: usize, word: u64);
    fn read(&self, at: usize, into: &mut [u8]);
    /// Reads so many bytes to the end of a vector.
    fn append(&self, at: usize, len: usize, into: &mut Vec<u8>);
    /// Sees to it that there is memory for so many bytes: false where there is none.
    fn provide(&self, at: usize, len: usize) -> bool;
}

impl Memory for Arc<Pages> {
    #[inline]
    fn load(&self, at: usize) -> u64 {
        self.word(at).load(Ordering::Acquire)
    }

    #[inline]
    fn store(&self, at: usize, word: u64) {
        self.word(at).store(word, Ordering::Release);
    }

    #[inline]
    fn swap(&self, at: usize, word: u64) -> u64 {
        self.word(at).swap(word, Ordering::AcqRel)
    }

    #[inline]
    fn exchange(&self, at: usize, from: u64, to: u64) -> bool {
        self.word(at).compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    // Both are exchanges and not stores with fences: where every exchange is a fence already, that is half the time.
    #[inline]
    fn store_then_load(&self, at: usize, word: u64, other: usize) -> u64 {
        self.word(at).swap(word, Ordering::SeqCst);
        self.word(other).load(Ordering::SeqCst)
    }

    #[inline]
    fn fill_then_load(&self, at: usize, word: u64, other: usize) -> Option<u64> {
        self.word(at).compare_exchange(0, word, Ordering::SeqCst, Ordering::Acquire).ok()?;
        Some(self.word(other).load(Ordering::SeqCst))
    }

    #[inline]
    fn fence(&self) {
        fence(Ordering::SeqCst);
    }

    #[inline]
    fn write(&self, at: usize, bytes: &[u8]) {
        Pages::write(self, at, bytes);
    }

    #[inline]
    fn write_word(&self, at: usize, word: u64) {
        self.word(at).store(word, Ordering::Relaxed);
    }

    #[inline]
    fn read(&self, at: usize, into: &mut [u8]) {
        Pages::read(self, at, into);
    }

    fn append(&self, at: usize, len: usize, into: &mut Vec<u8>) {
        Pages::append(self, at, len, into);
    }

    fn provide(&self, at: usize, len: usize) -> bool {
        Pages::provide(self, at, len).is_ok()
    }
}
