//! What a client may say of cancelled calls and of their times that makes no sense, or that it says without end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::errno::Errno;
use nix::sys::socket::MsgFlags;
use unix_ipc::{Connection, Listener, RecvError};

use crate::util::Watchdog;
use crate::wire::*;

const CANCEL: u8 = 16;
const TIMED: u8 = 17;

fn note(text: &str) -> Packet {
    let mut body = 2u32.to_le_bytes().to_vec();
    body.extend((text.len() as u64).to_le_bytes());
    body.extend(text.as_bytes());
    packet(ONE_WAY, 0, body)
}

/// A call that is of use until then.
fn timed(id: u64, moment: u64) -> Packet {
    let mut body = moment.to_le_bytes().to_vec();
    body.extend(double(id));
    packet(TIMED, id, body)
}

/// The server's end of a connection whose client has said all this, and says no more.
fn said(packets: &[Packet]) -> (Bare, Connection) {
    let (bare, connection) = Bare::pair();
    assert!(bare.send(&hello(CLIENT)));
    assert!(packets.iter().all(|packet| bare.send(packet)));
    bare.finish();
    (bare, connection)
}

/// The calls and the one-way calls that are to be run.
fn run(packets: &[Packet]) -> (Vec<u64>, Vec<String>) {
    let (_bare, connection) = said(packets);
    let (mut calls, mut notes) = (Vec::new(), Vec::new());
    for task in connection.tasks::<VaultTask>() {
        match task.expect("all of it can be read") {
            VaultTask::Double { number, .. } => calls.push(number),
            VaultTask::Note { text } => notes.push(text),
            VaultTask::Count { .. } => panic!("it was not called"),
        }
    }
    (calls, notes)
}

#[test]
fn a_cancel_that_means_no_call_is_passed_over() {
    let _watchdog = Watchdog::new();
    let (call, cancel) = (|id| packet(CALL, id, double(id)), |id| packet(CANCEL, id, []));
    let (calls, notes) = run(&[
        cancel(1),
        call(2),
        note("a"),
        cancel(0),
        cancel(0),
        cancel(77),
        cancel(u64::MAX),
        note("b"),
        call(3),
        call(4),
        cancel(3),
        cancel(3),
        cancel(2_u64.pow(63)),
    ]);
    assert_eq!(calls, [2, 4]);
    assert_eq!(notes, ["a", "b"]);
}

#[test]
fn a_cancel_with_anything_beside_it_breaks_the_protocol_in_its_turn() {
    let _watchdog = Watchdog::new();
    for wrong in [packet(CANCEL, 1, [0]), packet(CANCEL, 1, []).with(1)] {
        let (_bare, connection) = said(&[packet(CALL, 1, double(1)), note("a"), wrong]);
        let mut tasks = connection.tasks::<VaultTask>();
        assert!(matches!(tasks.next(), Some(Ok(VaultTask::Double { number: 1, .. }))));
        assert!(matches!(tasks.next(), Some(Ok(VaultTask::Note { .. }))));
        assert!(matches!(tasks.next(), Some(Err(RecvError::Protocol(_)))));
        assert!(tasks.next().is_none());
    }
}

#[test]
fn a_moment_may_be_any_number_and_has_to_be_whole() {
    let _watchdog = Watchdog::new();
    let (calls, _) = run(&[timed(1, 0), timed(2, u64::MAX), timed(3, 1), timed(4, u64::MAX / 2)]);
    assert_eq!(calls, [2, 4]);
    for bytes in 0..8 {
        let (bare, connection) = said(&[packet(TIMED, 1, vec![255; bytes]), packet(CALL, 2, double(2))]);
        let mut tasks = connection.tasks::<VaultTask>();
        assert!(matches!(tasks.next(), Some(Err(RecvError::Decode(_)))));
        let Some(Ok(task)) = tasks.next() else { panic!("the other call can be read") };
        task.dispatch(&Door);
        assert!(tasks.next().is_none());
        drop(tasks);
        drop(connection);
        let answers = bare.rest();
        assert!(answers.iter().any(|(kind, id, _)| (*kind, *id) == (FAILURE, 1)), "{answers:?}");
        assert!(answers.iter().any(|(kind, id, _)| (*kind, *id) == (REPLY, 2)), "{answers:?}");
    }
}

/// Says this without end, and reads nothing.
fn flood(bare: &Bare, packets: &[Vec<u8>], is_over: &AtomicBool) {
    for bytes in packets.iter().cycle() {
        while bare.try_send(bytes, 0, MsgFlags::MSG_DONTWAIT) == Err(Errno::EAGAIN) {
            if is_over.load(Ordering::SeqCst) {
                return;
            }
            thread::yield_now();
        }
        if is_over.load(Ordering::SeqCst) {
            return;
        }
    }
}

#[test]
fn a_flood_of_cancels_does_not_keep_another_client_from_its_calls() {
    let _watchdog = Watchdog::new();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let listener = Arc::new(Listener::bind(&path).unwrap());
    let serving = thread::spawn({
        let listener = Arc::clone(&listener);
        move || VaultServer::new(Door).listen(&listener)
    });
    let cancels = (0..1000).map(|id| packet(CANCEL, id, []).bytes());
    let notes = (0..1000).flat_map(|id| [note("a").bytes(), packet(CANCEL, id, []).bytes()]);
    let calls =
        (1..1000).flat_map(|id| [packet(CALL, id, double(id)).bytes(), packet(CANCEL, id, []).bytes()]);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for packets in [cancels.collect::<Vec<_>>(), notes.collect(), calls.collect()] {
            let bare = connect_bare(path.to_str().unwrap());
            assert!(bare.send(&hello(CLIENT)));
            let is_over = &is_over;
            scope.spawn(move || flood(&bare, &packets, is_over));
        }
        let client = VaultClient::connect(&path).unwrap();
        for number in 0..1000 {
            assert_eq!(client.double(number).unwrap(), 2 * number);
        }
        is_over.store(true, Ordering::SeqCst);
    });
    listener.close().unwrap();
    serving.join().unwrap().unwrap();
}
