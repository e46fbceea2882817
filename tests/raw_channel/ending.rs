//! The end of either side.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::exit;

use nix::sys::socket::{MsgFlags, recv, send};
use unix_ipc::{RawReceiver, RawSender, RecvError, SendError, raw_channel};

use crate::util::Watchdog;
use crate::{inherited_receiver, inherited_sender, role, start, text};

#[test]
fn what_was_sent_is_received_before_the_end() {
    let (sender, receiver) = raw_channel().unwrap();
    sender.send(b"last words", &[]).unwrap();
    drop(sender);
    assert_eq!(receiver.recv().unwrap().0, b"last words");
    for _ in 0..3 {
        assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
    }
}

#[test]
fn p30_a_message_of_a_process_that_ends_at_once_is_received() {
    if role().is_some() {
        inherited_sender().send(b"last words", &[]).unwrap();
        exit(0);
    }
    let _watchdog = Watchdog::new();
    for _ in 0..10 {
        let (sender, receiver) = raw_channel().unwrap();
        let mut child = start("ends", &sender);
        drop(sender);
        assert!(child.wait().unwrap().success());
        assert_eq!(receiver.recv().unwrap().0, b"last words");
        assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
    }
}

#[test]
fn p30_a_receiver_that_ends_with_unread_messages_is_gone_and_nothing_worse() {
    if role().is_some() {
        assert_eq!(inherited_receiver().recv().unwrap().0, b"first");
        exit(0);
    }
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    sender.send(b"first", &[]).unwrap();
    sender.send(b"unread", &[]).unwrap();
    let mut child = start("ends", &receiver);
    drop(receiver);
    assert!(child.wait().unwrap().success());
    // The first of these is ECONNRESET inside, the second EPIPE.
    for _ in 0..2 {
        assert!(matches!(sender.send(b"x", &[]), Err(SendError::Disconnected(()))));
    }
    assert!(sender.try_send(&text(1 << 20, 0), &[]).unwrap_err().is_disconnected());
}

#[test]
fn the_end_comes_when_the_last_copy_in_any_process_is_gone() {
    if role().is_some() {
        let sender = inherited_sender();
        sender.send(b"here", &[]).unwrap();
        // Ends when the test says so, by closing the other end of the pipe.
        let mut end = String::new();
        std::io::stderr().as_file().read_to_string(&mut end).unwrap();
        return;
    }
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut child = crate::child("waits", &sender).stderr(reader).spawn().unwrap();
    drop(sender);
    assert_eq!(receiver.recv().unwrap().0, b"here");
    assert!(receiver.try_recv().unwrap().is_none(), "the child's copy keeps the channel open");
    drop(writer);
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
    assert!(child.wait().unwrap().success());
}

trait AsFile {
    fn as_file(&self) -> File;
}

impl<F: AsFd> AsFile for F {
    fn as_file(&self) -> File {
        self.as_fd().try_clone_to_owned().unwrap().into()
    }
}

#[test]
fn p40_a_receiver_cannot_send_and_a_sender_cannot_receive() {
    let (sender, receiver) = raw_channel().unwrap();
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    let result = send(receiver.as_fd().as_raw_fd(), b"back", flags);
    assert_eq!(result, Err(nix::errno::Errno::EPIPE));
    assert_eq!(recv(sender.as_fd().as_raw_fd(), &mut [0; 9], flags), Ok(0), "the end at once");

    let wrong = RawSender::from(OwnedFd::from(receiver));
    assert!(matches!(wrong.send(b"back", &[]), Err(SendError::Disconnected(()))));
    let wrong = RawReceiver::from(OwnedFd::from(sender));
    assert!(matches!(wrong.recv(), Err(RecvError::Disconnected)));
}

#[test]
fn an_end_survives_the_way_through_its_descriptor() {
    let (sender, receiver) = raw_channel().unwrap();
    let (sender, receiver) = (OwnedFd::from(sender), OwnedFd::from(receiver));
    let (sender, receiver) = (RawSender::from(sender), RawReceiver::from(receiver));
    sender.send(b"still", &[]).unwrap();
    assert_eq!(receiver.recv().unwrap().0, b"still");
}

#[test]
fn what_is_no_socket_is_an_error_and_not_a_panic() {
    let file = || OwnedFd::from(File::open("/dev/null").unwrap());
    assert!(matches!(RawSender::from(file()).send(b"x", &[]), Err(SendError::Io { .. })));
    assert!(matches!(RawReceiver::from(file()).recv(), Err(RecvError::Io(_))));
}
