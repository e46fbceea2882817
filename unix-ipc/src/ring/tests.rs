#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod growing;

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::model::{self, Bell};
use super::*;
use crate::sys::pages::Pages;

type Ends = (RingSender<Arc<Pages>>, RingReceiver<Arc<Pages>>);

/// What two processes have: each a mapping of its own.
fn two_processes(bytes: usize) -> (Ends, Ends) {
    two_that_grow(fixed(bytes))
}

fn two_that_grow(size: Size) -> (Ends, Ends) {
    let (ours, file) = Pages::create(c"ring", memory_bytes(size), &filled_parts(size)).unwrap();
    let theirs = Pages::open(file.as_fd(), memory_bytes(size)).unwrap();
    (ends(&Arc::new(ours), size, true), ends(&Arc::new(theirs), size, false))
}

/// A ring that does not grow.
fn fixed(bytes: usize) -> Size {
    Size { bytes, most: bytes }
}

fn memory_of(size: Size) -> Arc<Pages> {
    Arc::new(Pages::create(c"ring", memory_bytes(size), &filled_parts(size)).unwrap().0)
}

fn header(body: usize, id: u64) -> [u8; 16] {
    let mut header = [0; 16];
    header[0] = 1;
    header[4..8].copy_from_slice(&(body as u32).to_le_bytes());
    header[8..].copy_from_slice(&id.to_le_bytes());
    header
}

fn body(len: usize, id: u64) -> Vec<u8> {
    (0..len as u64).map(|index| (index.wrapping_mul(31) ^ id) as u8).collect()
}

fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn packets_come_out_as_they_went_in_over_many_laps() {
    let ((mut sender, _), (_, mut receiver)) = two_processes(4096);
    let (mut state, mut sent, mut received) = (0x9E37_79B9_7F4A_7C15, 0_u64, 0_u64);
    let mut packet = vec![0; 4096];
    let len_of = |id: u64| {
        let mut state = id + 1;
        (random(&mut state) % 1000) as usize
    };
    while received < 20_000 {
        if random(&mut state).is_multiple_of(2) {
            let bytes = body(len_of(sent), sent);
            let (place, piece) = bytes.split_at(if bytes.len() < 16 { 0 } else { 16 });
            match sender.send(&header(bytes.len(), sent), place, piece) {
                Ok(_) => sent += 1,
                Err(NoRoom::Now) => {}
                Err(other) => panic!("{other:?}"),
            }
        } else if let len @ 1.. = receiver.receive(&mut packet).unwrap() {
            let expected = len_of(received);
            assert_eq!(len, 16 + expected);
            assert_eq!(packet[..16], header(expected, received));
            assert_eq!(packet[16..len], body(expected, received));
            receiver.tell();
            received += 1;
        }
    }
}

#[test]
fn packets_that_were_peeked_at_are_appended_over_many_laps() {
    let ((mut sender, _), (_, mut receiver)) = two_processes(4096);
    let mut appended = Vec::new();
    for id in 0..5000_u64 {
        let mut state = id + 1;
        // As long as what is peeked at, or longer.
        let bytes = body(16 + (random(&mut state) % 900) as usize, id);
        assert_eq!(receiver.peek(), None);
        sender.send(&header(bytes.len(), id), &[], &bytes).unwrap();
        let start = receiver.peek().unwrap();
        assert_eq!(receiver.peek(), Some(start), "it stays where it is");
        assert_eq!(start[..], [&header(bytes.len(), id), &bytes[..16]].concat());
        appended.truncate(3);
        let kept = appended.clone();
        receiver.take_peeked(16 + bytes.len(), &mut appended).unwrap();
        assert_eq!(appended, [&*kept, &bytes[16..]].concat());
        receiver.tell();
    }
    assert!(receiver.take_peeked(4096, &mut appended).is_err(), "longer than any packet");
}

#[test]
fn bytes_that_look_like_a_header_are_none() {
    // A body whose every word could be a packet's first: it is overwritten or cleared before anybody looks for one there.
    let ((mut sender, _), (_, mut receiver)) = two_processes(LEAST_BYTES);
    let forged = [header(0, 7), header(0, 7), header(0, 7)].concat();
    let mut packet = vec![0; LEAST_BYTES];
    for lap in 0..50 {
        sender.send(&header(forged.len(), lap), &[], &forged).unwrap();
        assert_eq!(receiver.receive(&mut packet).unwrap(), 16 + forged.len());
        assert_eq!(receiver.receive(&mut packet).unwrap(), 0, "nothing is behind it");
        receiver.tell();
    }
}

#[test]
fn a_full_ring_has_room_again_when_the_receiver_told_so() {
    let ((mut sender, _), (_, mut receiver)) = two_processes(LEAST_BYTES);
    let mut packet = vec![0; LEAST_BYTES];
    for id in 0..3 {
        sender.send(&header(8, id), &[], &[1; 8]).unwrap();
    }
    assert_eq!(sender.send(&header(8, 3), &[], &[1; 8]), Err(NoRoom::Now));
    assert_eq!(sender.want_room(24), Ok(true));
    receiver.receive(&mut packet).unwrap();
    assert!(receiver.tell(), "the sender waits and is to be rung for");
    assert_eq!(sender.want_room(24), Ok(false));
    sender.send(&header(8, 3), &[], &[1; 8]).unwrap();
}

#[test]
fn the_receiver_is_rung_for_once_it_sleeps_and_only_once() {
    let ((mut sender, _), (_, mut receiver)) = two_processes(4096);
    assert_eq!(sender.send(&header(0, 1), &[], &[]), Ok(false), "awake");
    receiver.receive(&mut [0; 64]).unwrap();
    assert_eq!(receiver.fall_asleep(), (true, false));
    assert_eq!(sender.send(&header(0, 2), &[], &[]), Ok(true), "asleep");
    assert_eq!(sender.send(&header(0, 3), &[], &[]), Ok(false), "rung already");
    assert_eq!(receiver.fall_asleep(), (false, false), "there is something to read");
}

#[test]
fn a_receiver_that_lies_about_its_place_is_caught() {
    let size = fixed(4096);
    let memory = memory_of(size);
    for lie in [8, 64, 4096, u64::MAX, u64::MAX - 63] {
        let (mut sender, _) = ends(&memory, size, true);
        memory.word(place::CONSUMED).store(lie, Ordering::Relaxed);
        assert!(sender.want_room(16).is_err(), "{lie}");
    }
    let (sender, _) = ends(&memory, size, true);
    memory.word(place::DESCRIPTORS).store(1, Ordering::Relaxed);
    assert!(sender.descriptors_on_the_way().is_err());
}

#[test]
fn a_sender_that_lies_about_a_length_is_caught() {
    let size = fixed(4096);
    let memory = memory_of(size);
    for length in [2048 - 15, 4096, u64::from(u32::MAX)] {
        let (_, mut receiver) = ends(&memory, size, false);
        memory.word(place::RECORDS).store(length << 32 | 1, Ordering::Relaxed);
        assert!(receiver.receive(&mut vec![0; 1 << 20]).is_err(), "{length}");
    }
}

#[test]
fn threads_hand_a_million_packets_over_without_a_bell() {
    let ((mut sender, _), (_, mut receiver)) = two_processes(1 << 14);
    let sending = thread::spawn(move || {
        for id in 0..1_000_000_u64 {
            while sender.send(&header(8, id), &[], &id.to_le_bytes()).is_err() {
                thread::yield_now();
            }
        }
    });
    let mut packet = [0; 64];
    for id in 0..1_000_000_u64 {
        while receiver.receive(&mut packet).unwrap() == 0 {
            receiver.tell();
            thread::yield_now();
        }
        assert_eq!(packet[16..24], id.to_le_bytes());
        receiver.tell();
    }
    sending.join().unwrap();
}

#[test]
fn a_closed_ring_takes_nothing_more_and_has_lost_nothing() {
    let (mine, file) =
        Pages::create(c"ring", lone_bytes(LEAST_BYTES), &[(0, lone_bytes(LEAST_BYTES))]).unwrap();
    let theirs = Pages::open(file.as_fd(), lone_bytes(LEAST_BYTES)).unwrap();
    // As an earlier ring may have left it.
    (0..lone_bytes(LEAST_BYTES) / 8).for_each(|word| mine.word(8 * word).store(u64::MAX, Ordering::Relaxed));
    let mut sender = lone_sender(Arc::new(mine), 0, LEAST_BYTES);
    let mut receiver = lone_receiver(Arc::new(theirs), 0, LEAST_BYTES);
    let mut packet = [0; LEAST_BYTES];
    for id in 0..9 {
        assert_eq!(sender.send_unless_closed(&header(0, id), &[], 0), Ok(false));
        assert!(!receiver.close(), "there is a record");
        assert_eq!(receiver.receive(&mut packet), Ok(16));
        receiver.tell();
    }
    assert!(receiver.close());
    assert_eq!(sender.send_unless_closed(&header(0, 9), &[], 0), Err(NoRoom::Closed));
    assert!(receiver.receive(&mut packet).is_err(), "the mark is no packet");
}

#[test]
fn an_offer_is_taken_once_and_not_when_the_memory_is_in_use_again() {
    let (pages, _file) =
        Pages::create(c"ring", lone_bytes(LEAST_BYTES), &[(0, lone_bytes(LEAST_BYTES))]).unwrap();
    let memory = Arc::new(pages);
    let (old, new) = (Offer::new(0, 7 << 2), Offer::new(0, 8 << 2 | 3));
    old.make(&memory);
    assert_eq!(old.answered(&memory), None);
    assert!(Offer::is_over(&memory, 0), "it is withdrawn");
    assert!(!old.answer(&memory, Answer::Taken));
    new.make(&memory);
    assert!(!old.answer(&memory, Answer::Done));
    assert!(new.answer(&memory, Answer::Taken));
    assert!(!new.answer(&memory, Answer::Done), "it was answered");
    assert_eq!((old.answered(&memory), new.answered(&memory)), (None, Some(Answer::Taken)));
    assert!(!Offer::is_over(&memory, 0));
    new.end(&memory);
    assert_eq!(new.answered(&memory), Some(Answer::Done));
    assert!(Offer::is_over(&memory, 0));
}

#[test]
fn what_is_to_be_spared_is_left_free() {
    let ((mut sender, _), (_, mut receiver)) = two_processes(LEAST_BYTES);
    for id in 0..2 {
        assert_eq!(sender.send_unless_closed(&header(0, id), &[], LINE), Ok(false));
    }
    assert_eq!(sender.send_unless_closed(&header(0, 2), &[], LINE), Err(NoRoom::Now));
    assert_eq!(sender.send_unless_closed(&header(0, 2), &[], 0), Ok(false));
    (0..3).for_each(|_| assert_eq!(receiver.receive(&mut [0; 64]), Ok(16)));
}

/// Loom tries every interleaving, up to as many switches away from a thread that could go on as this.
fn model(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}

/// Receives so many packets, in order, and sleeps where there is none.
fn receive_all(mut receiver: RingReceiver<model::Words>, count: u64, bell: &Bell, room: &Bell) {
    let mut packet = [0; 64];
    let mut next = 0;
    while next < count {
        if receiver.receive(&mut packet).unwrap() > 0 {
            assert_eq!(packet[8..24], [next.to_le_bytes(), (next + 100).to_le_bytes()].concat());
            next += 1;
            if receiver.tell() {
                room.ring();
            }
            continue;
        }
        let (is_empty, must_ring) = receiver.fall_asleep();
        if must_ring {
            room.ring();
        }
        if is_empty {
            bell.wait();
        }
        receiver.wake_up();
    }
}

/// Hands two packets over, one thread to another, and does something between them.
fn hand_two_over(after_each: fn(&mut RingSender<model::Words>)) {
    model(3, move || {
        let (mut sender, receiver) = model::ring();
        let (bell, room) = (Bell::new(), Bell::new());
        let rings = bell.clone();
        let sending = loom::thread::spawn(move || {
            for id in 0..2_u64 {
                if sender.send(&header(8, id), &[], &(id + 100).to_le_bytes()).unwrap() {
                    rings.ring();
                }
                after_each(&mut sender);
            }
        });
        receive_all(receiver, 2, &bell, &room);
        sending.join().unwrap();
    });
}

#[test]
fn no_wake_up_is_lost_in_any_order() {
    hand_two_over(|_| ());
}

#[test]
fn no_packet_is_lost_beside_a_ring_that_closes_in_any_order() {
    model(3, || {
        let (mut sender, mut receiver) = model::ring();
        let sending = loom::thread::spawn(move || {
            let mut over_socket = Vec::new();
            for id in 0..2_u64 {
                if !over_socket.is_empty() || sender.send_unless_closed(&header(8, id), &[7; 8], 0).is_err() {
                    over_socket.push(id);
                }
            }
            over_socket
        });
        let (mut packet, mut received) = ([0; 64], Vec::new());
        while !receiver.close() {
            assert_eq!(receiver.receive(&mut packet), Ok(24));
            assert_eq!(packet[16..24], [7; 8]);
            received.push(u64::from_le_bytes(packet[8..16].try_into().unwrap()));
        }
        received.extend(sending.join().unwrap());
        assert_eq!(received, [0, 1]);
    });
}

#[test]
fn no_sender_waits_for_room_that_there_is_in_any_order() {
    model(2, || {
        let (mut sender, receiver) = model::ring();
        let (bell, room) = (Bell::new(), Bell::new());
        let (rings, waits) = (bell.clone(), room.clone());
        let sending = loom::thread::spawn(move || {
            for id in 0..5_u64 {
                loop {
                    match sender.send(&header(8, id), &[], &(id + 100).to_le_bytes()) {
                        Ok(true) => break rings.ring(),
                        Ok(false) => break,
                        Err(other @ (NoRoom::Lie(_) | NoRoom::Closed)) => panic!("{other:?}"),
                        Err(NoRoom::Now) if sender.want_room(24).unwrap() => waits.wait(),
                        Err(NoRoom::Now) => {}
                    }
                }
            }
        });
        receive_all(receiver, 5, &bell, &room);
        sending.join().unwrap();
    });
}
