//! How two programs that were not built from the same trait get on.

mod util;

use std::thread;

use unix_ipc::{
    CallError, ConnectError, Connection, Listener, ProtocolError, ServeError, SpawnError, ipc_service,
    test_command,
};
use util::Watchdog;

/// The trait as one program knows it.
mod ours {
    use super::ipc_service;

    #[ipc_service]
    pub(crate) trait Calculator {
        fn add(&self, a: i64, b: i64) -> i64;
        fn negate(&self, a: i64) -> i64;
        fn scale(&self, a: i64, by: i64) -> i64;
        #[oneway]
        fn log(&self, line: &str);
        #[oneway]
        fn forget(&self, line: &str);
        fn logged(&self) -> u64;
    }
}

/// The same service in another program: reordered, with a method more, one less, and two that differ.
mod theirs {
    use std::cell::Cell;

    use super::ipc_service;

    #[ipc_service]
    pub(crate) trait Calculator {
        fn logged(&self) -> u64;
        fn square(&self, a: i64) -> i64;
        fn scale(&self, a: i64, by: f64) -> i64;
        #[oneway]
        fn log(&self, line: &str);
        fn add(&self, a: i64, b: i64) -> i64;
        #[oneway]
        fn forget(&self, line: &[u8]);
    }

    #[derive(Default)]
    pub(crate) struct Abacus {
        lines: Cell<u64>,
    }

    impl Calculator for Abacus {
        fn logged(&self) -> u64 {
            self.lines.get()
        }

        fn square(&self, a: i64) -> i64 {
            a * a
        }

        fn scale(&self, a: i64, by: f64) -> i64 {
            (a as f64 * by) as i64
        }

        fn log(&self, _: &str) {
            self.lines.set(self.lines.get() + 1);
        }

        fn add(&self, a: i64, b: i64) -> i64 {
            a + b
        }

        fn forget(&self, _: &[u8]) {
            unreachable!("the caller's is another")
        }
    }
}

#[ipc_service]
trait Clock {
    fn time(&self) -> u64;
}

struct Stopped;

impl Clock for Stopped {
    fn time(&self) -> u64 {
        0
    }
}

#[track_caller]
fn assert_unknown(error: CallError, named: &str, expected: Option<&str>) {
    let text = error.to_string();
    let CallError::UnknownMethod { ours, theirs, .. } = error else { panic!("{error:?}") };
    assert_eq!((ours.as_str(), theirs.as_deref()), (named, expected));
    assert!(text.contains(named) && expected.is_none_or(|theirs| text.contains(theirs)), "{text}");
}

#[test]
fn p62_reordered_and_added_methods_work_and_others_fail_alone_with_both_signatures() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return theirs::CalculatorServer::new(theirs::Abacus::default()).serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    // With the server's introduction in hand, and before it has come.
    let known = ours::CalculatorClient::spawn(test_command()).unwrap();
    let unknown = ours::CalculatorClient::from(Connection::spawn(test_command()).unwrap());
    for client in [known, unknown] {
        assert_unknown(client.negate(1).unwrap_err(), "negate(a: i64) -> i64", None);
        let (ours, theirs) = ("scale(a: i64, by: i64) -> i64", "scale(a: i64, by: f64) -> i64");
        assert_unknown(client.scale(1, 2).unwrap_err(), ours, Some(theirs));
        assert_eq!(client.add(23, 42).unwrap(), 65);
        client.log("x").unwrap();
        assert_unknown(client.negate(1).unwrap_err(), "negate(a: i64) -> i64", None);
        let (ours, theirs) = ("oneway forget(line: String)", "oneway forget(line: Vec<u8>)");
        assert_unknown(client.forget("x").unwrap_err(), ours, Some(theirs));
        assert_eq!(client.logged().unwrap(), 1);
    }
}

#[test]
fn a_one_way_call_of_another_signature_that_left_too_early_is_dropped() {
    let _watchdog = Watchdog::new();
    let (one, other) = Connection::pair().unwrap();
    let client = ours::CalculatorClient::from(one);
    client.forget("before anybody serves").unwrap();
    let server = thread::spawn(|| theirs::CalculatorServer::new(theirs::Abacus::default()).serve(other));
    assert_eq!(client.add(1, 2).unwrap(), 3);
    drop(client);
    server.join().unwrap().unwrap();
}

#[track_caller]
fn assert_services(error: &ProtocolError, ours_and_theirs: [&str; 2]) {
    let ProtocolError::Service { ours, theirs } = error else { panic!("{error:?}") };
    assert_eq!([ours.as_str(), theirs.as_str()], ours_and_theirs);
    let text = error.to_string();
    assert!(ours_and_theirs.iter().all(|name| text.contains(name)), "{text}");
}

#[test]
fn another_service_is_an_error_with_both_names_when_spawned() {
    if let Some(connection) = Connection::inherited().unwrap() {
        let Err(ServeError::Protocol(error)) = ClockServer::new(Stopped).serve(connection) else {
            panic!("it should not have been served")
        };
        return assert_services(&error, ["Clock", "Calculator"]);
    }
    let _watchdog = Watchdog::new();
    let Err(SpawnError::Handshake(error)) = ours::CalculatorClient::spawn(test_command()) else {
        panic!("another error")
    };
    assert_services(&error, ["Calculator", "Clock"]);
}

#[test]
fn another_service_is_an_error_with_both_names_when_connected() {
    let _watchdog = Watchdog::new();
    let directory = tempfile::tempdir().unwrap();
    let listener = Listener::bind(directory.path().join("clock")).unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| ClockServer::new(Stopped).listen(&listener));
        let Err(ConnectError::Handshake(error)) = ours::CalculatorClient::connect(listener.path()) else {
            panic!("another error")
        };
        assert_services(&error, ["Calculator", "Clock"]);
        assert_eq!(ClockClient::connect(listener.path()).unwrap().time().unwrap(), 0);
        listener.close().unwrap();
        server.join().unwrap().unwrap();
    });
}

#[test]
fn another_service_is_an_error_of_every_call_with_both_names_over_a_bare_connection() {
    let _watchdog = Watchdog::new();
    let (one, other) = Connection::pair().unwrap();
    let client = ours::CalculatorClient::from(one);
    let pending: Vec<_> = (0..3).map(|number| client.begin_add(number, 1).unwrap()).collect();
    let served = ClockServer::new(Stopped).serve(other).unwrap_err();
    assert!(matches!(served, ServeError::Protocol(ProtocolError::Service { .. })), "{served}");
    for call in pending {
        let CallError::Protocol { method: "add", source } = call.wait().unwrap_err() else {
            panic!("another error")
        };
        assert_services(&source, ["Calculator", "Clock"]);
    }
    assert!(matches!(client.add(1, 2).unwrap_err(), CallError::Protocol { .. }));
}

#[test]
fn two_clients_are_an_error_of_both() {
    let _watchdog = Watchdog::new();
    let (one, other) = Connection::pair().unwrap();
    let (one, other) = (ClockClient::from(one), ClockClient::from(other));
    let first = one.begin_time().unwrap();
    let second = other.begin_time().unwrap();
    let mut roles = 0;
    for error in [first.wait().unwrap_err(), second.wait().unwrap_err()] {
        let CallError::Protocol { source, .. } = error else { panic!("{error:?}") };
        // One looked at the other's introduction first, and said so.
        roles += usize::from(source == ProtocolError::Role);
        assert!(source.to_string().contains("both are servers"), "{source}");
    }
    assert!(roles > 0);
}

#[test]
fn two_servers_wait_for_a_client_until_one_leaves() {
    let _watchdog = Watchdog::new();
    let (one, other) = Connection::pair().unwrap();
    let serving = thread::spawn(|| ClockServer::new(Stopped).serve(one));
    drop(other);
    serving.join().unwrap().unwrap();
}

#[test]
fn a_stream_socket_is_refused_at_the_first_use_with_the_way_out() {
    let _watchdog = Watchdog::new();
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let client = ClockClient::from(Connection::from(std::os::fd::OwnedFd::from(one)));
    let CallError::Io { source, .. } = client.time().unwrap_err() else { panic!("another error") };
    assert!(source.to_string().contains("ListenSequentialPacket="), "{source}");
    let served = ClockServer::new(Stopped).serve(Connection::from(std::os::fd::OwnedFd::from(other)));
    assert!(matches!(served, Err(ServeError::Io(_))));
}
