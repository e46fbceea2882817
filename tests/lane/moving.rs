//! Ends that move while a stream runs.

use std::thread;

use unix_ipc::channel;

use crate::stream::{Sink, Stream, ends};
use crate::util::Watchdog;
use crate::yard::{serve_in_child, yard};

const STEP: u64 = 150;

fn through_a_channel(sink: Sink) -> Sink {
    let (sender, receiver) = channel().unwrap();
    sender.send(sink).unwrap();
    receiver.recv().unwrap()
}

#[test]
fn a_receiver_that_goes_to_and_fro_misses_nothing_and_gets_nothing_twice() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (one, other) = (yard(), yard());
    for seed in 1..=6 {
        let stream = Stream { seed, count: 12 * STEP };
        let (source, mut sink) = ends();
        let sending = thread::spawn(move || source.send(stream));
        for round in 0..12 {
            let (from, to) = (round * STEP, (round + 1) * STEP);
            sink = match round % 4 {
                0 => one.relay(sink, stream, from, to).unwrap(),
                1 => {
                    sink.receive_some(stream, from, to);
                    through_a_channel(sink)
                }
                2 => other.relay(through_a_channel(sink), stream, from, to).unwrap(),
                _ => {
                    sink.receive_some(stream, from, to);
                    sink
                }
            };
        }
        sending.join().unwrap();
        sink.assert_over();
    }
}

#[test]
fn the_receiver_of_a_childs_stream_goes_to_another_child_and_comes_back() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (one, other) = (yard(), yard());
    for seed in 1..=6 {
        let stream = Stream { seed, count: 6 * STEP };
        let (source, mut sink) = ends();
        let sending = one.begin_send(source, stream).unwrap();
        for round in 0..6 {
            let (from, to) = (round * STEP, (round + 1) * STEP);
            if round % 2 == 0 {
                sink.receive_some(stream, from, to);
            } else {
                sink = other.relay(sink, stream, from, to).unwrap();
            }
        }
        sending.wait().unwrap();
        sink.assert_over();
    }
}

#[test]
fn a_sender_that_goes_to_and_fro_keeps_its_order() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (one, other) = (yard(), yard());
    for seed in 1..=6 {
        let stream = Stream { seed, count: 9 * STEP };
        let (mut source, sink) = ends();
        let receiving = thread::spawn(move || sink.receive(stream));
        for round in 0..9 {
            let (from, to) = (round * STEP, (round + 1) * STEP);
            source = match round % 3 {
                0 => one.send_some(source, stream, from, to).unwrap(),
                1 => {
                    source.send_some(stream, from, to);
                    source
                }
                _ => other.send_some(source, stream, from, to).unwrap(),
            };
        }
        drop(source);
        receiving.join().unwrap();
    }
}
