//! No descriptors: at either end's limit, at the user's, and above what one message may have. Who sent it has an error that names the
//! limit, and the connection lives on.

use std::sync::mpsc;

use nix::sys::prctl::set_dumpable;
use nix::unistd::{Uid, geteuid, setuid};
use unix_ipc::{CallError, Connection, LimitExceeded, SpawnError, channel, test_command};

use crate::service::{in_a_thread, limit_descriptors, null, serve_in_child, spawn, warm};
use crate::util::{Holdings, Watchdog, alone};

fn refused<T: std::fmt::Debug>(result: Result<T, CallError>) -> LimitExceeded {
    match result.unwrap_err() {
        CallError::Refused { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn p08_more_descriptors_than_a_message_may_have_are_refused_both_ways_with_the_number() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    for rings in [true, false] {
        let client = spawn(rings);
        warm(&client);
        let held = client.descriptors().unwrap();
        for count in [254, 300] {
            let too_many = LimitExceeded::Descriptors { actual: count, limit: 253 };
            let files = (0..count).map(|_| null()).collect();
            assert_eq!(refused(client.pass(files)), too_many);
            assert_eq!(refused(client.files(count as usize)), too_many);
            assert_eq!(client.pass(vec![null()]).unwrap().len(), 1);
        }
        assert_eq!(client.files(253).unwrap().len(), 253);
        assert_eq!(client.descriptors().unwrap(), held);
    }
    before.assert_restored();
}

#[test]
fn p10_p11_a_server_without_room_for_the_descriptors_of_a_call_says_so_and_serves_on() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    for rings in [true, false] {
        let client = spawn(rings);
        warm(&client);
        client.limit_descriptors(Some(4)).unwrap();
        let held = client.descriptors().unwrap();
        for _ in 0..3 {
            let files = (0..10).map(|_| null()).collect();
            assert_eq!(refused(client.pass(files)), LimitExceeded::DescriptorTable);
            assert_eq!(client.echo(b"next").unwrap(), b"next");
        }
        assert_eq!(client.descriptors().unwrap(), held, "what did arrive is closed");
        client.limit_descriptors(None).unwrap();
        assert_eq!(client.pass((0..10).map(|_| null()).collect()).unwrap().len(), 10);
    }
    before.assert_restored();
}

#[test]
fn p10_p11_a_caller_without_room_for_the_descriptors_of_a_reply_is_told_and_calls_on() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    for rings in [true, false] {
        let client = spawn(rings);
        warm(&client);
        limit_descriptors(Some(4)).unwrap();
        let before = Holdings::now();
        for _ in 0..3 {
            assert_eq!(refused(client.files(10)), LimitExceeded::DescriptorTable);
            assert_eq!(client.echo(b"next").unwrap(), b"next");
        }
        assert_eq!(Holdings::now(), before);
        limit_descriptors(None).unwrap();
        assert_eq!(client.files(10).unwrap().len(), 10);
    }
}

#[test]
fn p11_whatever_needs_a_descriptor_where_there_is_none_is_an_error_and_leaves_nothing() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let client = spawn(true);
    warm(&client);
    for room in 1..24 {
        limit_descriptors(Some(room)).unwrap();
        let before = Holdings::with_mappings();
        // With more room they succeed, and what comes of it goes again.
        match Connection::spawn(test_command()) {
            Ok(_) | Err(SpawnError::Start(_) | SpawnError::Io(_)) => {}
            Err(error) => panic!("{error:?}, with room for {room}"),
        }
        for error in [channel::<u8>().err(), Connection::pair().err()].into_iter().flatten() {
            assert_eq!(error.raw_os_error(), Some(nix::libc::EMFILE));
        }
        assert_eq!(client.echo(b"next").unwrap(), b"next");
        before.assert_restored();
        limit_descriptors(None).unwrap();
    }
    warm(&spawn(true));
}

/// The kernel counts the descriptors that a user has on their way, and exempts the privileged.
#[test]
fn p12_calls_with_more_descriptors_than_a_user_may_have_on_their_way_are_refused_and_the_others_answered() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    if geteuid().is_root() {
        // A user that has nothing else on its way.
        setuid(Uid::from_raw(61_013)).unwrap();
        set_dumpable(true).unwrap();
    }
    let (client, server) = in_a_thread();
    warm(&client);
    let before = Holdings::with_mappings();
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, 100, 100).unwrap();
    let (begun, begins) = channel().unwrap();
    let (gate, closed) = channel().unwrap();
    let busy = client.begin_wait(&begun, closed).unwrap();
    begins.recv().unwrap();
    let (refusal, mut waiting) = (mpsc::channel(), Vec::new());
    for _ in 0..1000 {
        match client.begin_pass((0..10).map(|_| null()).collect()) {
            Ok(call) => waiting.push(call),
            Err(error) => {
                refusal.0.send(error).unwrap();
                break;
            }
        }
    }
    drop(refusal.0);
    assert_eq!(
        refused::<()>(Err(refusal.1.recv().expect("the kernel refuses"))),
        LimitExceeded::DescriptorsInFlight
    );
    assert!(!waiting.is_empty());
    let without = client.begin_echo(b"without").unwrap();
    drop(gate);
    busy.wait().unwrap();
    for call in waiting {
        // On their way back there may be too many as well.
        match call.wait() {
            Ok(files) => assert_eq!(files.len(), 10),
            Err(CallError::Refused { source, .. }) => {
                assert!(
                    matches!(source, LimitExceeded::DescriptorsInFlight | LimitExceeded::DescriptorTable),
                    "{source}"
                );
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(without.wait().unwrap(), b"without");
    assert_eq!(client.pass(vec![null()]).unwrap().len(), 1);
    drop((begun, begins));
    before.assert_restored();
    drop(client);
    server.join().unwrap();
}
