//! Memory files: made, filled, sealed and checked.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
#[cfg(feature = "macros")]
use nix::fcntl::{FallocateFlags, fallocate};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::libc::{self, off_t};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};
use nix::sys::uio::pwrite;
#[cfg(feature = "serde")]
use nix::unistd::ftruncate;

use super::length::length;

/// The size is fixed, the bytes may change.
const SIZED: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW);

/// Nothing changes any more. `F_SEAL_FUTURE_WRITE` would not do: mappings made before it still write.
const SEALED: SealFlag = SIZED.union(SealFlag::F_SEAL_WRITE);

/// A new memory file of zeroes whose size is fixed.
#[cfg(feature = "serde")]
pub(crate) fn create(len: usize) -> io::Result<OwnedFd> {
    create_named(c"unix-ipc", len)
}

#[cfg(feature = "serde")]
fn create_named(name: &CStr, len: usize) -> io::Result<OwnedFd> {
    let file = memory_file(name)?;
    check_len(len)?;
    ftruncate(&file, offset(len)?)?;
    add_seals(file.as_fd(), SIZED)?;
    Ok(file)
}

/// The same with pages for these parts of it, so that none can be missing there later, under a name that shows what is mapped
/// (proc(5)). Nobody can seal it against writing. A part is where it begins, and how long it is.
#[cfg(feature = "macros")]
pub(crate) fn create_filled(name: &CStr, len: usize, parts: &[(usize, usize)]) -> io::Result<OwnedFd> {
    let file = create_named(name, len)?;
    for (start, len) in parts {
        fallocate(&file, FallocateFlags::empty(), offset(*start)?, offset(*len)?)?;
    }
    add_seals(file.as_fd(), SealFlag::F_SEAL_SEAL)?;
    Ok(file)
}

/// A new memory file that holds these bytes for good, one part behind the other.
pub(crate) fn sealed_copy(parts: &[&[u8]]) -> io::Result<OwnedFd> {
    let file = memory_file(c"unix-ipc")?;
    check_len(parts.iter().map(|part| part.len()).sum())?;
    let mut end = 0;
    for part in parts {
        write_at(file.as_fd(), end, part)?;
        end = end.saturating_add(part.len());
    }
    add_seals(file.as_fd(), SEALED.union(SealFlag::F_SEAL_SEAL))?;
    Ok(file)
}

/// Writes all of the bytes, without a mapping that others could see change.
pub(crate) fn write_at(file: BorrowedFd<'_>, start: usize, bytes: &[u8]) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        match pwrite(file, rest, offset(start.saturating_add(done))?) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => done += count,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Ends all writing to a file, and fails with `EBUSY` while somebody has it mapped for writing.
#[cfg(feature = "serde")]
pub(crate) fn seal(file: BorrowedFd<'_>) -> io::Result<()> {
    if seals(file)?.contains(SEALED) {
        return Ok(());
    }
    add_seals(file, SEALED)
}

/// The length of a file that is memory of a fixed size; an error where a peer's file is not.
#[cfg(feature = "serde")]
pub(crate) fn fixed_len(file: BorrowedFd<'_>) -> io::Result<u64> {
    checked_len(file, SIZED)
}

/// The length of a file that is memory which nobody can change; an error where a peer's file is not.
pub(crate) fn sealed_len(file: BorrowedFd<'_>) -> io::Result<u64> {
    checked_len(file, SEALED)
}

fn checked_len(file: BorrowedFd<'_>, required: SealFlag) -> io::Result<u64> {
    // The seals first: only memory has any, and the question asks no file system, which may be the peer's own and
    // never answer.
    if !seals(file)?.contains(required) {
        return Err(refused("the memory is not sealed"));
    }
    // Huge pages can be sealed and missing all the same: reading them is SIGBUS then.
    if fstatfs(file)?.filesystem_type() != TMPFS_MAGIC {
        return Err(refused("the file is not memory"));
    }
    u64::try_from(length(file)?).map_err(|_| refused("the memory has no length"))
}

fn refused(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn memory_file(name: &CStr) -> io::Result<OwnedFd> {
    /// Whether this kernel (before 6.3) has said that it does not know `MFD_NOEXEC_SEAL`.
    static OLD: AtomicBool = AtomicBool::new(false);

    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    if !OLD.load(Ordering::Relaxed) {
        match memfd_create(name, flags | MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL)) {
            Err(Errno::EINVAL) => OLD.store(true, Ordering::Relaxed),
            result => return Ok(result?),
        }
    }
    Ok(memfd_create(name, flags)?)
}

fn seals(file: BorrowedFd<'_>) -> io::Result<SealFlag> {
    match fcntl(file, FcntlArg::F_GET_SEALS) {
        Ok(bits) => Ok(SealFlag::from_bits_retain(bits)),
        // Nothing but memory can have seals.
        Err(Errno::EINVAL) => Err(refused("the file is not memory")),
        Err(error) => Err(error.into()),
    }
}

fn add_seals(file: BorrowedFd<'_>, seals: SealFlag) -> io::Result<()> {
    fcntl(file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(())
}

/// An error where a file may not be so long (`RLIMIT_FSIZE`, setrlimit(2)): the kernel would end the process with a signal.
fn check_len(len: usize) -> io::Result<()> {
    // A process that may not ask is taken to have no limit.
    let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE).unwrap_or((u64::MAX, u64::MAX));
    if len as u64 > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
}

fn offset(position: usize) -> io::Result<off_t> {
    off_t::try_from(position).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

#[cfg(all(test, feature = "serde"))]
mod tests {
    use nix::sys::stat::fstat;

    use super::*;
    use crate::sys::mapping::Mapping;

    #[test]
    fn memory_files_are_close_on_exec_and_not_executable() {
        for file in [create(1).unwrap(), sealed_copy(&[b"x"]).unwrap()] {
            let flags = fcntl(&file, FcntlArg::F_GETFD).unwrap();
            assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
            let known = memfd_create(c"probe", MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL)).is_ok();
            assert_eq!(fstat(&file).unwrap().st_mode & 0o111 == 0, known);
        }
    }

    #[test]
    fn a_sealed_copy_holds_the_bytes_and_refuses_every_change() {
        let file = sealed_copy(&[b"by", b"", b"tes"]).unwrap();
        assert_eq!(sealed_len(file.as_fd()).unwrap(), 5);
        assert_eq!(&Mapping::sealed(file.as_fd()).unwrap()[..], b"bytes");
        assert_eq!(write_at(file.as_fd(), 0, b"x").unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert_eq!(ftruncate(&file, 1), Err(Errno::EPERM));
        assert_eq!(ftruncate(&file, 9), Err(Errno::EPERM));
    }

    #[test]
    fn an_empty_file_maps_to_no_bytes() {
        let file = sealed_copy(&[b""]).unwrap();
        assert!(Mapping::sealed(file.as_fd()).unwrap().is_empty());
    }
}
