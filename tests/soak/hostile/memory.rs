//! The memory of rings and lanes, as a hostile process writes it: through its file, so that nothing here is mapped.

use std::fs::File;
use std::os::unix::fs::FileExt;

use fastrand::Rng;

use super::wire::{CALL, REPLY};

/// The words in front of the records, by their places.
const CONSUMED: u64 = 0;
const ANSWER: u64 = 16;
const WORDS: [u64; 7] = [CONSUMED, 8, ANSWER, 24, 128, 136, 256];
const RECORDS: u64 = 512;
/// In the place of a record: the ring has grown.
pub(crate) const GROWN: u64 = u64::MAX - 1;

/// Two rings, or a lane.
pub(crate) struct Memory {
    file: File,
    len: u64,
    /// Where the liar's ring begins, how long it is, and how long it may become.
    start: u64,
    bytes: u64,
    most: u64,
    align: u64,
    /// Where the next record begins, counted from the beginning of time.
    position: u64,
    /// What the victim sends: where its ring begins, its length, and the place up to which it was read.
    theirs: u64,
    their_bytes: u64,
    read: u64,
    pub(crate) id: u64,
}

impl Memory {
    /// Of the end that offered them, or of the other.
    pub(crate) fn rings(file: File, bytes: u64, most: u64, is_ours: bool) -> Self {
        let most = most.max(bytes);
        let start = if is_ours { 0 } else { RECORDS + most };
        let (len, theirs) = (2 * (RECORDS + most), RECORDS + most - start);
        Self {
            file,
            len,
            start,
            bytes,
            most,
            align: 64,
            position: 0,
            theirs,
            their_bytes: bytes,
            read: 0,
            id: 0,
        }
    }

    pub(crate) fn lane(file: File, id: u64) -> Self {
        let len = file.metadata().map_or(0, |metadata| metadata.len());
        let bytes = len.saturating_sub(RECORDS).max(256);
        let (theirs, their_bytes) = (0, bytes);
        Self {
            file,
            len,
            start: 0,
            bytes,
            most: bytes,
            align: 32,
            position: 0,
            theirs,
            their_bytes,
            read: 0,
            id,
        }
    }

    pub(crate) fn answer(&self, answer: u64) {
        self.set(ANSWER, answer);
    }

    /// Whether a lane was taken.
    pub(crate) fn is_taken(&self) -> bool {
        self.word(ANSWER) == self.id | 1
    }

    fn word(&self, at: u64) -> u64 {
        let mut word = [0; 8];
        // Memory that a victim has offered may be another than it says.
        let _ = self.file.read_exact_at(&mut word, self.start + at);
        u64::from_ne_bytes(word)
    }

    fn set(&self, at: u64, word: u64) {
        if self.start + at + 8 <= self.len {
            let _ = self.file.write_all_at(&word.to_ne_bytes(), self.start + at);
        }
    }

    /// The place of a record's byte.
    fn place(&self, position: u64) -> u64 {
        RECORDS + position % self.bytes
    }

    fn has_room(&self, len: u64) -> bool {
        let used = self.position.wrapping_sub(self.word(CONSUMED));
        used <= self.bytes && self.bytes - used >= len.next_multiple_of(self.align) + 2 * self.align
    }

    /// Writes a record as one is written, if there is room.
    pub(crate) fn write(&mut self, record: &[u8]) -> bool {
        let len = record.len() as u64;
        let Some((first, rest)) = record.split_first_chunk() else { return false };
        if !self.has_room(len) {
            return false;
        }
        let next = self.position + len.next_multiple_of(self.align);
        self.set(self.place(next), 0);
        for (chunk, at) in rest.chunks(8).zip((self.position + 8..).step_by(8)) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.set(self.place(at), u64::from_ne_bytes(word));
        }
        self.set(self.place(self.position), u64::from_ne_bytes(*first));
        self.position = next;
        true
    }

    /// Passes over what the victim has written, as a receiver does: the ids of calls, how many replies there were, and whether the
    /// victim waits for room and has to be woken.
    pub(crate) fn read(&mut self) -> (Vec<u64>, u64, bool) {
        let (mut calls, mut replies) = (Vec::new(), 0);
        let word = |memory: &Self, at: u64| {
            let mut word = [0; 8];
            let _ = memory.file.read_exact_at(&mut word, memory.theirs + at);
            u64::from_ne_bytes(word)
        };
        for _ in 0..1000 {
            let first = word(self, RECORDS + self.read % self.their_bytes);
            if first == GROWN {
                self.read += self.align;
                self.their_bytes = self.most;
            } else if first == 0 || first == u64::MAX {
                break;
            } else {
                let id = word(self, RECORDS + (self.read + 8) % self.their_bytes);
                calls.extend((first as u8 == CALL).then_some(id));
                replies += u64::from(first as u8 == REPLY);
                self.read += ((first >> 32) + 16).next_multiple_of(self.align);
            }
        }
        let consumed = self.read.to_ne_bytes();
        let _ = self.file.write_all_at(&consumed, self.theirs + CONSUMED);
        let waits = word(self, 256) != 0;
        if waits {
            let _ = self.file.write_all_at(&[0; 8], self.theirs + 256);
        }
        (calls, replies, waits)
    }

    /// Says that the ring has grown, which may be true.
    pub(crate) fn grow(&mut self) {
        self.set(24, 1);
        self.set(self.place(self.position), GROWN);
        self.position += self.align;
        self.bytes = self.most;
    }

    /// Puts a word in the place of the next record.
    pub(crate) fn mark(&self, word: u64) {
        self.set(self.place(self.position), word);
    }

    /// Changes one of the words that say how things are, in either ring.
    pub(crate) fn lie_about_words(&self, rng: &mut Rng) {
        let at = rng.choice(WORDS).unwrap_or(CONSUMED);
        let word = match rng.u8(..6) {
            0 => rng.u64(..),
            1 => u64::MAX,
            2 => self.word(at).wrapping_add(self.align),
            3 => self.word(at).wrapping_sub(1),
            4 => rng.u64(..) >> rng.u32(..64),
            _ => rng.u64(..4),
        };
        let other = if self.start == 0 { RECORDS + self.most } else { 0 };
        let ring = if rng.bool() { self.start } else { other };
        if ring + at + 8 <= self.len {
            let _ = self.file.write_all_at(&word.to_ne_bytes(), ring + at);
        }
    }

    /// Writes words, some of which could be headers or places, anywhere.
    pub(crate) fn storm(&self, rng: &mut Rng, words: u64) {
        for _ in 0..words {
            let at = rng.u64(..self.len.saturating_sub(8).max(1)) & !7;
            let word = match rng.u8(..4) {
                0 => rng.u64(..) >> rng.u32(..64),
                1 => u64::from(rng.u8(..16)) | rng.u64(..1 << 12) << 32,
                2 => rng.u64(..self.len) & !63,
                _ => rng.u64(..),
            };
            let _ = self.file.write_all_at(&word.to_ne_bytes(), at);
        }
    }
}
