use std::hint;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::sending::{LaneLock, LaneSender};
use super::{Reading, commons};
use crate::deadline::Deadline;
use crate::limits::Limits;
use crate::raw_channel::RawSender;
use crate::raw_channel::incoming::Incoming;
use crate::socket::Socket;
use crate::sys::fork::in_a_copy;
use crate::sys::receive::Wait;

const NONE: &[OwnedFd] = &[];

/// Longer than any record of a lane.
const LONG: usize = 20_000;

/// Longer than a packet, so that a sender that may not wait puts it into a file.
const VERY_LONG: usize = 100_000;

struct Ends {
    sender: RawSender,
    socket: Socket,
    reading: Reading,
}

impl Ends {
    fn new() -> Self {
        let (sending, socket) = Socket::pair().unwrap();
        let sender = RawSender::from(sending).with_lane();
        Self { sender, socket, reading: Reading::new(Limits::default()) }
    }

    /// Ends whose next small message goes through a lane, if there is memory for one.
    fn hot() -> Self {
        let mut ends = Self::new();
        (0..130).for_each(|number| ends.pass(number));
        ends
    }

    fn pass(&mut self, number: u8) {
        self.send(number, 1);
        assert_eq!(self.look(), Some(number));
    }

    fn send(&self, number: u8, len: usize) {
        self.sender.send_all(vec![number; len].as_slice().into(), NONE, Deadline::NEVER).unwrap();
    }

    fn try_send(&self, number: u8, len: usize) -> bool {
        self.sender.try_send_all(vec![number; len].as_slice().into(), NONE).is_ok()
    }

    /// The next message, as it was numbered.
    fn look(&mut self) -> Option<u8> {
        loop {
            match self.reading.look(&self.socket, false).unwrap() {
                Incoming::Message(message) => return message.body.start().first().copied(),
                Incoming::Piece => {}
                _ => return None,
            }
        }
    }

    fn has_lane(&self) -> bool {
        self.sender.lane.as_ref().and_then(LaneLock::lock).is_some_and(|lane| lane.is_open())
    }

    /// Whether a thread that sleeps would wake.
    fn is_rung(&self) -> bool {
        super::receiving::has_packet(&self.socket)
    }
}

impl LaneSender {
    fn is_open(&self) -> bool {
        matches!(self.state, super::sending::State::Open(_))
    }
}

#[test]
fn no_thread_sleeps_beside_a_record_because_another_took_what_rang_for_it() {
    let mut ends = Ends::hot();
    let sleep = ends.reading.fall_asleep().unwrap();
    ends.send(0, 1);
    ends.send(1, LONG);
    ends.send(2, 1);
    ends.send(3, 1);
    assert_eq!([ends.look(), ends.look(), ends.look()], [Some(0), Some(1), Some(2)]);
    assert!(ends.is_rung(), "and 3 is there");
    ends.reading.wake_up(sleep);
    assert_eq!([ends.look(), ends.look()], [Some(3), None]);
}

#[test]
fn whatever_one_thread_takes_the_others_that_sleep_are_rung_for_the_rest() {
    for seed in 1..2000_u64 {
        let mut ends = Ends::hot();
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut random = |end: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % end
        };
        let (mut sent, mut received, mut sleeps) = (0_u8, 0_u8, Vec::new());
        for _ in 0..40 {
            match random(8) {
                0..=2 => {
                    ends.send(sent, if random(3) == 0 { LONG } else { 1 });
                    sent += 1;
                }
                3..=5 => {
                    if let Some(number) = ends.look() {
                        assert_eq!(number, received, "seed {seed}");
                        received += 1;
                    } else {
                        assert_eq!(sent, received, "seed {seed}");
                    }
                }
                6 => sleeps.extend(ends.reading.fall_asleep()),
                _ if ends.is_rung() => sleeps.pop().into_iter().for_each(|sleep| ends.reading.wake_up(sleep)),
                _ if random(20) == 0 => ends.reading.close(),
                _ => {}
            }
            assert!(sleeps.is_empty() || sent == received || ends.is_rung(), "seed {seed}");
        }
        sleeps.into_iter().for_each(|sleep| ends.reading.wake_up(sleep));
        (received..sent).for_each(|number| assert_eq!(ends.look(), Some(number), "seed {seed}"));
        assert_eq!(ends.look(), None);
    }
}

#[test]
fn no_thread_falls_asleep_beside_what_was_read_ahead() {
    let mut ends = Ends::hot();
    assert_eq!(ends.look(), None);
    ends.send(1, 1);
    ends.reading.close();
    assert!(ends.reading.fall_asleep().is_none());
    assert_eq!(ends.look(), Some(1));
}

#[test]
fn a_copy_of_the_process_sends_over_the_socket() {
    for len in [1, LONG, VERY_LONG] {
        let mut ends = Ends::hot();
        ends.send(1, 1);
        assert!(ends.has_lane());
        assert!(in_a_copy(|| {
            let sent = ends.try_send(2, len) && ends.try_send(3, 1);
            sent && !ends.has_lane()
        }));
        ends.send(4, 1);
        let mut received: Vec<_> = std::iter::from_fn(|| ends.look()).collect();
        received.retain(|number| ![2, 3].contains(number));
        assert_eq!(received, [1, 4]);
        ends.pass(5);
    }
}

#[test]
fn a_copy_of_the_process_receives_from_the_socket_and_leaves_the_lane_alone() {
    let mut ends = Ends::hot();
    ends.send(1, 1);
    assert!(in_a_copy(|| ends.look().is_none()));
    ends.send(2, LONG);
    assert!(in_a_copy(|| ends.look() == Some(2)));
    assert_eq!([ends.look(), ends.look()], [Some(1), None]);
    ends.pass(3);
    assert!(in_a_copy(|| {
        drop(ends.reading);
        drop(ends.sender);
        true
    }));
}

#[test]
fn what_another_sends_waits_for_a_lap_at_most_beside_a_lane_that_is_never_empty_for_long() {
    let mut ends = Ends::hot();
    let other = RawSender::from(Socket::from(ends.sender.as_fd().try_clone_to_owned().unwrap()));
    // A bell says on which core the sender is, and the receiver looks for a while then.
    let sleep = ends.reading.fall_asleep().unwrap();
    let received = AtomicU64::new(0);
    thread::scope(|scope| {
        let sender = &ends.sender;
        let received = &received;
        scope.spawn(move || {
            for number in 0..5000 {
                while received.load(Ordering::Acquire) < number {
                    hint::spin_loop();
                }
                sender.send_all([0].as_slice().into(), NONE, Deadline::NEVER).unwrap();
            }
        });
        while !super::receiving::has_packet(&ends.socket) {}
        ends.reading.wake_up(sleep);
        other.send(&[1], &[]).unwrap();
        let mut came_at = None;
        for number in 1..=5001 {
            let message = loop {
                if let Incoming::Message(message) = ends.reading.look(&ends.socket, true).unwrap() {
                    break message;
                }
            };
            if message.body.start() == [1] {
                came_at = Some(number);
            } else {
                received.fetch_add(1, Ordering::Release);
            }
        }
        assert!(came_at.is_some_and(|came_at| came_at < 2000), "{came_at:?}");
    });
}

#[test]
fn what_went_through_the_lane_before_another_sent_comes_before_that() {
    for _ in 0..500 {
        let mut ends = Ends::hot();
        let other = RawSender::from(Socket::from(ends.sender.as_fd().try_clone_to_owned().unwrap()));
        let is_looking = AtomicBool::new(false);
        thread::scope(|scope| {
            let (sender, is_looking) = (&ends.sender, &is_looking);
            scope.spawn(move || {
                while !is_looking.load(Ordering::Acquire) {
                    hint::spin_loop();
                }
                sender.send_all([1].as_slice().into(), NONE, Deadline::NEVER).unwrap();
                other.send(&[2], &[]).unwrap();
            });
            let mut received: Vec<u8> = Vec::new();
            while received.len() < 2 {
                is_looking.store(true, Ordering::Release);
                if let Incoming::Message(message) = ends.reading.look(&ends.socket, false).unwrap() {
                    received.extend(message.body.start());
                }
            }
            assert_eq!(received, [1, 2]);
        });
    }
}

/// Runs in a copy of the process that is a child and its own spawner.
fn with_commons(act: impl FnOnce()) {
    assert!(in_a_copy(|| {
        let (commons, file) = commons::make().unwrap();
        commons::inherit(Some((commons.name(), file)));
        act();
        true
    }));
}

#[test]
fn an_area_that_both_ends_have_left_is_used_again() {
    with_commons(|| {
        for _ in 0..20 {
            let (mut one, mut other) = (Ends::hot(), Ends::hot());
            for ends in [&mut one, &mut other] {
                ends.pass(1);
                assert!(ends.has_lane());
            }
            let mut third = Ends::hot();
            third.pass(1);
            assert!(!third.has_lane(), "there are two");
        }
    });
}

#[test]
fn an_area_is_used_again_whichever_end_leaves_first() {
    with_commons(|| {
        for number in 0..20 {
            let ends = Ends::hot();
            ends.send(1, 1);
            assert!(ends.has_lane());
            let Ends { sender, socket, reading } = ends;
            if number % 2 == 0 {
                drop((sender, reading, socket));
            } else {
                drop((reading, sender, socket));
            }
        }
    });
}

#[test]
fn an_area_that_nobody_took_is_used_again() {
    with_commons(|| {
        for number in 0..20 {
            let ends = Ends::new();
            // The offer is in the socket, and is never read.
            (0..140).for_each(|number| ends.send(number, 1));
            let Ends { sender, socket, reading } = ends;
            if number % 2 == 0 {
                drop((sender, reading, socket));
            } else {
                drop((reading, socket, sender));
            }
            let (mut one, mut other) = (Ends::hot(), Ends::hot());
            for ends in [&mut one, &mut other] {
                ends.pass(1);
                assert!(ends.has_lane());
            }
        }
    });
}

#[test]
fn an_offer_that_is_read_by_somebody_who_cannot_find_it_is_withdrawn() {
    with_commons(|| {
        let ends = [(); 2].map(|()| Ends::new());
        for ends in &ends {
            for number in 0..2000 {
                ends.send((number % 200) as u8, 1);
                // The packets go to somebody who knows nothing of lanes.
                while ends.socket.receive(&mut [0; 1024], Wait::No).is_ok() {}
            }
        }
        let mut third = Ends::hot();
        third.pass(1);
        assert!(third.has_lane());
    });
}
