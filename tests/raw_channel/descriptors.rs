//! Descriptors: none is leaked, lost, inherited or silently missing.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Uid, geteuid, setuid};
use unix_ipc::{LimitExceeded, RawSender, RecvError, SendError, raw_channel};

use crate::text;
use crate::util::{Holdings, Watchdog, alone};

/// The soft limit of this process's table of descriptors.
fn limit_table(soft: u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
}

#[test]
fn p01_a_thousand_sends_and_receives_leave_no_descriptor() {
    if !alone() {
        return;
    }
    let before = Holdings::now();
    {
        let (sender, receiver) = raw_channel().unwrap();
        let null = File::open("/dev/null").unwrap();
        for _ in 0..1000 {
            sender.send(b"x", &[null.as_fd(), null.as_fd()]).unwrap();
            assert_eq!(receiver.recv().unwrap().1.len(), 2);
        }
        for _ in 0..100 {
            sender.try_send(&text(100_000, 1), &[null.as_fd()]).unwrap();
            assert_eq!(receiver.recv().unwrap().1.len(), 1);
        }
        assert_eq!(Holdings::now().descriptor_count(), before.descriptor_count() + 3);
    }
    assert_eq!(Holdings::now().descriptor_count(), before.descriptor_count());
}

#[test]
fn unread_descriptors_are_closed_with_the_channel() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    sender.send(b"unread", &[writer.as_fd()]).unwrap();
    drop(writer);
    drop(receiver);
    assert_eq!(std::io::Read::read(&mut reader, &mut [0]).unwrap(), 0);
}

fn is_close_on_exec(descriptor: impl AsFd) -> bool {
    FdFlag::from_bits_retain(fcntl(descriptor.as_fd(), FcntlArg::F_GETFD).unwrap())
        .contains(FdFlag::FD_CLOEXEC)
}

#[test]
fn p20_every_descriptor_is_close_on_exec_from_birth() {
    let (sender, receiver) = raw_channel().unwrap();
    assert!(is_close_on_exec(&sender) && is_close_on_exec(&receiver));
    sender.send(b"x", &[sender.as_fd(), receiver.as_fd()]).unwrap();
    assert!(receiver.recv().unwrap().1.iter().all(is_close_on_exec));
}

#[test]
fn p20_programs_started_meanwhile_inherit_nothing() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let (sender, receiver) = raw_channel().unwrap();
                sender.send(b"x", &[sender.as_fd(); 20]).unwrap();
                receiver.recv().unwrap();
            }
        });
        let list = || Command::new("ls").arg("-l").arg("/proc/self/fd").output().unwrap();
        let listings: Vec<_> = (0..40).map(|_| list()).collect();
        over.store(true, Ordering::Relaxed);
        for output in listings {
            let listing = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success() && !listing.contains("socket:"), "{listing}");
        }
    });
}

#[test]
fn p09_no_number_of_descriptors_up_to_the_kernel_s_is_a_cap() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let null = File::open("/dev/null").unwrap();
    for count in [1, 63, 64, 65, 127, 128, 252, 253] {
        sender.send(b"x", &vec![null.as_fd(); count]).unwrap();
        assert_eq!(receiver.recv().unwrap().1.len(), count);
    }
}

#[test]
fn p10_p11_a_full_table_is_an_error_of_that_message_and_not_a_short_list() {
    if !alone() {
        return;
    }
    let (sender, receiver) = raw_channel().unwrap();
    let null = File::open("/dev/null").unwrap();
    sender.send(b"ten", &[null.as_fd(); 10]).unwrap();
    sender.send(b"none", &[]).unwrap();
    sender.send(b"one", &[null.as_fd()]).unwrap();
    // A memory file and two descriptors: 3 places where there are 4, then 2.
    sender.try_send(&text(100_000, 1), &[null.as_fd(); 2]).unwrap();
    let before = Holdings::now();
    let highest = fs::read_dir("/proc/self/fd").unwrap().count() as u64 - 1;
    limit_table(highest + 4);
    assert!(matches!(receiver.recv(), Err(RecvError::Refused(LimitExceeded::DescriptorTable))));
    assert_eq!(receiver.recv().unwrap().0, b"none");
    assert_eq!(receiver.recv().unwrap().1.len(), 1);
    let held = File::open("/dev/null").unwrap();
    let more = (File::open("/dev/null").unwrap(), File::open("/dev/null").unwrap());
    assert!(matches!(receiver.recv(), Err(RecvError::Refused(LimitExceeded::DescriptorTable))));
    drop((held, more));
    limit_table(1024);
    assert_eq!(Holdings::now(), before, "what did arrive of the ten is closed");
}

#[test]
fn p11_a_full_table_at_the_last_piece_ends_the_long_message() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let null = File::open("/dev/null").unwrap();
    let highest = fs::read_dir("/proc/self/fd").unwrap().count() as u64 - 1;
    thread::scope(|scope| {
        scope.spawn(|| sender.send(&text(100_000, 1), &[null.as_fd(); 10]).unwrap());
        limit_table(highest + 2);
        assert!(matches!(receiver.recv(), Err(RecvError::Refused(LimitExceeded::DescriptorTable))));
        limit_table(1024);
    });
    let receiver = unix_ipc::Receiver::<u8>::from(receiver);
    assert!(unix_ipc::serialize(&receiver).is_ok(), "no half message is left");
    sender.send(&[7], &[]).unwrap();
    assert_eq!(receiver.recv().unwrap(), 7);
}

/// Sends descriptors until the kernel refuses, which it does for those that are not privileged.
fn flood(sender: &RawSender, riding: &[BorrowedFd<'_>]) -> usize {
    for count in 0..1000 {
        match sender.try_send(b"flood", riding) {
            Ok(()) => {}
            Err(SendError::Refused { source: LimitExceeded::DescriptorsInFlight, .. }) => return count,
            Err(error) => panic!("{error:?} after {count}"),
        }
    }
    panic!("the kernel never refuses");
}

#[test]
fn p12_too_many_descriptors_in_flight_are_refused_and_the_next_message_is_right() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    if geteuid().is_root() {
        // A user that has nothing else in flight: the privileged are exempt from the limit.
        setuid(Uid::from_raw(61_012)).unwrap();
    }
    limit_table(64);
    let (sender, receiver) = raw_channel().unwrap();
    let riding = [sender.as_fd(); 10];
    let count = flood(&sender, &riding);
    assert!(count > 0);
    let result = sender.send(b"blocking", &riding);
    assert!(matches!(result, Err(SendError::Refused { source: LimitExceeded::DescriptorsInFlight, .. })));
    let result = sender.send(&text(100_000, 1), &riding);
    assert!(matches!(result, Err(SendError::Refused { source: LimitExceeded::DescriptorsInFlight, .. })));
    sender.send(b"without", &[]).unwrap();
    for _ in 0..count {
        assert_eq!(receiver.recv().unwrap().1.len(), 10);
    }
    assert_eq!(receiver.recv().unwrap().0, b"without");
    sender.send(b"again", &riding).unwrap();
    assert_eq!(receiver.recv().unwrap().1.len(), 10);
}

#[test]
fn p13_a_channel_sent_over_itself_is_freed_when_both_ends_are_dropped() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    sender.send(b"cycle", &[receiver.as_fd(), sender.as_fd(), writer.as_fd()]).unwrap();
    drop((sender, receiver, writer));
    // The kernel's collector runs when another socket is closed, at the latest.
    drop(raw_channel().unwrap());
    assert_eq!(std::io::Read::read(&mut reader, &mut [0]).unwrap(), 0, "the pipe's last writer is gone");
}

#[test]
fn a_received_descriptor_is_the_same_open_file() {
    let (sender, receiver) = raw_channel().unwrap();
    let file = tempfile::tempfile().unwrap();
    sender.send(b"", &[file.as_fd()]).unwrap();
    let (_, descriptors) = receiver.recv().unwrap();
    nix::unistd::write(&descriptors[0], b"12345").unwrap();
    let place = nix::unistd::lseek(&file, 0, nix::unistd::Whence::SeekCur).unwrap();
    assert_eq!(place, 5, "the position is shared");
    assert_ne!(descriptors[0].as_raw_fd(), file.as_raw_fd());
    assert_eq!(fcntl(&descriptors[0], FcntlArg::F_GETFL).unwrap() & libc::O_ACCMODE, libc::O_RDWR);
}
