//! A client whose connection has rings moves to another process.

use unix_ipc::{Connection, Limits, ipc_service, test_command};

use crate::service::{MillClient, busy, file_of, serve_in_child, warm};
use crate::util::Watchdog;

#[ipc_service]
trait Hand {
    /// Works with the client and gives it back.
    fn work(&self, mill: MillClient) -> (u32, MillClient);
}

struct Worker;

impl Hand for Worker {
    fn work(&self, mill: MillClient) -> (u32, MillClient) {
        work(&mill);
        (std::process::id(), mill)
    }
}

fn work(mill: &MillClient) {
    warm(mill);
    let file = file_of("text").expect("there is room for a file").into();
    assert_eq!(mill.read(&file).expect("the server lives"), "text");
    let bytes = vec![7; 100_000];
    assert!(mill.echo(&bytes).expect("the server lives") == bytes);
}

const ROLE: &str = "UNIX_IPC_TEST_HAND";

/// True in a child of either kind, when it has served.
fn serve_in_either_child() -> bool {
    if std::env::var_os(ROLE).is_none() {
        return serve_in_child();
    }
    let connection = Connection::inherited().expect("the connection is sound").expect("and there is one");
    HandServer::new(Worker).serve(connection).expect("the client keeps to the protocol");
    true
}

fn hand() -> HandClient {
    let mut command = test_command();
    command.env(ROLE, "1");
    HandClient::spawn(command).expect("the test runs as a child")
}

#[test]
fn a_client_moves_with_its_rings_and_comes_back() {
    if serve_in_either_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let hand = hand();
    let mut mill = busy(Limits::default());
    let server = mill.process().unwrap();
    for _ in 0..5 {
        let (elsewhere, back) = hand.work(mill).unwrap();
        assert!(elsewhere != std::process::id() && elsewhere != server);
        mill = back;
        work(&mill);
        assert_eq!(mill.process().unwrap(), server);
        assert!(mill.has_rings().unwrap(), "there are new ones");
    }
}

#[test]
fn a_client_moves_after_every_number_of_calls() {
    if serve_in_either_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let hand = hand();
    // Around the call with which the rings are offered, taken and used.
    for calls in 0..14 {
        let mill = MillClient::spawn(test_command()).unwrap();
        for number in 0..calls {
            assert_eq!(mill.add(number, 1).unwrap(), number + 1);
        }
        let (_, mill) = hand.work(mill).unwrap();
        work(&mill);
    }
}
