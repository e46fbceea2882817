//! A receiver that answers nonsense, or writes nonsense into the memory of a lane: the sender has an error, or goes on over
//! the socket, and never waits for what does not come.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use unix_ipc::{ProtocolError, SendError, Sender, channel};

use crate::forged::{
    ALIGN, ANSWER, ASLEEP, BELL, CONSUMED, DONE, RECEIVERS_CORE, RECORDS, RING, SWITCH, TAKEN, set_word,
    storm, word,
};
use crate::packets::VALUE;
use crate::util::{Holdings, Watchdog, alone, wait_until};
use crate::values::{HOT, Value, random};
use crate::yard::mappings;

const UNREACHED: ProtocolError = ProtocolError::Ring("a place in the ring that was not reached");

/// A sender, and the other end of its socket, which takes packets by hand.
struct Hostile {
    sender: Sender<Value>,
    socket: OwnedFd,
    memory: File,
}

/// The next packet's kind, and what rode on it.
fn take(socket: &OwnedFd, flags: RecvFlags) -> io::Result<(u8, Vec<OwnedFd>)> {
    let mut bytes = vec![0; 1 << 17];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253), ScmCredentials(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = flags | RecvFlags::CMSG_CLOEXEC;
    recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)?;
    let rights = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => Some(rights),
        _ => None,
    });
    let descriptors = rights.flatten().collect();
    Ok((bytes[0], descriptors))
}

impl Hostile {
    fn new() -> Self {
        let (sender, receiver) = channel::<Value>().unwrap();
        let socket = OwnedFd::from(receiver.into_raw_receiver());
        for number in 0..HOT {
            sender.send(Value::small(number)).unwrap();
            assert_eq!(take(&socket, RecvFlags::empty()).unwrap().0, VALUE);
        }
        let (kind, mut descriptors) = take(&socket, RecvFlags::empty()).unwrap();
        assert_eq!(kind, RING);
        Self { sender, socket, memory: descriptors.remove(0).into() }
    }

    fn taken() -> Self {
        let hostile = Self::new();
        hostile.answer(TAKEN);
        hostile
    }

    /// Answers the offer that stands in the memory.
    fn answer(&self, answer: u64) {
        set_word(&self.memory, ANSWER, word(&self.memory, ANSWER) & !(TAKEN | DONE) | answer);
    }

    /// The kinds of the packets that are there.
    fn packets(&self) -> Vec<u8> {
        std::iter::from_fn(|| take(&self.socket, RecvFlags::DONTWAIT).ok().map(|(kind, _)| kind)).collect()
    }

    /// Sends without waiting: what was said when it was neither sent nor full.
    fn try_send(&self, count: u64) -> Vec<SendError<Value>> {
        let sent = (0..count).map(|number| self.sender.try_send(Value::of(number, 100, false)));
        sent.filter_map(Result::err).filter(|error| !matches!(error, SendError::Full(_))).collect()
    }

    /// What is sent goes over the socket alone.
    #[track_caller]
    fn assert_over_socket(&self) {
        // With this the sender learns of it.
        self.sender.send(Value::small(0)).unwrap();
        self.packets();
        for number in 0..50 {
            self.sender.send(Value::small(number)).unwrap();
            self.sender.try_send(Value::small(number)).unwrap();
            assert_eq!(self.packets(), [VALUE, VALUE]);
        }
    }
}

#[test]
fn an_answer_that_is_none_or_no_keeps_all_on_the_socket() {
    for answer in [0, 3, 4, 1 << 32, u64::MAX, DONE] {
        let hostile = Hostile::new();
        set_word(&hostile.memory, ANSWER, answer);
        hostile.assert_over_socket();
    }
}

#[test]
fn what_is_said_of_a_lane_is_given_back_with_it() {
    if !alone() {
        return;
    }
    let hostile = Hostile::new();
    let before = Holdings::now().descriptor_count();
    assert_eq!(mappings(), 1);
    hostile.answer(DONE);
    hostile.assert_over_socket();
    assert_eq!(mappings(), 0);
    assert_eq!(Holdings::now().descriptor_count(), before);
}

#[test]
fn an_answer_that_is_taken_back_is_a_lane_that_nobody_reads() {
    let _watchdog = Watchdog::new();
    let hostile = Hostile::taken();
    hostile.sender.send(Value::small(1)).unwrap();
    assert_eq!(hostile.packets(), [SWITCH]);
    hostile.answer(DONE);
    let full =
        (0..100_000).find(|_| matches!(hostile.sender.try_send(Value::small(2)), Err(SendError::Full(_))));
    assert!(full.is_some(), "the lane and the socket have no end");
}

#[test]
fn a_place_that_was_not_reached_is_named_once_and_then_all_goes_over_the_socket() {
    let _watchdog = Watchdog::new();
    for place in [1, 63, 1 << 40, u64::MAX, u64::MAX - 63] {
        for waits in [false, true] {
            let hostile = Hostile::taken();
            set_word(&hostile.memory, CONSUMED, place);
            // Its core is another: it looks as if waiting for room in the lane were worth while.
            set_word(&hostile.memory, RECEIVERS_CORE, 1000);
            let mut errors = Vec::new();
            for number in 0..3000 {
                let value = Value::of(number, 100, false);
                let sent = if waits { hostile.sender.send(value) } else { hostile.sender.try_send(value) };
                errors.extend(sent.err());
                hostile.packets();
            }
            let [SendError::Io { value, source }] = &errors[..] else {
                panic!("{place}: {} errors, {:?}", errors.len(), errors.first())
            };
            assert_eq!(value.bytes.len(), 100);
            let named = source.get_ref().and_then(|source| source.downcast_ref());
            assert_eq!(named, Some(&UNREACHED));
            hostile.assert_over_socket();
        }
    }
}

#[test]
fn a_mark_in_the_place_of_any_record_sends_all_over_the_socket() {
    for before in [0, 1, 5, 100, 300] {
        for mark in [u64::MAX, 1, 1 << 63] {
            let hostile = Hostile::taken();
            assert!(hostile.try_send(before).is_empty());
            let written = (0..).find(|line| word(&hostile.memory, RECORDS + line * ALIGN) == 0);
            set_word(&hostile.memory, RECORDS + written.unwrap() * ALIGN, mark);
            hostile.assert_over_socket();
        }
    }
}

#[test]
fn a_receiver_that_says_it_sleeps_whatever_comes_is_rung_for_and_nobody_waits() {
    let _watchdog = Watchdog::new();
    let hostile = Hostile::taken();
    let mut kinds = Vec::new();
    for number in 0..2000 {
        set_word(&hostile.memory, ASLEEP, u64::MAX);
        let _ = hostile.sender.try_send(Value::small(number));
        if number % 3 == 0 {
            kinds.extend(take(&hostile.socket, RecvFlags::DONTWAIT).ok().map(|(kind, _)| kind));
        }
    }
    assert!(kinds.contains(&BELL));
}

#[test]
fn memory_that_always_changes_is_at_worst_an_error_of_the_sender() {
    let _watchdog = Watchdog::new();
    for seed in 1..=60_u64 {
        let hostile = Hostile::taken();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    hostile.packets();
                    thread::yield_now();
                }
            });
            scope.spawn(|| storm(&hostile.memory, seed, 30_000));
            let mut state = seed;
            for number in 0..3000 {
                let value = Value::of(number, (random(&mut state) % 200) as usize, number % 50 == 0);
                let sent =
                    if number % 2 == 0 { hostile.sender.send(value) } else { hostile.sender.try_send(value) };
                if let Err(error) = sent {
                    assert!(matches!(error, SendError::Io { .. } | SendError::Full(_)), "{error:?}");
                }
            }
            is_over.store(true, Ordering::Relaxed);
        });
        let Hostile { sender, socket, .. } = hostile;
        drop(socket);
        let told = wait_until(std::time::Duration::from_secs(20), || {
            sender.send(Value::small(1)).is_err_and(|error| error.is_disconnected())
        });
        assert!(told, "seed {seed}");
    }
}
