//! A method takes precedence over a shortcut of the same name.

use unix_ipc::{Connection, ipc_service, test_command};

use crate::util::Watchdog;

#[ipc_service]
trait Names {
    #[expect(
        clippy::new_ret_no_self,
        clippy::wrong_self_convention,
        reason = "that it may be called so is tested"
    )]
    fn new(&self) -> u8;
    fn spawn(&self, command: &str) -> String;
    fn connect(&self, path: u8) -> u8;
    fn local(&self) -> u8;
    fn with_timeout(&self, milliseconds: u64) -> u64;
    fn work(&self) -> u8;
    fn begin_work(&self) -> String;
    fn clone(&self) -> u8;
    fn dispatch(&self, service: u8, task: u8) -> u8;
    fn serve(&self, connection: u8) -> u8;
}

struct All;

impl Names for All {
    fn new(&self) -> u8 {
        1
    }

    fn spawn(&self, command: &str) -> String {
        command.to_owned()
    }

    fn connect(&self, path: u8) -> u8 {
        path
    }

    fn local(&self) -> u8 {
        4
    }

    fn with_timeout(&self, milliseconds: u64) -> u64 {
        milliseconds
    }

    fn work(&self) -> u8 {
        6
    }

    fn begin_work(&self) -> String {
        "a method".to_owned()
    }

    fn clone(&self) -> u8 {
        8
    }

    fn dispatch(&self, service: u8, task: u8) -> u8 {
        service + task
    }

    fn serve(&self, connection: u8) -> u8 {
        connection
    }
}

#[test]
fn methods_named_as_shortcuts_are_called() {
    if let Some(connection) = Connection::inherited().unwrap() {
        NamesServer::new(All).serve(connection).unwrap();
        return;
    }
    let _watchdog = Watchdog::new();
    let client = NamesClient::from(Connection::spawn(test_command()).unwrap());
    assert_eq!((client.new().unwrap(), client.local().unwrap(), client.work().unwrap()), (1, 4, 6));
    assert_eq!(client.spawn("x").unwrap(), "x");
    assert_eq!((client.connect(3).unwrap(), client.with_timeout(5).unwrap()), (3, 5));
    assert_eq!(client.begin_work().unwrap(), "a method");
    assert_eq!((client.clone().unwrap(), client.serve(9).unwrap()), (8, 9));
    assert_eq!(client.dispatch(2, 3).unwrap(), 5);
    assert_eq!(Clone::clone(&client).work().unwrap(), 6);
}
