//! What a handler, or a thread that has its context, reads before its turn: all of it is run, once and in order, whatever it is.

use std::thread;

use unix_ipc::{Connection, Limits, Listener, Receiver, RecvError, ServeError, channel};

use crate::service::{Event, LONG, Sloth, SlowClient, SlowServer};
use crate::util::Watchdog;

type Serving = thread::JoinHandle<Result<(), ServeError>>;

/// A server in this process, with or without rings.
fn server(workers: usize, has_rings: bool) -> (SlowClient, Serving) {
    let (ours, theirs) = Connection::pair().expect("there is room for a socket");
    let ring_bytes = if has_rings { Limits::default().ring_bytes } else { 0 };
    let mut limits = Limits::default();
    limits.ring_bytes = ring_bytes;
    let serving = thread::spawn(move || {
        let server = SlowServer::new(Sloth::default());
        let mut server = if workers > 1 { server.workers(workers) } else { server };
        server.serve(ours.with_limits(limits))
    });
    let client = SlowClient::new(theirs.with_limits(limits));
    (0..100).for_each(|_| drop(client.marks().expect("the server lives")));
    (client, serving)
}

fn end(client: SlowClient, serving: Serving) {
    drop(client);
    serving.join().expect("no panic").expect("the client keeps to the protocol");
}

/// A handler waits for its call's end.
fn waiting(client: &SlowClient) -> (unix_ipc::Pending<()>, Receiver<Event>) {
    let (events, seen) = channel().expect("there is room for a socket");
    let waits = client.begin_wait(events).expect("the server lives");
    assert_eq!(seen.recv().expect("the handler says so"), Event::Runs);
    (waits, seen)
}

fn note_in_order(client: &SlowClient, what: &str) {
    client.go_on_asking().expect("the server lives");
    for number in 0..5000 {
        client.note(number).expect("the server lives");
        if number % 50 == 0 {
            client.left().expect("the server lives");
        }
    }
    client.stop_asking().expect("the server lives");
    assert_eq!(client.marks().expect("the server lives"), (0..5000).collect::<Vec<_>>(), "{what}");
}

#[test]
fn calls_are_run_in_order_while_a_thread_asks_about_an_earlier_one() {
    let _watchdog = Watchdog::new();
    for has_rings in [false, true] {
        let (client, serving) = server(1, has_rings);
        note_in_order(&client, if has_rings { "rings" } else { "socket" });
        end(client, serving);
    }
}

#[test]
fn the_same_with_a_listener() {
    let _watchdog = Watchdog::new();
    for ring_bytes in [0, Limits::default().ring_bytes] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let mut limits = Limits::default();
        limits.ring_bytes = ring_bytes;
        let listener = std::sync::Arc::new(Listener::bind(&path).unwrap().with_limits(limits));
        let serving = thread::spawn({
            let listener = std::sync::Arc::clone(&listener);
            move || SlowServer::new(Sloth::default()).listen(&listener)
        });
        let client = SlowClient::connect(&path).unwrap();
        (0..100).for_each(|_| drop(client.marks().unwrap()));
        note_in_order(&client, "listener");
        drop(client);
        listener.close().unwrap();
        serving.join().unwrap().unwrap();
    }
}

#[test]
fn rings_are_switched_on_while_a_thread_asks() {
    let _watchdog = Watchdog::new();
    for _ in 0..50 {
        let (ours, theirs) = Connection::pair().unwrap();
        let serving = thread::spawn(move || SlowServer::new(Sloth::default()).workers(2).serve(ours));
        let client = SlowClient::new(theirs);
        client.go_on_asking().unwrap();
        for number in 0..40 {
            let (sender, _receiver) = channel().unwrap();
            client.keep(number, vec![sender]).unwrap();
        }
        client.stop_asking().unwrap();
        assert_eq!(client.marks().unwrap().len(), 40);
        end(client, serving);
    }
}

#[test]
fn a_call_is_taken_back_behind_a_long_one_for_which_the_ring_grows() {
    let _watchdog = Watchdog::new();
    for workers in [1, 2] {
        let (client, serving) = server(workers, true);
        let (waits, seen) = waiting(&client);
        let (also_waits, also_seen) = if workers > 1 {
            waiting(&client)
        } else {
            (client.begin_mark(0).unwrap(), channel().unwrap().1)
        };
        let long = client.begin_carry(1, vec![7; 300 << 10]).unwrap();
        // The handler ends with its own call, and what comes behind has been taken back by then.
        drop((also_waits, waits));
        assert_eq!(seen.recv().unwrap(), Event::Cancelled(true));
        drop(also_seen);
        long.wait().unwrap();
        assert_eq!(client.marks().unwrap(), [1]);
        end(client, serving);
    }
}

#[test]
fn a_handler_hears_that_its_client_is_gone_behind_more_descriptors_than_are_read_ahead() {
    let _watchdog = Watchdog::new();
    for has_rings in [false, true] {
        let (client, serving) = server(1, has_rings);
        let (waits, seen) = waiting(&client);
        let (sender, kept) = channel().unwrap();
        let senders: Vec<_> = (0..40).map(|_| channel::<()>().unwrap()).collect();
        let many = client.begin_keep(1, senders.into_iter().map(|(sender, _)| sender).collect()).unwrap();
        let few = client.begin_keep(2, vec![sender]).unwrap();
        drop((waits, many, few));
        end(client, serving);
        assert_eq!(seen.recv().unwrap(), Event::Cancelled(true));
        assert!(kept.recv().is_err());
    }
}

#[test]
fn a_handler_hears_of_its_end_that_another_thread_read() {
    let _watchdog = Watchdog::new();
    for workers in [1, 3] {
        for has_rings in [false, true] {
            let (client, serving) = server(workers, has_rings);
            client.go_on_asking().unwrap();
            for _ in 0..100 {
                let (events, seen) = channel().unwrap();
                let waits = client.begin_wait(events).unwrap();
                assert_eq!(seen.recv().unwrap(), Event::Runs);
                drop(waits);
                assert_eq!(
                    seen.recv_timeout(LONG / 5).unwrap(),
                    Event::Cancelled(true),
                    "{workers} {has_rings}"
                );
            }
            client.stop_asking().unwrap();
            end(client, serving);
        }
    }
}

#[test]
fn a_call_that_is_given_up_at_once_is_not_waited_for_by_its_handler() {
    let _watchdog = Watchdog::new();
    for has_rings in [false, true] {
        let (client, serving) = server(3, has_rings);
        client.go_on_asking().unwrap();
        for _ in 0..3000 {
            let (events, seen) = channel().unwrap();
            drop(client.begin_wait(events).unwrap());
            // It is not begun, or hears of its end.
            while let Ok(event) = seen.recv_timeout(LONG / 5) {
                assert!(matches!(event, Event::Runs | Event::Cancelled(true)), "{event:?}");
            }
            assert!(matches!(seen.try_recv(), Err(RecvError::Disconnected)), "{has_rings}");
        }
        client.stop_asking().unwrap();
        end(client, serving);
    }
}

#[test]
fn what_was_read_ahead_is_run_although_the_client_does_not_read() {
    let _watchdog = Watchdog::new();
    let (client, serving) = server(2, false);
    // Replies that nobody takes fill more than a quarter of the socket, so that it does not say that there is room.
    let unread: Vec<_> = (0..120).map(|_| client.begin_marks().unwrap()).collect();
    let (events, seen): (_, Receiver<Event>) = channel().unwrap();
    let waits = [client.begin_wait(events.clone()).unwrap(), client.begin_wait(events).unwrap()];
    assert_eq!(seen.recv().unwrap(), Event::Runs);
    assert_eq!(seen.recv().unwrap(), Event::Runs);
    let (sender, noted) = channel().unwrap();
    client.note_caller(sender).unwrap();
    drop(waits);
    assert_eq!(seen.recv().unwrap(), Event::Cancelled(true));
    assert_eq!(seen.recv().unwrap(), Event::Cancelled(true));
    assert!(noted.recv_timeout(LONG / 5).unwrap());
    drop(unread);
    end(client, serving);
}
