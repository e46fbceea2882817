//! A lane that is closed has lost nothing, and what was around it comes in its place: each way to close it, in one thread,
//! with what was sent at different sides of a detour.

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use unix_ipc::{Limits, RawSender, Receiver, ReceiverSet, Sender, channel, raw_channel};

use crate::util::Watchdog;
use crate::values::{HOT, Value, assert_left, hot_channel, random, warm};

/// A way to end a lane at the receiver's end; the receiver that goes on.
type Way = fn(Receiver<Value>) -> Receiver<Value>;

fn show(receiver: Receiver<Value>) -> Receiver<Value> {
    let _ = receiver.as_fd();
    receiver
}

fn put_into_a_set(receiver: Receiver<Value>) -> Receiver<Value> {
    ReceiverSet::new().add(&receiver);
    receiver
}

fn send_on(receiver: Receiver<Value>) -> Receiver<Value> {
    let (sender, receivers) = channel().unwrap();
    sender.send(receiver).unwrap();
    receivers.recv().unwrap()
}

fn send_on_twice(receiver: Receiver<Value>) -> Receiver<Value> {
    send_on(send_on(receiver))
}

fn limit(receiver: Receiver<Value>) -> Receiver<Value> {
    receiver.into_raw_receiver().with_limits(Limits::default()).into()
}

fn limit_to_none(receiver: Receiver<Value>) -> Receiver<Value> {
    let mut limits = Limits::default();
    limits.ring_bytes = 0;
    receiver.into_raw_receiver().with_limits(limits).into()
}

fn send_on_and_limit(receiver: Receiver<Value>) -> Receiver<Value> {
    limit(send_on(receiver))
}

const WAYS: [(&str, Way); 7] = [
    ("shown", show),
    ("in a set", put_into_a_set),
    ("sent on", send_on),
    ("sent on twice", send_on_twice),
    ("limited", limit),
    ("limited to no lane", limit_to_none),
    ("sent on and limited", send_on_and_limit),
];

#[test]
fn what_is_in_a_lane_when_it_is_closed_is_received() {
    for (name, close) in WAYS {
        eprintln!("{name}");
        let (sender, receiver) = hot_channel();
        let sent: Vec<_> = (0..100).map(|number| (number, (number % 9) as usize * 100, false)).collect();
        sent.iter().for_each(|(number, len, file)| sender.send(Value::of(*number, *len, *file)).unwrap());
        let receiver = close(receiver);
        assert_left(&receiver, &sent);
        sender.send(Value::small(100)).unwrap();
        assert_left(&receiver, &[(100, 0, false)]);
    }
}

#[test]
fn what_took_a_detour_comes_in_its_place_when_the_lane_is_closed() {
    for (name, close) in WAYS {
        for read in 0..7 {
            eprintln!("{name}, {read} are read before");
            let (sender, receiver) = hot_channel();
            let sent = [
                (0, 0, false),
                (1, 0, true),
                (2, 0, false),
                (3, 20_000, false),
                (4, 10, true),
                (5, 0, false),
                (6, 0, false),
            ];
            sent.iter().for_each(|(number, len, file)| sender.send(Value::of(*number, *len, *file)).unwrap());
            for (number, len, file) in &sent[..read] {
                receiver.recv().unwrap().assert_is(*number, *len, *file);
            }
            let receiver = close(receiver);
            assert_left(&receiver, &sent[read..]);
            sender.send(Value::small(7)).unwrap();
            assert_left(&receiver, &[(7, 0, false)]);
        }
    }
}

#[test]
fn what_was_sent_before_the_lane_comes_first_when_it_is_closed_at_once() {
    for (name, close) in WAYS {
        eprintln!("{name}");
        let (sender, receiver) = channel().unwrap();
        let mut sent = Vec::new();
        let mut send = |number| {
            sender.send(Value::small(number)).unwrap();
            sent.push((number, 0, false));
        };
        (0..HOT + 10).for_each(&mut send);
        // The offer is read and the lane taken, and there are nine more in the socket.
        for number in 0..=HOT {
            receiver.recv().unwrap().assert_is(number, 0, false);
        }
        (HOT + 10..HOT + 20).for_each(&mut send);
        let receiver = close(receiver);
        assert_left(&receiver, &sent[HOT as usize + 1..]);
    }
}

/// A way to end a lane at the sender's end; the sender that goes on.
type GiveUp = fn(Sender<Value>) -> Sender<Value>;

/// A second sender of the same channel, as another process has one.
fn two_senders() -> (Sender<Value>, Sender<Value>, Receiver<Value>) {
    let (sender, receiver) = raw_channel().unwrap();
    let second = RawSender::from(sender.as_fd().try_clone_to_owned().unwrap());
    (sender.into(), second.into(), receiver.into())
}

#[test]
fn a_value_of_another_sender_closes_the_lane_and_nothing_is_lost() {
    let (sender, second, receiver) = two_senders();
    warm(&sender, &receiver);
    sender.send(Value::small(0)).unwrap();
    sender.send(Value::of(1, 0, true)).unwrap();
    sender.send(Value::small(2)).unwrap();
    second.send(Value::small(1000)).unwrap();
    sender.send(Value::of(3, 0, true)).unwrap();
    sender.send(Value::small(4)).unwrap();
    let (mut first, mut others) = (0, 0);
    while let Some(value) = receiver.try_recv().unwrap() {
        if value.number == 1000 {
            others += 1;
        } else {
            value.assert_is(first, 0, first % 2 == 1);
            first += 1;
        }
    }
    assert_eq!((first, others), (5, 1));
    // Where the first came during a detour, the next shows that there is another.
    second.send(Value::small(0)).unwrap();
    sender.send(Value::small(1)).unwrap();
    let both = [receiver.recv().unwrap().number, receiver.recv().unwrap().number];
    assert_eq!(both[0] + both[1], 1);
    // All goes over the socket now, in one order.
    for number in 0..10 {
        second.send(Value::small(number)).unwrap();
        sender.send(Value::small(number + 100)).unwrap();
        assert_left(&receiver, &[(number, 0, false), (number + 100, 0, false)]);
    }
}

#[test]
fn a_sender_that_gives_its_lane_up_keeps_its_order() {
    let ways: [(&str, GiveUp); 3] = [
        ("raw", |sender| sender.into_raw_sender().unwrap().into()),
        ("raw with a clone", |sender| {
            let clone = sender.clone();
            let raw = clone.into_raw_sender().unwrap();
            sender.send(Value::small(3)).unwrap();
            raw.into()
        }),
        ("sent on", |sender| {
            let (senders, receiver) = channel().unwrap();
            senders.send(sender).unwrap();
            receiver.recv().unwrap()
        }),
    ];
    for (name, give_up) in ways {
        eprintln!("{name}");
        let (sender, receiver) = hot_channel();
        let mut sent = vec![(0, 0, false), (1, 0, true), (2, 0, false)];
        sent.iter().for_each(|(number, len, file)| sender.send(Value::of(*number, *len, *file)).unwrap());
        let sender = give_up(sender);
        if name == "raw with a clone" {
            sent.push((3, 0, false));
        }
        for number in 4..300 {
            sender.send(Value::small(number)).unwrap();
            sent.push((number, 0, false));
            assert_left(&receiver, &std::mem::take(&mut sent));
        }
    }
}

/// The next value of a row of any sizes, that fits what one thread can send without receiving.
fn any_value(state: &mut u64, number: u64) -> (u64, usize, bool) {
    let len = match random(state) % 8 {
        0 => 17_000 + (random(state) % 3000) as usize,
        1 => 16_200 + (random(state) % 200) as usize,
        2 | 3 => (random(state) % 2000) as usize,
        _ => 0,
    };
    (number, len, random(state).is_multiple_of(6))
}

#[test]
fn any_row_of_values_comes_in_order_whenever_the_lane_is_closed() {
    let _watchdog = Watchdog::new();
    for seed in 1..=50_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (sender, receiver) = channel().unwrap();
        let mut receiver = Some(receiver);
        let mut on_the_way = std::collections::VecDeque::new();
        let mut closes_at = 100 + random(&mut state) % 200;
        for number in 0..400 {
            let (_, len, file) = any_value(&mut state, number);
            while sender.try_send(Value::of(number, len, file)).is_err() {
                let (number, len, file) = on_the_way.pop_front().expect("what is full has something");
                receiver.as_ref().unwrap().recv().unwrap().assert_is(number, len, file);
            }
            on_the_way.push_back((number, len, file));
            while !on_the_way.is_empty() && random(&mut state).is_multiple_of(2) {
                let (number, len, file) = on_the_way.pop_front().unwrap();
                receiver.as_ref().unwrap().recv().unwrap().assert_is(number, len, file);
            }
            if number == closes_at {
                let (name, close) = WAYS[random(&mut state) as usize % WAYS.len()];
                eprintln!("seed {seed}: {name} at {number}");
                receiver = receiver.map(close);
                closes_at += 1 + random(&mut state) % 20;
            }
        }
        assert_left(receiver.as_ref().unwrap(), on_the_way.make_contiguous());
    }
}

#[test]
fn limits_of_a_receiver_that_was_shown_let_it_have_no_lane() {
    let (sender, receiver) = channel::<Value>().unwrap();
    let shown = receiver.as_fd().try_clone_to_owned().unwrap();
    let receiver = limit(receiver);
    warm(&sender, &receiver);
    sender.send(Value::small(0)).unwrap();
    let mut polled = [PollFd::new(shown.as_fd(), PollFlags::POLLIN)];
    assert_eq!(
        poll(&mut polled, PollTimeout::ZERO),
        Ok(1),
        "who waits for the descriptor learns of the value"
    );
    assert_left(&receiver, &[(0, 0, false)]);
}
