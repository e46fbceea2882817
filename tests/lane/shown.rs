//! A receiver that is shown to an event loop in the midst of a stream: the descriptor says that there is something for as long
//! as there is.

use std::fs;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use unix_ipc::{Limits, ReceiverSet, RecvError, Sender, channel, raw_channel};

use crate::stream::{Sink, Stream, ends};
use crate::util::{Watchdog, alone};
use crate::values::{HOT, Value, assert_left, hot_channel, warm};
use crate::yard::{serve_in_child, yard};

fn is_readable(descriptor: impl AsFd) -> bool {
    let mut polled = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO).unwrap() == 1
}

#[test]
fn a_descriptor_is_readable_for_as_long_as_there_is_something_and_no_longer() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = hot_channel();
    let sent = [(0, 0, false), (1, 0, true), (2, 0, false), (3, 0, false), (4, 20_000, false), (5, 0, false)];
    sent.iter().for_each(|(number, len, file)| sender.send(Value::of(*number, *len, *file)).unwrap());
    let shown = receiver.as_fd().try_clone_to_owned().unwrap();
    for value in sent {
        assert!(is_readable(&shown), "{value:?} is there");
        receiver.try_recv().unwrap().unwrap().assert_is(value.0, value.1, value.2);
    }
    assert!(receiver.try_recv().unwrap().is_none());
    assert!(!is_readable(&shown), "nothing is there");
    sender.send(Value::small(6)).unwrap();
    assert!(is_readable(&shown));
    assert_left(&receiver, &[(6, 0, false)]);
    drop(sender);
    // A process that another test starts has the sender for a moment.
    assert_eq!(poll(&mut [PollFd::new(shown.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE), Ok(1));
    assert!(matches!(receiver.try_recv(), Err(RecvError::Disconnected)));
}

/// Receives the rest of a stream by poll(2) and try_recv: the descriptor alone says when to look.
fn receive_by_polling(sink: &Sink, stream: Stream, from: u64) {
    let mut next = sink.receive_some(stream, 0, from);
    let shown = sink.values.as_fd().try_clone_to_owned().unwrap();
    loop {
        let mut polled = [PollFd::new(shown.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::NONE).unwrap();
        match sink.values.try_recv() {
            Ok(Some(value)) => {
                sink.check(stream, next, value);
                next += 1;
            }
            Ok(None) => {}
            Err(RecvError::Disconnected) => break,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(next, stream.count);
}

#[test]
fn whoever_waits_for_the_descriptor_alone_gets_everything() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let yard = yard();
    for seed in 1..=10 {
        let stream = Stream { seed, count: 1500 };
        let (source, sink) = ends();
        let sending = yard.begin_send(source, stream).unwrap();
        receive_by_polling(&sink, stream, 100 + seed * 37);
        sending.wait().unwrap();
    }
}

#[test]
fn a_set_in_the_midst_of_streams_names_every_receiver_that_has_something() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let yard = yard();
    let streams: Vec<Stream> = (1..=3).map(|seed| Stream { seed, count: 800 }).collect();
    let (sources, sinks): (Vec<_>, Vec<_>) = streams.iter().map(|_| ends()).unzip();
    let sending: Vec<_> = sources
        .into_iter()
        .zip(&streams)
        .map(|(source, stream)| yard.begin_send(source, *stream).unwrap())
        .collect();
    let mut set = ReceiverSet::new();
    let mut members = Vec::new();
    for (sink, stream) in sinks.into_iter().zip(&streams) {
        let next = sink.receive_some(*stream, 0, 200);
        members.push((set.add(&sink.values), sink, *stream, next));
    }
    while !members.is_empty() {
        let ready = set.wait().unwrap();
        members.retain_mut(|(id, sink, stream, next)| {
            if !ready.contains(id) {
                return true;
            }
            match sink.values.try_recv() {
                Ok(Some(value)) => {
                    sink.check(*stream, *next, value);
                    *next += 1;
                }
                Ok(None) => {}
                Err(RecvError::Disconnected) => {
                    assert_eq!(*next, stream.count);
                    return !set.remove(*id);
                }
                Err(other) => panic!("{other:?}"),
            }
            true
        });
    }
    sending.into_iter().for_each(|sending| sending.wait().unwrap());
}

/// Lets this process have no more descriptors than it has, until the result is dropped.
struct NoMore(u64, u64);

impl NoMore {
    fn new() -> Self {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let most = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let most = most.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok()).max();
        // The highest is the one that reads this folder, and free again.
        let mut below: Vec<fs::File> = Vec::new();
        setrlimit(Resource::RLIMIT_NOFILE, most.unwrap() + 1, hard).unwrap();
        while let Ok(file) = fs::File::open("/dev/null") {
            below.push(file);
        }
        std::mem::forget(below);
        Self(soft, hard)
    }
}

impl Drop for NoMore {
    fn drop(&mut self) {
        setrlimit(Resource::RLIMIT_NOFILE, self.0, self.1).unwrap();
    }
}

fn send_without_files(sender: &Sender<Value>, numbers: std::ops::Range<u64>) {
    numbers.for_each(|number| sender.send(Value::small(number)).unwrap());
}

#[test]
fn p11_a_receiver_is_shown_raw_and_sent_on_where_no_descriptor_is_free() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (sender, receiver) = hot_channel();
    send_without_files(&sender, 0..10);
    let no_more = NoMore::new();
    let _ = receiver.as_fd();
    // It is the socket that is shown, and the next packet says that there is something.
    send_without_files(&sender, 10..20);
    assert!(is_readable(&receiver));
    let numbers: Vec<_> = (0..20).map(|number| (number, 0, false)).collect();
    assert_left(&receiver, &numbers);
    drop(no_more);

    let (sender, receiver) = hot_channel();
    send_without_files(&sender, 0..10);
    let no_more = NoMore::new();
    let receiver = receiver.into_raw_receiver();
    let raw_sender = sender.into_raw_sender().unwrap();
    let (sender, receiver): (Sender<Value>, unix_ipc::Receiver<Value>) = (raw_sender.into(), receiver.into());
    send_without_files(&sender, 10..20);
    assert_left(&receiver, &numbers);
    drop(no_more);

    let (sender, receiver) = hot_channel();
    let (receivers, receiver_of_receivers) = channel().unwrap();
    send_without_files(&sender, 0..10);
    let no_more = NoMore::new();
    receivers.send(receiver).unwrap();
    drop(no_more);
    let receiver = receiver_of_receivers.recv().unwrap();
    send_without_files(&sender, 10..20);
    assert_left(&receiver, &numbers);
}

#[test]
fn p11_a_lane_that_needs_a_descriptor_where_none_is_free_is_nobodys_error() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel().unwrap();
    send_without_files(&sender, 0..HOT + 1);
    let no_more = NoMore::new();
    for number in 0..=HOT {
        receiver.recv().unwrap().assert_is(number, 0, false);
    }
    (0..3).for_each(|_| warm(&sender, &receiver));
    drop(no_more);
    // A sender without one offers none.
    let (sender, receiver) = channel().unwrap();
    let no_more = NoMore::new();
    warm(&sender, &receiver);
    warm(&sender, &receiver);
    drop(no_more);
    warm(&sender, &receiver);
}

#[test]
fn limits_that_are_below_what_an_offer_needs_are_about_values_alone() {
    for (descriptors, bytes) in [(0, 1000), (253, 20), (0, 20)] {
        let mut limits = Limits::default();
        (limits.descriptors, limits.message_bytes) = (descriptors, bytes);
        let (sender, receiver) = raw_channel().unwrap();
        let (sender, receiver) = (sender.into(), receiver.with_limits(limits).into());
        warm(&sender, &receiver);
        warm(&sender, &receiver);
        assert_left(&receiver, &[]);
    }
}
