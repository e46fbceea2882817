//! Connections: introductions, calls and what comes of them.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::process;
use std::thread;

use unix_ipc::{
    CallError, Connection, Handle, LimitExceeded, Limits, Listener, Pending, ProtocolError, RecvError,
    Sender, channel, ipc_service,
};

use crate::raw::Raw;
use crate::util::Watchdog;

#[ipc_service]
pub(crate) trait Calculator {
    fn add(&self, a: i64, b: i64) -> i64;
    fn open(&self, name: &str) -> io::Result<Handle<File>>;
    fn home(&self) -> PathBuf;
    #[oneway]
    fn log(&self, line: &str);
}

/// The service of the same name in another program.
mod other {
    #[unix_ipc::ipc_service]
    pub(crate) trait Calculator {
        fn add(&self, a: i64) -> i64;
    }
}

/// Does what the functions say.
pub(crate) struct Abacus {
    add: fn(i64, i64) -> i64,
    open: fn() -> io::Result<File>,
}

pub(crate) const ABACUS: Abacus = Abacus { add: |a, b| a + b, open: || File::open("/dev/null") };

impl Calculator for Abacus {
    fn add(&self, a: i64, b: i64) -> i64 {
        (self.add)(a, b)
    }

    fn open(&self, _: &str) -> io::Result<Handle<File>> {
        (self.open)().map(Handle::from)
    }

    fn home(&self) -> PathBuf {
        OsString::from_vec(vec![0xff]).into()
    }

    fn log(&self, _: &str) {}
}

/// A client of the library's at the other end.
pub(crate) fn client() -> (Raw, CalculatorClient) {
    let (raw, end) = Raw::pair();
    (raw, Connection::from(end).into())
}

/// One that has called `add`.
#[track_caller]
fn calling() -> (Raw, Pending<i64>) {
    let (raw, client) = client();
    let pending = client.begin_add(23, 42).unwrap();
    let (sender, _) = raw.expect_named("hello/client");
    assert_eq!(sender, process::id());
    raw.expect("call/add");
    raw.give("hello/server", &[]);
    (raw, pending)
}

/// One that has called `open`.
#[track_caller]
fn opening() -> (Raw, Pending<Handle<File>, io::Error>) {
    let (raw, client) = client();
    let pending = client.begin_open("x").unwrap();
    raw.expect("hello/client");
    raw.expect("call/open");
    raw.give("hello/server", &[]);
    (raw, pending)
}

/// A server's end of the library's at the other end, with limits, that was introduced to.
fn server_with(limits: Limits) -> (Raw, Connection) {
    let (raw, end) = Raw::pair();
    raw.give("hello/client", &[]);
    (raw, Connection::from(end).with_limits(limits))
}

pub(crate) fn server() -> (Raw, Connection) {
    server_with(Limits::default())
}

/// The call that was given to the library, which introduces itself first.
#[track_caller]
pub(crate) fn received(raw: &Raw, connection: &Connection) -> Result<CalculatorTask, RecvError> {
    let task = connection.tasks().next().expect("a call is there");
    let (sender, _) = raw.expect_named("hello/server");
    assert_eq!(sender, process::id());
    task
}

#[track_caller]
fn is_null(descriptors: &mut Vec<OwnedFd>) -> bool {
    assert_eq!(descriptors.len(), 1);
    let file = File::from(descriptors.remove(0));
    io::copy(&mut &file, &mut io::sink()).is_ok_and(|bytes| bytes == 0)
}

#[test]
fn a_call_is_answered_with_a_value() {
    let _watchdog = Watchdog::new();
    let (raw, pending) = calling();
    raw.give("reply/add", &[]);
    assert_eq!(pending.wait().unwrap(), 65);

    let (raw, connection) = server();
    raw.give("call/add", &[]);
    received(&raw, &connection).unwrap().dispatch(&ABACUS);
    raw.expect("reply/add");
}

#[test]
fn a_one_way_call_has_no_id() {
    let _watchdog = Watchdog::new();
    let (raw, client) = client();
    client.log("hi").unwrap();
    raw.expect("hello/client");
    raw.expect("oneway/log");

    let (raw, connection) = server();
    raw.give("oneway/log", &[]);
    let task = received(&raw, &connection).unwrap();
    assert!(matches!(task, CalculatorTask::Log { line } if line == "hi"));
}

#[test]
fn a_mark_comes_back_behind_what_was_before_it() {
    let _watchdog = Watchdog::new();
    let mut limits = Limits::default();
    limits.queued_oneway_calls = 1;
    let (raw, end) = Raw::pair();
    let client = CalculatorClient::new(Connection::from(end).with_limits(limits));
    client.log("hi").unwrap();
    raw.expect("hello/client");
    raw.expect("oneway/log");
    raw.expect("mark");
    let error = client.log("hi").unwrap_err();
    let expected = LimitExceeded::QueuedOneWayCalls { limit: 1 };
    assert!(matches!(error, CallError::Refused { source, .. } if source == expected));
    raw.give("hello/server", &[]);
    raw.give("mark", &[]);
    client.log("hi").unwrap();
    raw.expect("oneway/log");

    let (raw, connection) = server();
    raw.give("oneway/log", &[]);
    raw.give("mark", &[]);
    raw.give("oneway/log", &[]);
    assert!(matches!(received(&raw, &connection), Ok(CalculatorTask::Log { .. })));
    assert!(matches!(connection.tasks().next(), Some(Ok(CalculatorTask::Log { .. }))));
    raw.expect("mark");
}

#[test]
fn a_result_is_a_handle_or_an_error_of_the_system() {
    let _watchdog = Watchdog::new();
    let null = File::open("/dev/null").unwrap();
    let (raw, pending) = opening();
    raw.give("reply/handle", &[null.as_fd()]);
    assert!(is_null(&mut vec![pending.wait().unwrap().into_inner().into()]));

    let (raw, pending) = opening();
    raw.give("reply/os-error", &[]);
    let error = pending.wait().unwrap_err().service().unwrap();
    assert_eq!(error.raw_os_error(), Some(2));

    let (raw, pending) = opening();
    raw.give("reply/other-error", &[]);
    let error = pending.wait().unwrap_err().service().unwrap();
    assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::PermissionDenied, "no"));

    let (raw, connection) = server();
    raw.give("call/open", &[]);
    received(&raw, &connection).unwrap().dispatch(&ABACUS);
    assert!(is_null(&mut raw.expect("reply/handle")));

    let (raw, connection) = server();
    raw.give("call/open", &[]);
    let open = || Err(io::Error::from_raw_os_error(2));
    received(&raw, &connection).unwrap().dispatch(&Abacus { open, ..ABACUS });
    raw.expect("reply/os-error");

    let (raw, connection) = server();
    raw.give("call/open", &[]);
    let open = || Err(io::Error::new(io::ErrorKind::PermissionDenied, "no"));
    received(&raw, &connection).unwrap().dispatch(&Abacus { open, ..ABACUS });
    raw.expect("reply/other-error");
}

#[test]
fn a_reply_can_come_through_a_channel() {
    let _watchdog = Watchdog::new();
    let (raw, pending) = calling();
    let (third, end) = Raw::pair();
    raw.give("forwarded", &[end.as_fd()]);
    drop(end);
    raw.give("failure/dropped", &[]);
    third.give("forwarded/reply", &[]);
    assert_eq!(pending.wait().unwrap(), 65);

    let (raw, connection) = server();
    raw.give("call/add", &[]);
    let Ok(CalculatorTask::Add { reply, .. }) = received(&raw, &connection) else { panic!("no call") };
    let (sender, receiver) = channel::<Sender<i64>>().unwrap();
    sender.send(reply).unwrap();
    let end = Raw::from(raw.expect("forwarded").remove(0));
    raw.expect("failure/dropped");
    receiver.recv().unwrap().send(65).unwrap();
    end.expect("forwarded/reply");
}

#[test]
fn each_failure_has_a_number() {
    let _watchdog = Watchdog::new();
    let (raw, pending) = calling();
    raw.give("failure/dropped", &[]);
    assert!(matches!(pending.wait(), Err(CallError::NoReply { method: "add" })));

    let (raw, pending) = calling();
    raw.give("failure/panicked", &[]);
    assert!(matches!(pending.wait(), Err(CallError::Panicked { message, .. }) if message == "boom"));

    let (raw, pending) = calling();
    raw.give("failure/refused", &[]);
    let refused = LimitExceeded::Descriptors { actual: 1, limit: 0 };
    assert!(matches!(pending.wait(), Err(CallError::Refused { source, .. }) if source == refused));

    let (raw, pending) = calling();
    raw.give("failure/unreadable", &[]);
    let text = "the bytes end in the middle of the value";
    assert!(
        matches!(pending.wait(), Err(CallError::Protocol { source: ProtocolError::Body(body), .. }) if body == text)
    );

    let (raw, client) = client();
    let pending = client.begin_home().unwrap();
    raw.expect("hello/client");
    raw.expect("call/home");
    raw.give("hello/server", &[]);
    raw.give("failure/unsendable", &[]);
    let text = "path contains invalid UTF-8 characters";
    assert!(
        matches!(pending.wait(), Err(CallError::Protocol { source: ProtocolError::Body(body), .. }) if body == text)
    );
}

#[test]
fn a_failure_without_a_call_says_that_there_is_no_room_for_the_client() {
    let _watchdog = Watchdog::new();
    let refused = LimitExceeded::Clients { limit: 1 };
    let (raw, pending) = calling();
    raw.give("failure/full", &[]);
    let error = pending.wait().unwrap_err();
    assert!(error.is_gone(), "{error}");
    assert!(matches!(error, CallError::Refused { source, .. } if source == refused));

    let directory = tempfile::tempdir().unwrap();
    let mut limits = Limits::default();
    limits.clients = 1;
    let listener = Listener::bind(directory.path().join("abacus")).unwrap().with_limits(limits);
    thread::scope(|scope| {
        scope.spawn(|| CalculatorServer::new(ABACUS).listen(&listener).unwrap());
        let stays = CalculatorClient::connect(listener.path()).unwrap();
        let raw = Raw::connect(listener.path());
        raw.expect("failure/full");
        raw.expect_end();
        assert_eq!(stays.add(1, 2).unwrap(), 3);
        listener.close().unwrap();
    });
}

#[test]
fn each_failure_comes_from_what_it_says() {
    let _watchdog = Watchdog::new();
    let (raw, connection) = server();
    raw.give("call/add", &[]);
    drop(received(&raw, &connection).unwrap());
    raw.expect("failure/dropped");

    let (raw, connection) = server();
    raw.give("call/add", &[]);
    let task = received(&raw, &connection).unwrap();
    let abacus = Abacus { add: |_, _| panic!("boom"), ..ABACUS };
    assert!(panic::catch_unwind(AssertUnwindSafe(|| task.dispatch(&abacus))).is_err());
    raw.expect("failure/panicked");

    let mut limits = Limits::default();
    limits.descriptors = 0;
    let (raw, connection) = server_with(limits);
    raw.give("wrong/descriptor", &[raw.as_fd()]);
    assert!(matches!(received(&raw, &connection), Err(RecvError::Refused(_))));
    raw.expect("failure/refused");

    let (raw, connection) = server();
    raw.give("wrong/short", &[]);
    assert!(matches!(received(&raw, &connection), Err(RecvError::Decode(_))));
    raw.expect("failure/unreadable");

    let (raw, connection) = server();
    raw.give("call/home", &[]);
    received(&raw, &connection).unwrap().dispatch(&ABACUS);
    raw.expect("failure/unsendable");
}

#[test]
fn p62_a_method_with_another_signature_fails_for_itself() {
    let _watchdog = Watchdog::new();
    let (raw, end) = Raw::pair();
    let pending = other::CalculatorClient::new(Connection::from(end)).begin_add(23).unwrap();
    raw.expect("hello/other-client");
    raw.expect("call/other-add");
    raw.give("hello/server", &[]);
    raw.give("failure/unknown-method", &[]);
    let Err(CallError::UnknownMethod { ours, theirs, .. }) = pending.wait() else { panic!("it is known") };
    assert_eq!(ours, "add(a: i64) -> i64");
    assert_eq!(theirs.as_deref(), Some("add(a: i64, b: i64) -> i64"));

    let (raw, end) = Raw::pair();
    raw.give("hello/other-client", &[]);
    raw.give("call/other-add", &[]);
    raw.finish();
    let connection = Connection::from(end);
    assert!(connection.tasks::<CalculatorTask>().next().is_none());
    raw.expect("hello/server");
    raw.expect("failure/unknown-method");
}

#[test]
fn a_fault_says_what_was_wrong_and_hangs_up() {
    let _watchdog = Watchdog::new();
    let (raw, pending) = calling();
    raw.give("wrong/kind", &[]);
    let wrong = ProtocolError::Kind(255);
    assert!(matches!(pending.wait(), Err(CallError::Protocol { source, .. }) if source == wrong));
    raw.expect("fault/kind");
    raw.expect_end();

    let (raw, connection) = server();
    raw.give("wrong/kind", &[]);
    assert!(matches!(received(&raw, &connection), Err(RecvError::Protocol(source)) if source == wrong));
    raw.expect("fault/kind");
    raw.expect_end();

    let accused = ProtocolError::Accused("a message of kind 255, which has no place here".to_owned());
    let (raw, pending) = calling();
    raw.give("fault/kind", &[]);
    assert!(matches!(pending.wait(), Err(CallError::Protocol { source, .. }) if source == accused));

    let (raw, connection) = server();
    raw.give("fault/kind", &[]);
    assert!(matches!(received(&raw, &connection), Err(RecvError::Protocol(source)) if source == accused));
}
