//! Senders and receivers inside of messages, over any number of hops.

use std::thread;

use serde::{Deserialize, Serialize};
use unix_ipc::{Receiver, RecvError, Sender, channel, deserialize, serialize};

use crate::util::{Holdings, Watchdog, alone};

#[test]
fn a_sender_in_a_message_is_a_way_back() {
    let (requests, received) = channel::<(u32, Sender<u32>)>().unwrap();
    let (reply, answer) = channel().unwrap();
    requests.send((20, reply)).unwrap();
    let (number, reply) = received.recv().unwrap();
    reply.send(number + 1).unwrap();
    drop(reply);
    assert_eq!(answer.recv().unwrap(), 21);
    assert!(matches!(answer.recv(), Err(RecvError::Disconnected)), "the sent one was the only one");
}

#[test]
fn a_receiver_in_a_message_takes_what_is_queued_along() {
    let (ends, received) = channel::<Receiver<String>>().unwrap();
    let (sender, receiver) = channel().unwrap();
    sender.send("before".to_owned()).unwrap();
    ends.send(receiver).unwrap();
    sender.send("meanwhile".to_owned()).unwrap();
    let receiver = received.recv().unwrap();
    drop(sender);
    assert_eq!(receiver.iter().collect::<Result<Vec<_>, _>>().unwrap(), ["before", "meanwhile"]);
}

#[test]
fn a_channel_whose_end_is_lost_in_an_unread_message_ends() {
    let _watchdog = Watchdog::new();
    let (ends, received) = channel::<Sender<u8>>().unwrap();
    let (sender, receiver) = channel().unwrap();
    ends.send(sender).unwrap();
    drop(received);
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
}

#[test]
fn ends_travel_over_many_hops_and_still_work() {
    let _watchdog = Watchdog::new();
    let (mut sender, mut receiver) = channel::<u64>().unwrap();
    for _ in 0..50 {
        let (ends, received) = channel::<(Receiver<u64>, Vec<Option<Sender<u64>>>)>().unwrap();
        ends.send((receiver, vec![None, Some(sender)])).unwrap();
        let (moved, mut senders) = received.recv().unwrap();
        (receiver, sender) = (moved, senders.pop().unwrap().unwrap());
    }
    sender.send(50).unwrap();
    drop(sender);
    assert_eq!(receiver.recv().unwrap(), 50);
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
}

#[derive(Serialize, Deserialize)]
struct Chain(u32, Option<Sender<Chain>>);

#[test]
fn a_type_that_carries_senders_of_itself_goes_back_and_forth() {
    let (forth, there) = channel::<Chain>().unwrap();
    let (back, here) = channel::<Chain>().unwrap();
    forth.send(Chain(1, Some(back))).unwrap();
    let Chain(number, way) = there.recv().unwrap();
    way.unwrap().send(Chain(number + 1, None)).unwrap();
    assert!(matches!(here.recv().unwrap(), Chain(2, None)));
}

#[test]
fn clones_of_a_sent_sender_share_the_channel_with_the_senders_that_stayed() {
    let (carrier, received) = channel::<Sender<&'static str>>().unwrap();
    let (sender, receiver) = channel::<String>().unwrap();
    let sender: Sender<&'static str> = sender.into_raw_sender().unwrap().into();
    carrier.send(sender.clone()).unwrap();
    let moved = received.recv().unwrap();
    sender.send("stayed").unwrap();
    moved.send("moved").unwrap();
    moved.clone().send("cloned").unwrap();
    drop((sender, moved));
    assert_eq!(receiver.iter().collect::<Result<Vec<_>, _>>().unwrap(), ["stayed", "moved", "cloned"]);
}

#[test]
fn a_receiver_with_half_a_message_refuses_to_travel_and_stays_usable() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Vec<u8>>().unwrap();
    let (ends, received) = channel::<Receiver<Vec<u8>>>().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| sender.send(vec![7; 10 << 20]).unwrap());
        let mut receiver = receiver;
        // Until a piece has come the receiver may go: it comes straight back then.
        let receiver = loop {
            assert!(receiver.try_recv().unwrap().is_none());
            match ends.send(receiver) {
                Ok(()) => receiver = received.recv().unwrap(),
                Err(error) => {
                    let text = std::error::Error::source(&error).unwrap().to_string();
                    assert_eq!(text, "the receiver is in the middle of a message");
                    break error.into_inner();
                }
            }
        };
        assert!(receiver.recv().unwrap() == [7; 10 << 20]);
        ends.send(receiver).unwrap();
    });
}

#[test]
fn a_channel_serialised_for_another_transport_still_connects() {
    let (sender, receiver) = channel::<u8>().unwrap();
    let (bytes, descriptors) = serialize((&sender, receiver)).unwrap();
    assert_eq!(descriptors.len(), 2);
    let (moved, receiver): (Sender<u8>, Receiver<u8>) = deserialize(&bytes, descriptors).unwrap();
    moved.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!((receiver.recv().unwrap(), receiver.recv().unwrap()), (1, 2));
}

#[test]
fn p01_a_thousand_senders_sent_with_their_requests_leave_no_descriptor() {
    if !alone() {
        return;
    }
    let (requests, received) = channel::<(u32, Sender<u32>)>().unwrap();
    let before = Holdings::now();
    for number in 0..1000 {
        let (reply, answer) = channel().unwrap();
        requests.send((number, reply)).unwrap();
        let (number, reply) = received.recv().unwrap();
        reply.send(number).unwrap();
        assert_eq!(answer.recv().unwrap(), number);
    }
    assert_eq!(Holdings::now(), before);
}
