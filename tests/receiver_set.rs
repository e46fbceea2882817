//! Waiting on many receivers at once.
#![cfg(test)]

mod util;

use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::{Duration, Instant};

use unix_ipc::{Receiver, ReceiverSet, RecvError, channel, raw_channel, test_command};
use util::{Watchdog, alone};

#[test]
fn an_empty_set_has_nothing_to_wait_for() {
    let _watchdog = Watchdog::new();
    assert!(ReceiverSet::new().wait().unwrap().is_empty());
    let mut set = ReceiverSet::new();
    let (_sender, receiver) = channel::<u8>().unwrap();
    set.add(&receiver);
    drop(receiver);
    assert!(set.wait().unwrap().is_empty(), "what was dropped has left");
}

#[test]
fn all_that_have_something_are_named_and_no_others() {
    let (numbers_in, numbers) = channel::<u32>().unwrap();
    let (words_in, words) = channel::<String>().unwrap();
    let (_quiet_in, quiet) = channel::<()>().unwrap();
    let mut set = ReceiverSet::new();
    let (number_id, word_id, _) = (set.add(&numbers), set.add(&words), set.add(&quiet));

    numbers_in.send(7).unwrap();
    assert_eq!(set.wait().unwrap(), [number_id]);
    words_in.send("seven".to_owned()).unwrap();
    assert_eq!(set.wait().unwrap(), [number_id, word_id]);
    assert_eq!(numbers.try_recv().unwrap(), Some(7));
    assert_eq!(set.wait().unwrap(), [word_id], "what was received is not named again");
}

#[test]
fn the_end_of_a_channel_is_named_until_it_is_removed() {
    let (sender, receiver) = channel::<u8>().unwrap();
    let mut set = ReceiverSet::new();
    let id = set.add(&receiver);
    drop(sender);
    for _ in 0..2 {
        assert_eq!(set.wait().unwrap(), [id]);
    }
    assert!(matches!(receiver.try_recv(), Err(RecvError::Disconnected)));
    assert!(set.remove(id));
    assert!(!set.remove(id), "it was removed already");
    assert!(set.wait().unwrap().is_empty());
}

#[test]
fn wait_timeout_is_empty_when_the_time_is_over() {
    let _watchdog = Watchdog::new();
    let (_sender, receiver) = channel::<u8>().unwrap();
    let mut set = ReceiverSet::new();
    set.add(&receiver);
    let start = Instant::now();
    assert!(set.wait_timeout(Duration::from_millis(20)).unwrap().is_empty());
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[test]
fn a_wait_ends_with_what_another_thread_sends() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<u8>().unwrap();
    let mut set = ReceiverSet::new();
    let id = set.add(&receiver);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| set.wait().unwrap());
        sender.send(1).unwrap();
        assert_eq!(waiting.join().unwrap(), [id]);
    });
}

#[test]
fn a_receiver_added_twice_has_two_names() {
    let (sender, receiver) = channel::<u8>().unwrap();
    let mut set = ReceiverSet::new();
    let (first, second) = (set.add(&receiver), set.add(&receiver));
    assert_ne!(first, second);
    sender.send(1).unwrap();
    assert_eq!(set.wait().unwrap(), [first, second]);
    assert!(set.remove(first));
    assert_eq!(set.wait().unwrap(), [second]);
}

#[test]
fn p16_a_number_that_is_used_again_does_not_bring_the_old_name_back() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mut set = ReceiverSet::new();
    let (_other_sender, other) = channel::<u8>().unwrap();
    let other_id = set.add(&other);
    for _ in 0..100 {
        let (old_sender, old) = channel::<u8>().unwrap();
        let number = old.as_fd().as_raw_fd();
        let old_id = set.add(&old);
        drop((old_sender, old));

        let (sender, receiver) = reusing(number);
        sender.send(1).unwrap();
        assert!(set.wait_timeout(Duration::ZERO).unwrap().is_empty(), "the new channel is not in the set");
        assert!(!set.remove(old_id), "the old one has left by itself");

        let id = set.add(&receiver);
        assert!(id != old_id && id != other_id);
        assert_eq!(set.wait().unwrap(), [id]);
        assert_eq!(receiver.recv().unwrap(), 1);
    }
}

/// A channel whose receiver has this number in the table of descriptors.
fn reusing(number: i32) -> (unix_ipc::Sender<u8>, Receiver<u8>) {
    let (sender, receiver) = channel::<u8>().unwrap();
    assert_eq!(receiver.as_fd().as_raw_fd(), number, "the kernel gives the lowest numbers again");
    (sender, receiver)
}

#[test]
fn a_set_of_many_receivers_served_by_many_processes_reads_every_message() {
    if std::env::var_os("ROLE").is_some() {
        let input = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
        let sender = unix_ipc::RawSender::from(input);
        (0..50u8).for_each(|number| sender.send(&vec![number; 4000 * usize::from(number)], &[]).unwrap());
        return;
    }
    let _watchdog = Watchdog::new();
    let mut set = ReceiverSet::new();
    let mut children = Vec::new();
    let mut open = Vec::new();
    for _ in 0..4 {
        let (sender, receiver) = raw_channel().unwrap();
        let input = std::os::fd::OwnedFd::from(sender);
        children.push(test_command().env("ROLE", "sends").stdin(input).spawn().unwrap());
        // The set takes typed receivers: these are for messages that have no value in them.
        let receiver = Receiver::<()>::from(receiver);
        open.push((set.add(&receiver), receiver, 0));
    }
    let mut trailing = 0;
    while !open.is_empty() {
        let ready = set.wait().unwrap();
        open.retain_mut(|(id, receiver, count)| {
            if !ready.contains(id) {
                return true;
            }
            match receiver.try_recv() {
                Ok(None) => true,
                Ok(Some(())) => {
                    *count += 1;
                    true
                }
                Err(RecvError::Decode(_)) => {
                    *count += 1;
                    trailing += 1;
                    true
                }
                Err(RecvError::Disconnected) => {
                    assert_eq!(*count, 50);
                    false
                }
                Err(error) => panic!("{error:?}"),
            }
        });
    }
    assert_eq!(trailing, 4 * 49, "all but the empty ones are too long for a unit");
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}
