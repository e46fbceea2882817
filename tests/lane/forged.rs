//! The memory of a lane by hand, as a hostile process writes it.

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::packets::{Header, WHOLE};
use crate::values::random;

pub(crate) const RING: u8 = 11;
pub(crate) const SWITCH: u8 = 12;
pub(crate) const BELL: u8 = 13;

pub(crate) const CONSUMED: u64 = 0;
pub(crate) const ANSWER: u64 = 16;
pub(crate) const ASLEEP: u64 = 128;
pub(crate) const RECEIVERS_CORE: u64 = 136;
pub(crate) const RECORDS: u64 = 512;
/// Where records begin.
pub(crate) const ALIGN: u64 = 32;

pub(crate) const TAKEN: u64 = 1;
pub(crate) const DONE: u64 = 2;

pub(crate) const SIZED: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW);

pub(crate) fn memory(len: u64, seals: SealFlag) -> File {
    let file = memfd_create(c"hostile", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
    let file = File::from(file);
    file.set_len(len).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file
}

pub(crate) fn word(memory: &File, at: u64) -> u64 {
    let mut word = [0; 8];
    memory.read_exact_at(&mut word, at).unwrap();
    u64::from_ne_bytes(word)
}

pub(crate) fn set_word(memory: &File, at: u64, word: u64) {
    memory.write_all_at(&word.to_ne_bytes(), at).unwrap();
}

/// Writes a record whose first word comes last.
pub(crate) fn write_record(memory: &File, at: u64, record: &[u8]) {
    let (first, rest) = record.split_at(8);
    memory.write_all_at(rest, RECORDS + at + 8).unwrap();
    memory.write_all_at(first, RECORDS + at).unwrap();
}

/// Writes random words to random places, so many times.
pub(crate) fn storm(memory: &File, seed: u64, words: u64) {
    let len = memory.metadata().unwrap().len();
    let mut state = seed;
    for _ in 0..words {
        let (at, what) = (random(&mut state) % len, random(&mut state));
        // Among them those that could be a header, or a place.
        let what = match what % 4 {
            0 => what >> (what % 64),
            1 => 1 | (what % 1024) << 32,
            2 => (what % len) & !63,
            _ => what,
        };
        set_word(memory, at & !7, what);
    }
}

/// A message that has no bytes.
pub(crate) fn control(kind: u8, id: u64) -> Vec<u8> {
    Header { kind, id, ..Header::of(WHOLE, 0) }.packet(&[])
}

pub(crate) fn offer(id: u64, words: &[u64], descriptors: u16) -> Vec<u8> {
    let body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    offer_of(id, &body, descriptors)
}

pub(crate) fn offer_of(id: u64, body: &[u8], descriptors: u16) -> Vec<u8> {
    Header { kind: RING, id, descriptors, ..Header::of(WHOLE, u32::try_from(body.len()).unwrap()) }
        .packet(body)
}
