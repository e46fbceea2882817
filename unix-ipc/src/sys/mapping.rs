//! Sealed memory, mapped for reading.
#![allow(unsafe_code)]

use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::slice;

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::memory::sealed_len;

/// Sealed memory, mapped for reading.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: NonNull<u8>,
    len: usize,
}

impl Mapping {
    /// Maps a whole file; fails where it is not [sealed](sealed_len).
    ///
    /// However long the file is, this takes no memory: pages come when they are read.
    pub(crate) fn sealed(file: BorrowedFd<'_>) -> io::Result<Self> {
        let len = usize::try_from(sealed_len(file)?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let Some(bytes) = NonZeroUsize::new(len) else {
            return Ok(Self { address: NonNull::dangling(), len });
        };
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory of this process.
        let address = unsafe { mmap(None, bytes, ProtFlags::PROT_READ, MapFlags::MAP_SHARED, file, 0)? };
        Ok(Self { address: address.cast(), len })
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `address` is `len` mapped bytes until the drop of `self`, or dangling for none. The
        // seals, checked before the mapping, keep every process from writing to the file, from punching
        // holes in it and from cutting it off, for as long as the file lives.
        unsafe { slice::from_raw_parts(self.address.as_ptr(), self.len) }
    }
}

// SAFETY: the memory is only read, by everybody, and can be unmapped from any thread.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: these pages are this value's own mapping, and no slice of them outlives it. It cannot
            // fail: the range is exactly that of one mapping.
            let _ = unsafe { munmap(self.address.cast(), self.len) };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use nix::libc;

    use super::*;
    use crate::sys::memory::{create, seal};

    #[test]
    fn a_file_mapped_for_writing_cannot_be_sealed() {
        let file = create(4096).unwrap();
        let len = NonZeroUsize::new(4096).unwrap();
        let write = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses, which nothing refers to.
        let address = unsafe { mmap(None, len, write, MapFlags::MAP_SHARED, &file, 0) }.unwrap();
        assert_eq!(seal(file.as_fd()).unwrap_err().raw_os_error(), Some(libc::EBUSY));
        // SAFETY: exactly the mapping above.
        unsafe { munmap(address, 4096) }.unwrap();
        seal(file.as_fd()).unwrap();
        assert_eq!(sealed_len(file.as_fd()).unwrap(), 4096);
    }
}
