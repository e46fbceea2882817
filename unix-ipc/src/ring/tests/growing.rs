//! Rings that get longer.

use std::collections::VecDeque;

use super::*;

#[test]
fn a_ring_that_grows_at_any_place_loses_nothing() {
    let size = Size { bytes: 1024, most: 8192 };
    for seed in 1..=400_u64 {
        let ((mut sender, _), (_, mut receiver)) = two_that_grow(size);
        let (mut state, mut sent, mut received) = (seed.wrapping_mul(0x9E37_79B9_7F4A_7C15), 0_u64, 0_u64);
        let grows_after = random(&mut state) % 60;
        let mut packet = vec![0; 8192];
        let mut lengths = VecDeque::new();
        while received < 200 {
            if sent > grows_after {
                sender.grow_for(3 * size.bytes).unwrap();
            }
            if random(&mut state) % 5 < 3 {
                let len = random(&mut state) as usize % (sender.longest() - 16);
                match sender.send(&header(len, sent), &[], &body(len, sent)) {
                    Ok(_) => {
                        lengths.push_back(len);
                        sent += 1;
                    }
                    Err(NoRoom::Now) => {}
                    Err(other) => panic!("{other:?}"),
                }
            } else if let len @ 1.. = receiver.receive(&mut packet).unwrap() {
                assert_eq!(len, 16 + lengths.pop_front().unwrap(), "packet {received} of seed {seed}");
                assert_eq!(packet[..16], header(len - 16, received));
                assert_eq!(packet[16..len], body(len - 16, received));
                receiver.tell();
                received += 1;
            }
        }
        assert_eq!(sender.longest(), size.most / 4, "seed {seed} has grown");
    }
}

#[test]
fn a_ring_grows_when_who_made_it_has_memory_for_it_and_a_message_is_worth_it() {
    let size = Size { bytes: 1024, most: 8192 };
    let ((mut ours, mut our_receiver), (mut theirs, _)) = two_that_grow(size);
    ours.grow_for(2 * size.bytes).unwrap();
    assert_eq!(ours.longest(), size.bytes / 4, "not for a short one");
    ours.grow_for(2 * size.bytes + 2).unwrap();
    assert_eq!(ours.longest(), size.most / 4);

    theirs.grow_for(1 << 20).unwrap();
    our_receiver.let_grow_for(1);
    theirs.grow_for(1 << 20).unwrap();
    assert_eq!(theirs.longest(), size.bytes / 4, "nobody has let them");
    our_receiver.let_grow_for(1 << 20);
    theirs.grow_for(1 << 20).unwrap();
    assert_eq!(theirs.longest(), size.most / 4);

    let ((mut ours, _), _) = two_processes(1024);
    ours.grow_for(1 << 20).unwrap();
    assert_eq!(ours.longest(), 256, "it may not");
}

#[test]
fn a_ring_that_is_said_to_grow_further_than_it_may_is_caught() {
    for (size, times) in [(fixed(1024), 1), (Size { bytes: 1024, most: 8192 }, 2)] {
        let memory = memory_of(size);
        let (_, mut receiver) = ends(&memory, size, false);
        (0..times).for_each(|time| memory.word(place::RECORDS + 64 * time).store(GROWN, Ordering::Relaxed));
        assert_eq!(receiver.receive(&mut [0; 64]), Err(Lie("a ring that grows further than it may")));
    }
}

#[test]
fn no_wake_up_is_lost_while_a_ring_grows_in_any_order() {
    hand_two_over(|sender| {
        sender.grow_for(1 << 20).unwrap();
        assert!(sender.longest() > LEAST_BYTES / 2, "it has grown");
    });
}
