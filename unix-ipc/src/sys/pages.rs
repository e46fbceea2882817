//! Memory that two processes read and write at the same time.
//!
//! Nothing here refers to it but through atomics and through copies that the compiler cannot look into: whatever the other
//! process does meanwhile, what is read is some bytes, and never undefined.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};

use super::fork::Generation;
use super::memory;

/// The bytes of a word; words stand at multiples of it.
const WORD: usize = size_of::<u64>();

/// The shortest pages that there are, in bytes.
const PAGE: usize = 4096;

/// Up to so many bytes are copied a word at a time: for few that is as fast as any other way.
const MOST_BY_WORDS: usize = 256;

/// Memory of a fixed size that is shared with another process, and mapped here.
#[derive(Debug)]
pub(crate) struct Pages {
    address: NonNull<u8>,
    len: usize,
    /// A copy of the process that mapped it has not got it.
    mapped_in: Generation,
}

impl Pages {
    /// New memory of zeroes under a name, and the file under which another process finds it. The size is fixed, and there are pages
    /// for these parts of it, each as where it begins and how long it is.
    pub(crate) fn create(name: &CStr, len: usize, parts: &[(usize, usize)]) -> io::Result<(Self, OwnedFd)> {
        let file = memory::create_filled(name, len, parts)?;
        Ok((Self::map(file.as_fd(), len)?, file))
    }

    /// The memory that another process made; an error where it is not memory of this size, fixed.
    pub(crate) fn open(file: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        if memory::fixed_len(file)? != len as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the memory has another length"));
        }
        Self::map(file, len)
    }

    fn map(file: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        let bytes = NonZeroUsize::new(len).ok_or(io::ErrorKind::InvalidInput)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory of this process.
        let address = unsafe { mmap(None, bytes, protection, MapFlags::MAP_SHARED, file, 0)? };
        let pages = Self { address: address.cast(), len, mapped_in: Generation::current() };
        // SAFETY: exactly the mapping above; the advice changes nothing in this process. Where it is refused, a copy has
        // the memory as well, and leaves it alone.
        let _ = unsafe { madvise(address, len, MmapAdvise::MADV_DONTFORK) };
        Ok(pages)
    }

    /// Sees to it that there are pages for a part, which the kernel would otherwise look for when they are used, and end the
    /// process where it finds none (`MADV_POPULATE_WRITE`, madvise(2); Linux 5.14).
    pub(crate) fn provide(&self, at: usize, len: usize) -> io::Result<()> {
        if !self.is_here() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // It has to begin at a page. Where pages are longer it may be refused.
        let start = at - at % PAGE;
        let place = NonNull::new(self.range(start, at + len - start)).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: within the mapping, which lives as long as `self`; the bytes stay what they are.
        unsafe { madvise(place.cast(), at + len - start, MmapAdvise::MADV_POPULATE_WRITE)? };
        Ok(())
    }

    /// Whether they are in this process: a copy of the one that mapped them has not got them, and touches none.
    pub(crate) fn is_here(&self) -> bool {
        self.mapped_in.is_current()
    }

    /// The word at an offset in bytes, which is a multiple of 8 within the memory.
    #[inline]
    pub(crate) fn word(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(WORD) && at < self.len && WORD <= self.len - at, "a word of the memory");
        // SAFETY: within the mapping, which lives as long as `self`, and aligned, because mappings begin at a page. All
        // access to it in this process is atomic or a copy that the compiler does not see.
        unsafe { AtomicU64::from_ptr(self.address.as_ptr().add(at).cast()) }
    }

    /// Copies bytes to an offset. The rest of the last word may change as well.
    #[inline]
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        if bytes.len() <= MOST_BY_WORDS && at.is_multiple_of(WORD) {
            return self.write_words(at, bytes);
        }
        let place = self.range(at, bytes.len());
        // SAFETY: both are as long as said, and the mapping overlaps no slice of this process.
        unsafe { copy(bytes.as_ptr(), place, bytes.len()) };
    }

    /// Copies bytes from an offset.
    #[inline]
    pub(crate) fn read(&self, at: usize, into: &mut [u8]) {
        if into.len() <= MOST_BY_WORDS && at.is_multiple_of(WORD) {
            return self.read_words(at, into);
        }
        let place = self.range(at, into.len());
        // SAFETY: both are as long as said, and the mapping overlaps no slice of this process.
        unsafe { copy(place, into.as_mut_ptr(), into.len()) };
    }

    /// Copies so many bytes from an offset to the end of a vector.
    pub(crate) fn append(&self, at: usize, len: usize, into: &mut Vec<u8>) {
        let place = self.range(at, len);
        into.reserve(len);
        let end = into.len();
        let room = into.spare_capacity_mut().as_mut_ptr();
        // SAFETY: the memory is as long as said, the vector has room for as many bytes, and neither overlaps the other.
        unsafe { copy(place, room.cast(), len) };
        // SAFETY: these have just been written.
        unsafe { into.set_len(end + len) };
    }

    #[inline]
    fn write_words(&self, at: usize, bytes: &[u8]) {
        let (whole, rest) = bytes.as_chunks::<WORD>();
        let (words, last) = self.words(at, whole.len());
        for (word, bytes) in words.iter().zip(whole) {
            word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
        }
        if !rest.is_empty() {
            let mut word = [0; WORD];
            word[..rest.len()].copy_from_slice(rest);
            self.word(last).store(u64::from_ne_bytes(word), Ordering::Relaxed);
        }
    }

    #[inline]
    fn read_words(&self, at: usize, into: &mut [u8]) {
        let (whole, rest) = into.as_chunks_mut::<WORD>();
        let (words, last) = self.words(at, whole.len());
        for (word, bytes) in words.iter().zip(whole) {
            *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
        }
        if !rest.is_empty() {
            let word = self.word(last).load(Ordering::Relaxed).to_ne_bytes();
            rest.copy_from_slice(&word[..rest.len()]);
        }
    }

    /// So many words from an offset on, which is a multiple of 8, and the offset behind them.
    #[inline]
    fn words(&self, at: usize, count: usize) -> (&[AtomicU64], usize) {
        let start = self.range(at, count * WORD);
        assert!(at.is_multiple_of(WORD), "a word of the memory");
        // SAFETY: within the mapping, which lives as long as `self`, and aligned, because mappings begin at a page. All
        // access to it in this process is atomic or a copy that the compiler does not see.
        (unsafe { slice::from_raw_parts(start.cast(), count) }, at + count * WORD)
    }

    /// The address of a range that lies within the memory.
    #[inline]
    fn range(&self, at: usize, len: usize) -> *mut u8 {
        assert!(at <= self.len && len <= self.len - at, "a range of the memory");
        // SAFETY: within the mapping, or one past its end.
        unsafe { self.address.as_ptr().add(at) }
    }
}

// SAFETY: the memory is only accessed atomically or by copies to and from it, and can be unmapped from any thread.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Drop for Pages {
    fn drop(&mut self) {
        // In a copy something else may be at the address.
        if self.is_here() {
            // SAFETY: these pages are this value's own mapping, and nothing refers to them any more.
            let _ = unsafe { munmap(self.address.cast(), self.len) };
        }
    }
}

#[inline]
/// Copies bytes between memory of this process and memory that another process may change meanwhile. The compiler does not
/// look into it, so it has no data race to reason about.
///
/// # Safety
///
/// `from` is readable and `to` writable for `len` bytes, and they do not overlap.
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's. The direction flag is clear, as the ABI has it at every call. Lines go by vectors, which every
    // such processor has; string instructions are slow on one that is not made for them.
    unsafe {
        std::arch::asm!(
            "test {lines}, {lines}",
            "jz 3f",
            "2:",
            "movdqu {a}, [rsi]",
            "movdqu {b}, [rsi + 16]",
            "movdqu {c}, [rsi + 32]",
            "movdqu {d}, [rsi + 48]",
            "movdqu [rdi], {a}",
            "movdqu [rdi + 16], {b}",
            "movdqu [rdi + 32], {c}",
            "movdqu [rdi + 48], {d}",
            "add rsi, 64",
            "add rdi, 64",
            "dec {lines}",
            "jnz 2b",
            "3:",
            "rep movsb",
            lines = inout(reg) len / 64 => _,
            a = out(xmm_reg) _,
            b = out(xmm_reg) _,
            c = out(xmm_reg) _,
            d = out(xmm_reg) _,
            inout("rcx") len % 64 => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack)
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    for index in 0..len {
        // SAFETY: the caller's.
        unsafe { to.add(index).write_volatile(from.add(index).read_volatile()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 1 << 16;

    fn two_views() -> (Pages, Pages) {
        let (made, file) = Pages::create(c"pages", LEN, &[(0, LEN)]).unwrap();
        (made, Pages::open(file.as_fd(), LEN).unwrap())
    }

    #[test]
    fn what_one_view_writes_the_other_reads() {
        let (one, other) = two_views();
        for len in [0, 1, 7, 8, 9, 63, 255, 256, 257, 5000] {
            let bytes: Vec<u8> = (0..len).map(|index| (index * 7 + len) as u8).collect();
            for at in [0, 8, 16, 13, LEN - len - 8] {
                one.write(at, &bytes);
                let mut read = vec![0; len];
                other.read(at, &mut read);
                assert_eq!(read, bytes, "{len} bytes at {at}");
                let mut appended = b"before".to_vec();
                other.append(at, len, &mut appended);
                assert_eq!(appended, [b"before", &*bytes].concat(), "{len} bytes at {at}");
            }
        }
    }

    #[test]
    fn pages_are_there_once_they_are_asked_for() {
        let (pages, file) = Pages::create(c"pages", LEN, &[(0, 100)]).unwrap();
        let blocks = || nix::sys::stat::fstat(&file).unwrap().st_blocks;
        let before = blocks();
        pages.write(50, &[7; 50]);
        pages.provide(100, LEN - 100).unwrap();
        assert_eq!((before, blocks()), (8, LEN as i64 / 512), "in blocks of 512 bytes");
        let mut read = [0; 100];
        pages.read(0, &mut read);
        assert_eq!(read, [[0; 50], [7; 50]].concat()[..], "and nothing else has changed");
    }

    #[test]
    fn words_are_the_same_in_both_views() {
        let (one, other) = two_views();
        one.word(64).store(7, Ordering::Release);
        assert_eq!(other.word(64).swap(8, Ordering::AcqRel), 7);
        assert_eq!(one.word(64).load(Ordering::Acquire), 8);
    }

    #[test]
    #[should_panic(expected = "a range of the memory")]
    fn nothing_outside_is_reached() {
        let (one, _) = two_views();
        one.write(LEN - 300, &[1; 301]);
    }

    #[test]
    #[should_panic(expected = "a word of the memory")]
    fn no_word_outside_is_reached() {
        let (one, _) = two_views();
        one.word(LEN);
    }

    #[test]
    fn memory_of_another_size_and_what_is_no_memory_are_refused() {
        let (_, file) = Pages::create(c"pages", LEN, &[(0, LEN)]).unwrap();
        assert!(Pages::open(file.as_fd(), LEN / 2).is_err());
        assert!(Pages::open(std::fs::File::open("/dev/zero").unwrap().as_fd(), LEN).is_err());
    }

    #[test]
    fn p63_nobody_makes_the_memory_shorter_or_takes_the_seals_off() {
        use nix::errno::Errno;
        use nix::fcntl::{FcntlArg, SealFlag, fcntl};
        use nix::unistd::ftruncate;

        let (_pages, file) = Pages::create(c"pages", LEN, &[(0, LEN)]).unwrap();
        assert_eq!(ftruncate(&file, 0), Err(Errno::EPERM));
        assert_eq!(ftruncate(&file, 1 << 30), Err(Errno::EPERM));
        // A seal against writing would make a later mapping fail.
        assert_eq!(fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)), Err(Errno::EPERM));
    }

    #[test]
    fn a_copy_of_the_process_leaves_the_memory_alone() {
        let (one, _) = two_views();
        assert!(super::super::fork::in_a_copy(|| {
            drop(one);
            true
        }));
    }
}
