//! Messages whose bytes are said to be in a memory file.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::libc;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{ftruncate, write};
use unix_ipc::{LimitExceeded, ProtocolError, RecvError};

use crate::packets::{MEMORY, packet};
use crate::util::Watchdog;
use crate::{Canary, Hostile, most_allocated};

const SIZED: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW);
const SEALED: SealFlag = SIZED.union(SealFlag::F_SEAL_WRITE);

fn memory(bytes: &[u8], seals: SealFlag) -> OwnedFd {
    let file = memfd_create(c"hostile", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
    assert_eq!(write(&file, bytes).unwrap(), bytes.len());
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file
}

fn in_memory(length: u64) -> Vec<u8> {
    packet(MEMORY, 1, &length.to_le_bytes())
}

#[test]
fn a_sealed_file_of_the_declared_length_is_a_message() {
    let hostile = Hostile::new();
    hostile.write(&in_memory(5), &[memory(b"bytes", SEALED).as_fd()]);
    assert_eq!(hostile.receiver.recv().unwrap().0, b"bytes");
    hostile.is_well();
}

#[test]
fn p63_a_file_with_a_seal_missing_is_named() {
    let hostile = Hostile::new();
    let future = SIZED | SealFlag::from_bits_retain(libc::F_SEAL_FUTURE_WRITE);
    for seals in [
        SealFlag::empty(),
        SIZED,
        future,
        SealFlag::F_SEAL_WRITE,
        SEALED.difference(SealFlag::F_SEAL_SHRINK),
        SEALED.difference(SealFlag::F_SEAL_GROW),
    ] {
        hostile.write(&in_memory(5), &[memory(b"bytes", seals).as_fd()]);
        hostile.expect(&ProtocolError::MemoryFile);
        hostile.is_well();
    }
}

#[test]
fn p63_a_file_of_another_length_is_named() {
    let hostile = Hostile::new();
    for declared in [0, 4, 6, 64 << 20] {
        hostile.write(&in_memory(declared), &[memory(b"bytes", SEALED).as_fd()]);
        let most = most_allocated(|| hostile.expect(&ProtocolError::MemoryFile));
        assert!(most < 128 << 10, "{most} bytes were allocated");
        hostile.is_well();
    }
}

#[test]
fn p63_what_is_not_memory_is_named_and_closed() {
    let _watchdog = Watchdog::new();
    let hostile = Hostile::new();
    let canary = Canary::new();
    hostile.write(&in_memory(5), &[canary.fd()]);
    hostile.expect(&ProtocolError::MemoryFile);
    canary.assert_closed_by_receiver();
    for path in ["/dev/null", "/proc/self/exe", "/"] {
        hostile.write(&in_memory(0), &[File::open(path).unwrap().as_fd()]);
        hostile.expect(&ProtocolError::MemoryFile);
        hostile.is_well();
    }
}

#[test]
fn no_file_at_all_is_named() {
    let hostile = Hostile::new();
    hostile.refuses(&packet(MEMORY, 0, &5u64.to_le_bytes()), &ProtocolError::MemoryFile);
}

#[test]
fn a_body_that_is_no_length_is_named_and_what_rode_on_it_is_closed() {
    let _watchdog = Watchdog::new();
    let hostile = Hostile::new();
    for body in [0, 7, 9] {
        let canary = Canary::new();
        hostile.write(&packet(MEMORY, 1, &vec![0; body]), &[canary.fd()]);
        hostile.expect(&ProtocolError::Length { declared: 8, actual: body as u64 });
        canary.assert_closed_by_receiver();
        hostile.is_well();
    }
}

#[test]
fn p32_a_length_above_the_limit_is_refused_before_anything_is_allocated() {
    let hostile = Hostile::new();
    for length in [(64 << 20) + 1, 1 << 40] {
        let file = memfd_create(c"hostile", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
        ftruncate(&file, length).unwrap();
        fcntl(&file, FcntlArg::F_ADD_SEALS(SEALED)).unwrap();
        let actual = length.cast_unsigned();
        hostile.write(&in_memory(actual), &[file.as_fd()]);
        let refusal = LimitExceeded::MessageBytes { actual, limit: 64 << 20 };
        let most = most_allocated(|| {
            assert!(matches!(hostile.receiver.recv(), Err(RecvError::Refused(found)) if found == refusal));
        });
        assert!(most < 128 << 10, "{most} bytes were allocated");
        hostile.is_well();
    }
}

#[test]
fn descriptors_behind_the_file_keep_their_order() {
    let hostile = Hostile::new();
    let (first, second) = (File::open("/dev/null").unwrap(), File::open("/dev/zero").unwrap());
    let riding = [memory(b"bytes", SEALED), first.into(), second.into()];
    let riding: Vec<_> = riding.iter().map(AsFd::as_fd).collect();
    hostile.write(&packet(MEMORY, 3, &5u64.to_le_bytes()), &riding);
    let (bytes, descriptors) = hostile.receiver.recv().unwrap();
    assert_eq!(bytes, b"bytes");
    let device = |file: &OwnedFd| libc::minor(nix::sys::stat::fstat(file).unwrap().st_rdev);
    assert_eq!(descriptors.iter().map(device).collect::<Vec<_>>(), [3, 5], "null is 1:3, zero is 1:5");
}
