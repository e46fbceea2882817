//! A call that takes too long.

use std::io::{Seek, SeekFrom, Write};
use std::thread;
use std::time::{Duration, Instant};

use unix_ipc::{CallError, Connection, channel, test_command};

use crate::util::{Holdings, Watchdog, alone};
use crate::worker::{WorkerClient, serve};

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn p56_a_late_reply_answers_nobody() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = WorkerClient::spawn(test_command()).unwrap();
    for number in 0..20 {
        let (gate, theirs) = channel().unwrap();
        let error = client.with_timeout(SHORT).wait(theirs).unwrap_err();
        assert!(matches!(error, CallError::Timeout { method: "wait", after: SHORT }), "{error}");
        drop(gate);
        assert_eq!(client.double(number).unwrap(), 2 * number);
    }
}

#[test]
fn a_timeout_counts_from_the_beginning_of_the_call_and_other_calls_have_their_own() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = WorkerClient::spawn(test_command()).unwrap();
    let (gate, theirs) = channel().unwrap();
    let patient = client.begin_wait(theirs).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| patient.wait());
        let begun = Instant::now();
        for _ in 0..5 {
            let error = client.with_timeout(SHORT).double(1).unwrap_err();
            assert!(matches!(error, CallError::Timeout { method: "double", .. }), "{error}");
        }
        let error = client.begin_double(2).unwrap().wait_timeout(SHORT).unwrap_err();
        assert!(matches!(error, CallError::Timeout { after: SHORT, .. }), "{error}");
        assert!(begun.elapsed() >= 6 * SHORT);
        drop(gate);
        assert_eq!(waiting.join().unwrap().unwrap(), 7);
    });
    assert_eq!(client.with_timeout(Duration::MAX).double(3).unwrap(), 6);
}

#[test]
fn the_reading_goes_on_when_the_thread_that_reads_runs_out_of_time() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = WorkerClient::spawn(test_command()).unwrap();
    for _ in 0..20 {
        let (gate, theirs) = channel().unwrap();
        let (late_gate, never) = channel().unwrap();
        let first = client.begin_wait(theirs).unwrap();
        let impatient = client.with_timeout(SHORT).begin_wait(never).unwrap();
        thread::scope(|scope| {
            let reads_first = scope.spawn(|| impatient.wait());
            let waits = scope.spawn(|| first.wait());
            assert!(matches!(reads_first.join().unwrap(), Err(CallError::Timeout { .. })));
            drop(gate);
            assert_eq!(waits.join().unwrap().unwrap(), 7);
        });
        drop(late_gate);
    }
}

#[test]
fn what_a_timed_out_call_carried_is_closed_on_both_sides() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve(connection).unwrap();
    }
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let client = WorkerClient::spawn(test_command()).unwrap();
    let theirs = client.holdings().unwrap();
    let before = Holdings::now();
    for _ in 0..20 {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"text").unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let (gate, receiver) = channel().unwrap();
        let error = client.with_timeout(Duration::from_millis(1)).read(receiver, file.into()).unwrap_err();
        assert!(matches!(error, CallError::Timeout { .. }), "{error}");
        drop(gate);
    }
    assert_eq!(client.holdings().unwrap(), theirs);
    before.assert_restored();
}

#[test]
fn a_one_way_call_without_room_times_out() {
    let _watchdog = Watchdog::new();
    let (ours, _nobody_reads) = Connection::pair().unwrap();
    let client = WorkerClient::new(ours).with_timeout(SHORT);
    let error = (0..1_000_000).find_map(|number| client.note(number).err()).unwrap();
    assert!(matches!(error, CallError::Timeout { method: "note", after: SHORT }), "{error}");
}
