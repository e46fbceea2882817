//! No memory: where a process may have no more address space, what is not needed is done without, and the rest is an error.

use unix_ipc::{CallError, PeerExit, SharedMemoryMut, channel};

use crate::service::{limit_memory, serve_in_child, spawn, warm};
use crate::util::{Holdings, Watchdog, alone};

/// Less than two rings take, and enough for what calls take.
const LITTLE: u64 = 768 << 10;

#[test]
fn a_child_without_room_for_rings_serves_over_the_socket() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    let client = spawn(true);
    client.limit_memory(Some(LITTLE)).unwrap();
    warm(&client);
    for len in [0, 1000, 60_000] {
        assert_eq!(client.echo(&vec![7; len]).unwrap().len(), len);
    }
    // What it and its spawner have had in common since it was born, for lanes, is all that is there.
    assert_eq!(client.mappings().unwrap(), usize::from(cfg!(not(unix_ipc_without_rings))));
    client.limit_memory(None).unwrap();
    assert_eq!(client.echo(&vec![7; 5 << 20]).unwrap().len(), 5 << 20);
    drop(client);
    before.assert_restored();
}

#[test]
fn a_message_for_which_a_child_has_no_memory_is_an_error_of_its_caller() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    for rings in [true, false] {
        let client = spawn(rings);
        warm(&client);
        client.limit_memory(Some(LITTLE)).unwrap();
        // More than an allocator has put by: for the threads of a process that is 64 MiB each.
        let error = client.echo(&vec![7; 60 << 20]).map(|bytes| bytes.len()).unwrap_err();
        // Where Rust finds no memory the process ends (`handle_alloc_error`).
        assert!(matches!(error, CallError::PeerDied { exit: PeerExit::Killed(6), .. }), "{error:?}");
        assert!(client.echo(b"next").unwrap_err().is_gone());
        warm(&spawn(rings));
    }
    before.assert_restored();
}

#[test]
fn a_caller_without_room_for_rings_calls_over_the_socket_and_has_errors_for_what_needs_room() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    {
        let (sender, receiver) = channel::<Vec<u8>>().unwrap();
        let client = spawn(true);
        limit_memory(Some(LITTLE)).unwrap();
        warm(&client);
        for len in [0, 1000, 60_000] {
            assert_eq!(client.echo(&vec![7; len]).unwrap().len(), len);
        }
        let error = SharedMemoryMut::new(16 << 20).and_then(SharedMemoryMut::freeze).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory);
        // Enough for a lane, which would need memory, to be thought of.
        for number in 0..300 {
            sender.send(vec![number as u8; 10]).unwrap();
            assert_eq!(receiver.recv().unwrap(), [number as u8; 10]);
        }
        limit_memory(None).unwrap();
        assert_eq!(client.echo(&vec![7; 5 << 20]).unwrap().len(), 5 << 20);
    }
    before.assert_restored();
}
