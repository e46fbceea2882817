//! recvmsg(2) with descriptors and credentials.
//!
//! nix's own wrapper gives up on truncated control data and leaves the descriptors that did arrive
//! open for ever, so this file parses control messages itself.
#![allow(unsafe_code)]

use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use nix::libc;

/// Who sent a packet, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) pid: i32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Whether a receive waits for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    No,
    /// One system call instead of two, where there is nothing else to wait for.
    #[cfg(feature = "macros")]
    ForEver,
    /// Not for the socket, but for what another core may be about to write.
    #[cfg(feature = "macros")]
    Looking,
    /// The same, for as long as the socket's own time says and no signal comes.
    #[cfg(feature = "macros")]
    Briefly,
}

/// One packet's length, and what came beside its bytes.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: usize,
    /// Owned from the moment the kernel made them, close-on-exec.
    pub(crate) descriptors: Vec<OwnedFd>,
    pub(crate) sender: Option<Credentials>,
    /// The packet was longer than the buffer (`MSG_TRUNC`).
    pub(crate) cut: bool,
    /// The kernel could not make all descriptors (`MSG_CTRUNC`).
    pub(crate) descriptors_lost: bool,
}

impl Received {
    /// Bytes, and nothing beside them.
    #[inline]
    pub(crate) fn of(bytes: usize) -> Self {
        Self { bytes, descriptors: Vec::new(), sender: None, cut: false, descriptors_lost: false }
    }
}

/// Room for 253 descriptors and the sender's credentials, twice over.
const CONTROL_WORDS: usize = 256;

/// Receives one packet, without waiting or after waiting for it; EINTR is the caller's.
#[inline]
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], wait: Wait) -> io::Result<Received> {
    let flags = match wait {
        Wait::No => libc::MSG_DONTWAIT,
        #[cfg(feature = "macros")]
        Wait::Looking => libc::MSG_DONTWAIT,
        #[cfg(feature = "macros")]
        Wait::ForEver | Wait::Briefly => 0,
    };
    receive_with(socket, buffer, flags)
}

/// Looks at one packet and leaves it in the queue.
#[cfg(feature = "macros")]
pub(crate) fn peek(socket: BorrowedFd<'_>) -> io::Result<Received> {
    receive_with(socket, &mut [], libc::MSG_PEEK | libc::MSG_DONTWAIT)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where the kernel hands over received descriptors"
)]
fn receive_with(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: libc::c_int) -> io::Result<Received> {
    let mut control = [MaybeUninit::<u64>::uninit(); CONTROL_WORDS];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all-zero is a valid `msghdr`: null pointers with zero lengths.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;

    let flags = flags | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: `message` points to `part` and `control`, which outlive the call, with their true lengths.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let bytes = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;

    let mut received = Received {
        cut: message.msg_flags & libc::MSG_TRUNC != 0,
        descriptors_lost: message.msg_flags & libc::MSG_CTRUNC != 0,
        ..Received::of(bytes)
    };
    // SAFETY: the kernel filled `control` up to the `msg_controllen` it set in `message`.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: `CMSG_FIRSTHDR` and `CMSG_NXTHDR` return headers that lie whole within the control buffer.
        let (level, kind, length) =
            unsafe { ((*header).cmsg_level, (*header).cmsg_type, (*header).cmsg_len as usize) };
        // SAFETY: `header` points to a header; its data follow, aligned, inside the same buffer.
        let data = unsafe { libc::CMSG_DATA(header) };
        // SAFETY: `CMSG_LEN(0)` is arithmetic on a constant.
        let length = length.saturating_sub(unsafe { libc::CMSG_LEN(0) } as usize);
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                for index in 0..length / size_of::<RawFd>() {
                    // SAFETY: `index` stays within the length the kernel wrote; the number is a descriptor
                    // that recvmsg has just made for this process and that nobody else knows.
                    let descriptor =
                        unsafe { OwnedFd::from_raw_fd(ptr::read_unaligned(data.cast::<RawFd>().add(index))) };
                    received.descriptors.push(descriptor);
                }
            }
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if length >= size_of::<libc::ucred>() => {
                // SAFETY: the length says that a whole `ucred` is there.
                let ucred = unsafe { ptr::read_unaligned(data.cast::<libc::ucred>()) };
                received.sender = Some(Credentials { pid: ucred.pid, uid: ucred.uid, gid: ucred.gid });
            }
            _ => {}
        }
        // SAFETY: `header` is a header of `message`, whose control buffer is still there.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    Ok(received)
}
