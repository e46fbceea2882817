//! Sockets that are full: with buffers smaller than a packet, and with a server that does not read.

use std::thread;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
use unix_ipc::{CallError, Connection, Limits, channel};

use crate::service::{WorkerClient, null, serve, serve_in_child, spawn, warm};
use crate::util::{Holdings, Watchdog, alone};

/// Two ends whose buffers hold less than a packet, about 4 KiB.
fn narrow() -> (Connection, Connection) {
    let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC);
    let (one, other) = pair.unwrap();
    setsockopt(&one, sockopt::SndBuf, &1).unwrap();
    setsockopt(&other, sockopt::SndBuf, &1).unwrap();
    (one.into(), other.into())
}

fn without_rings() -> Limits {
    let mut limits = Limits::default();
    limits.ring_bytes = 0;
    limits
}

#[test]
fn p27_calls_of_every_size_fit_through_a_socket_that_holds_less_than_a_packet() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    for (limits, workers) in [(without_rings(), 1), (without_rings(), 3), (Limits::default(), 1)] {
        let (ours, theirs) = narrow();
        let server = thread::spawn(move || serve(theirs.with_limits(limits), workers));
        let client = WorkerClient::new(ours.with_limits(limits));
        warm(&client);
        thread::scope(|scope| {
            for caller in 0..3_u8 {
                let client = &client;
                scope.spawn(move || {
                    for len in [0, 3000, 5000, 65_000, 66_000, 300_000, 1] {
                        assert!(client.echo(&vec![caller; len]).unwrap() == vec![caller; len]);
                        assert_eq!(client.pass((0..5).map(|_| null()).collect()).unwrap().len(), 5);
                    }
                });
            }
        });
        drop(client);
        server.join().unwrap();
    }
    before.assert_restored();
}

#[test]
fn a_caller_with_a_time_has_an_error_when_nothing_more_goes_in() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    for rings in [true, false] {
        let client = spawn(rings);
        warm(&client);
        let (begun, begins) = channel().unwrap();
        let (gate, closed) = channel().unwrap();
        let busy = client.begin_wait(&begun, closed).unwrap();
        begins.recv().unwrap();
        let hasty = client.with_timeout(Duration::from_millis(100));
        let full = (0..100_000).find_map(|_| hasty.swallow(&[1; 10_000]).err());
        assert!(matches!(full, Some(CallError::Timeout { .. })), "{full:?}");
        // A call that does not go in either.
        assert!(matches!(hasty.echo(&vec![1; 1 << 20]), Err(CallError::Timeout { .. })));
        thread::scope(|scope| {
            let patient = scope.spawn(|| client.echo(&vec![2; 1 << 20]));
            drop(gate);
            busy.wait().unwrap();
            assert!(patient.join().unwrap().unwrap() == vec![2; 1 << 20]);
        });
        warm(&client);
    }
    before.assert_restored();
}
