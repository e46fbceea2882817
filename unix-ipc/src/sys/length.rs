//! The length of a file, by a system call that takes no path.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::BorrowedFd;

/// How long a file is, in bytes.
///
/// Not by the C library's `fstat`, which may be newfstatat(2): a process in a sandbox would have to be allowed to look at paths.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) fn length(file: BorrowedFd<'_>) -> io::Result<i64> {
    use std::mem::MaybeUninit;
    use std::os::fd::AsRawFd;

    use nix::errno::Errno;
    use nix::libc;

    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the descriptor is open while it is borrowed, and the call writes one `stat` to ours: here the C library's
    // structure is the kernel's.
    Errno::result(unsafe { libc::syscall(libc::SYS_fstat, file.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so it wrote the structure.
    Ok(unsafe { stat.assume_init() }.st_size)
}

/// How long a file is, in bytes.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn length(file: BorrowedFd<'_>) -> io::Result<i64> {
    Ok(nix::sys::stat::fstat(file)?.st_size.into())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn the_length_is_that_of_the_c_library() {
        let file = File::open(std::env::current_exe().unwrap()).unwrap();
        let expected = nix::sys::stat::fstat(&file).unwrap().st_size;
        assert_eq!(length(file.as_fd()).unwrap(), expected);
        assert!(expected > 1 << 16);
    }
}
