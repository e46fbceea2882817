//! How long a client may take to introduce itself to a listener.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use unix_ipc::{Connection, Limits, Listener, ProtocolError, RecvError, ServeError, channel};

use crate::raw::{CANCEL, FAULT, RawClient};
use crate::service::{
    Clerk, CounterClient, CounterServer, CounterTask, LONG, client_in_time, serve_while, stranger,
};
use crate::util::{Holdings, Watchdog, alone, wait_until};

const BRIEF: Duration = Duration::from_millis(200);

fn brief() -> Limits {
    let mut limits = Limits::default();
    limits.handshake = BRIEF;
    limits
}

/// Until this much time is over, whatever it is spent on.
fn let_pass(time: Duration) {
    let start = Instant::now();
    assert!(wait_until(LONG, || start.elapsed() > time));
}

/// Waits until a stranger is hung up on, and has been told why.
#[track_caller]
fn assert_accused_of_silence(stranger: &RawClient) {
    let fault = stranger.receive().expect("it is told");
    assert_eq!((fault[0], &fault[16..]), (FAULT, b"no introduction within 200ms".as_slice()));
    assert_eq!(stranger.receive(), None);
}

#[test]
fn p42_strangers_are_told_and_hung_up_on_when_their_time_is_over() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    for workers in [1, 3] {
        serve_while(brief(), workers, |path| {
            let strangers: Vec<_> = (0..50).map(|_| RawClient::connect(path)).collect();
            let honest = client_in_time(path);
            for (number, stranger) in (0..).zip(&strangers) {
                assert_accused_of_silence(stranger);
                assert_eq!(honest.double(number).unwrap(), 2 * number);
            }
            // Who has introduced itself stays.
            let_pass(2 * BRIEF);
            assert_eq!(honest.double(4).unwrap(), 8);
        });
    }
    before.assert_restored();
}

#[test]
fn p42_a_stranger_that_talks_about_something_else_is_hung_up_on_as_well() {
    let _watchdog = Watchdog::new();
    for workers in [1, 3] {
        serve_while(brief(), workers, |path| {
            let talker = RawClient::connect(path);
            // It ends where nobody is there any more.
            while talker.send(CANCEL, 1, &[]) {}
            assert_eq!(client_in_time(path).double(2).unwrap(), 4);
        });
    }
}

fn bind(limits: Limits) -> (tempfile::TempDir, Listener) {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let listener = Listener::bind(directory.path().join("counter")).expect("nothing is there yet");
    (directory, listener.with_limits(limits))
}

fn serve_one(connection: Connection, workers: usize) -> Result<(), ServeError> {
    let server = CounterServer::new(Clerk);
    let mut server = if workers > 1 { server.workers(workers) } else { server };
    server.serve(connection)
}

fn assert_is_silence(error: &(dyn Error + 'static)) {
    let source = error.source().and_then(|source| source.downcast_ref());
    assert_eq!(source, Some(&ProtocolError::Silence { after: BRIEF }), "{error:?}");
}

#[test]
fn p42_serving_an_accepted_connection_ends_with_the_time_of_a_stranger() {
    let _watchdog = Watchdog::new();
    let (_directory, listener) = bind(brief());
    for workers in [1, 3] {
        let silent = RawClient::connect(listener.path());
        let error = serve_one(listener.accept().unwrap(), workers).unwrap_err();
        assert_is_silence(&error);
        assert_accused_of_silence(&silent);
    }
    let silent = RawClient::connect(listener.path());
    let accepted = listener.accept().unwrap();
    let mut tasks = accepted.tasks::<CounterTask>();
    let error: RecvError = tasks.next().expect("it says why").map(drop).expect_err("nobody has called");
    assert_is_silence(&error);
    assert!(tasks.next().is_none());
    assert_accused_of_silence(&silent);

    let silent = RawClient::connect(listener.path());
    let mut prepares = CounterServer::new(Clerk).pre_serve(|| panic!("it has no client"));
    let error = prepares.serve(listener.accept().unwrap()).unwrap_err();
    assert_is_silence(&error);
    assert_accused_of_silence(&silent);
}

#[test]
fn an_introduction_that_waits_for_a_busy_server_came_in_time() {
    let _watchdog = Watchdog::new();
    let (_directory, listener) = bind(brief());
    for workers in [1, 3] {
        let client = CounterClient::new(stranger(listener.path()));
        let call = client.begin_double(21).unwrap();
        let accepted = listener.accept().unwrap();
        let_pass(2 * BRIEF);
        thread::scope(|scope| {
            scope.spawn(|| serve_one(accepted, workers).unwrap());
            assert_eq!(call.wait().unwrap(), 42);
            drop(client);
        });
    }
    serve_while(brief(), 1, |path| {
        let busy = client_in_time(path);
        let client = CounterClient::new(stranger(path));
        // Accepted after the other one, which has an answer.
        assert_eq!(client_in_time(path).double(1).unwrap(), 2);
        let (gate, closed) = channel::<()>().unwrap();
        let waits = busy.begin_wait(closed).unwrap();
        let call = client.begin_double(21).unwrap();
        let_pass(2 * BRIEF);
        drop(gate);
        waits.wait().unwrap();
        assert_eq!(call.wait().unwrap(), 42);
    });
}

#[test]
fn an_end_of_a_pair_may_take_its_time() {
    let _watchdog = Watchdog::new();
    for workers in [1, 3] {
        let (ours, theirs) = Connection::pair().unwrap();
        let theirs = theirs.with_limits(brief());
        thread::scope(|scope| {
            scope.spawn(|| serve_one(theirs, workers).unwrap());
            let_pass(2 * BRIEF);
            let client = CounterClient::new(ours);
            assert_eq!(client.double(21).unwrap(), 42);
        });
    }
}
