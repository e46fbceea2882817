//! The shortest way through everything: a call answered by a child process.

mod util;

use unix_ipc::{Connection, ipc_service, test_command};
use util::Watchdog;

#[ipc_service]
trait Doubler {
    fn double(&self, number: u32) -> u32;
}

struct Twice;

impl Doubler for Twice {
    fn double(&self, number: u32) -> u32 {
        2 * number
    }
}

#[test]
fn a_child_answers_a_call() {
    if let Some(connection) = Connection::inherited().unwrap() {
        DoublerServer::new(Twice).serve(connection).unwrap();
        return;
    }
    let _watchdog = Watchdog::new();
    let client = DoublerClient::spawn(test_command()).unwrap();
    assert_eq!(client.double(21).unwrap(), 42);
}
