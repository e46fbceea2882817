//! One channel, many senders: threads, processes, and processes that die in the middle of a message.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use unix_ipc::{RawReceiver, RawSender, RecvError, raw_channel};

use crate::util::Watchdog;
use crate::{inherited_sender, role, start, text};

const LENGTHS: [usize; 6] = [0, 64, 65_000, 66_000, 300_000, 1 << 20];

/// A message that names its sender and its number, with as many descriptors as the number says.
fn send_numbered(sender: &RawSender, who: u8, number: u8) {
    let length = LENGTHS[usize::from(who.wrapping_add(number)) % LENGTHS.len()];
    let mut bytes = vec![who, number];
    bytes.extend(text(length, who ^ number));
    let null = File::open("/dev/null").unwrap();
    sender.send(&bytes, &vec![null.as_fd(); usize::from(number % 3)]).unwrap();
}

/// Receives until the end, checks every message whole and each sender's in order; how many each sent.
fn receive_numbered(receiver: &RawReceiver) -> BTreeMap<u8, u8> {
    let mut next = BTreeMap::new();
    loop {
        let (bytes, descriptors) = match receiver.recv() {
            Ok(message) => message,
            Err(RecvError::Disconnected) => return next,
            Err(error) => panic!("{error:?}"),
        };
        let [who, number, rest @ ..] = bytes.as_slice() else { panic!("{} bytes", bytes.len()) };
        let length = LENGTHS[usize::from(who.wrapping_add(*number)) % LENGTHS.len()];
        assert!(rest == text(length, who ^ number), "message {number} of {who} is whole");
        assert_eq!(descriptors.len(), usize::from(number % 3));
        let expected = next.entry(*who).or_insert(0);
        assert_eq!(number, expected, "the order of {who} is kept");
        *expected += 1;
    }
}

fn each(senders: u8, messages: u8) -> BTreeMap<u8, u8> {
    (0..senders).map(|who| (who, messages)).collect()
}

#[test]
fn p26_eight_threads_with_one_sender_do_not_tear_each_others_messages() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let sender = &sender;
    let received = thread::scope(|scope| {
        let received = scope.spawn(|| receive_numbered(&receiver));
        thread::scope(|senders| {
            for who in 0..8 {
                senders.spawn(move || (0..24).for_each(|number| send_numbered(sender, who, number)));
            }
        });
        nix::sys::socket::shutdown(
            std::os::fd::AsRawFd::as_raw_fd(&sender.as_fd()),
            nix::sys::socket::Shutdown::Write,
        )
        .unwrap();
        received.join().unwrap()
    });
    assert_eq!(received, each(8, 24));
}

#[test]
fn p26_senders_in_many_processes_do_not_tear_each_others_messages() {
    if let Some(who) = role() {
        let sender = inherited_sender();
        let who = who.parse().unwrap();
        (0..24).for_each(|number| send_numbered(&sender, who, number));
        return;
    }
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let children: Vec<_> = (0..4).map(|who| start(&format!("{who}"), &sender)).collect();
    drop(sender);
    assert_eq!(receive_numbered(&receiver), each(4, 24));
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn p26_a_sender_killed_in_the_middle_of_a_message_tears_nobody_elses() {
    if role().is_some() {
        let _ = inherited_sender().send(&vec![0xEE; 33 << 20], &[]);
        return;
    }
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    for _ in 0..3 {
        let mut child = start("dies", &sender);
        // Its beginning is there, and the rest never fits while nobody reads.
        let mut input = [PollFd::new(receiver.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut input, PollTimeout::NONE).unwrap(), 1);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(receiver.try_recv().unwrap().is_none());
    }
    thread::scope(|scope| {
        scope.spawn(move || (0..6).for_each(|number| send_numbered(&sender, 1, number)));
        assert_eq!(receive_numbered(&receiver), BTreeMap::from([(1, 6)]));
    });
    let receiver = unix_ipc::Receiver::<u8>::from(receiver);
    assert!(unix_ipc::serialize(&receiver).is_ok(), "the halves of the dead are forgotten");
}

#[test]
fn p39_sends_that_waited_leave_the_channel_in_step() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    for number in 0..3 {
        let count = fill(&sender);
        thread::scope(|scope| {
            scope.spawn(|| send_numbered(&sender, 0, number));
            for _ in 0..count {
                assert_eq!(receiver.recv().unwrap().0, b"filler");
            }
            assert_eq!(receiver.recv().unwrap().0[..2], [0, number]);
        });
    }
}

fn fill(sender: &RawSender) -> usize {
    (0..100_000).find(|_| sender.try_send(b"filler", &[]).is_err()).unwrap()
}
