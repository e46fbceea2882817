//! Both processes send at the same time, and call each other.

use std::fs::File;
use std::thread;

use unix_ipc::{Connection, Handle, ServeError, ipc_service, test_command};

use crate::util::Watchdog;
use crate::worker::{Diligent, WorkerClient, WorkerServer, serve};

#[ipc_service]
pub(crate) trait Files {
    fn open(&self) -> Handle<File>;
}

struct Null;

impl Files for Null {
    fn open(&self) -> Handle<File> {
        File::open("/dev/null").expect("there is room for a descriptor").into()
    }
}

pub(crate) fn serve_files(connection: Connection) -> Result<(), ServeError> {
    FilesServer::new(Null).serve(connection)
}

const TEN_MEGABYTES: usize = 10 << 20;

#[test]
fn p28_ten_megabytes_each_way_at_once_do_not_lock_up() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = WorkerClient::spawn(test_command()).unwrap();
    // The second call's bytes and the first one's reply meet, with one thread on each side.
    let pending: Vec<_> =
        (0..5u8).map(|number| client.begin_echo(vec![number; TEN_MEGABYTES]).unwrap()).collect();
    for (number, call) in (0..5).zip(pending) {
        assert!(call.wait().unwrap() == vec![number; TEN_MEGABYTES]);
    }
}

#[test]
fn p28_threads_that_all_send_ten_megabytes_do_not_lock_up() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return WorkerServer::new(Diligent::default()).workers(3).serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = WorkerClient::spawn(test_command()).unwrap();
    thread::scope(|scope| {
        for number in 0..4u8 {
            let client = &client;
            scope.spawn(move || {
                let block = vec![number; TEN_MEGABYTES];
                assert!(client.echo(block.clone()).unwrap() == block);
                assert_eq!(client.double(3).unwrap(), 6);
            });
        }
    });
}

#[ipc_service]
trait Ping {
    /// Asks the caller for the number below, until there is none.
    fn count_down(&self, number: u32, callback: PongClient) -> u32;
}

#[ipc_service]
trait Pong {
    fn count_down(&self, number: u32, callback: PingClient) -> u32;
}

/// Answers a call with one in the other direction, over a connection of its own.
struct Player;

impl Ping for Player {
    fn count_down(&self, number: u32, callback: PongClient) -> u32 {
        if number == 0 {
            return 1;
        }
        let (ours, theirs) = Connection::pair().expect("there is room for a pair");
        let pending =
            callback.begin_count_down(number - 1, PingClient::new(theirs)).expect("the peer is there");
        PingServer::new(Player).serve(ours).expect("the peer keeps to the protocol");
        1 + pending.wait().expect("the peer answers")
    }
}

impl Pong for Player {
    fn count_down(&self, number: u32, callback: PingClient) -> u32 {
        if number == 0 {
            return 1;
        }
        let (ours, theirs) = Connection::pair().expect("there is room for a pair");
        let pending =
            callback.begin_count_down(number - 1, PongClient::new(theirs)).expect("the peer is there");
        PongServer::new(Player).serve(ours).expect("the peer keeps to the protocol");
        1 + pending.wait().expect("the peer answers")
    }
}

#[test]
fn p57_a_callback_inside_a_call_is_answered() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return PingServer::new(Player).serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = PingClient::spawn(test_command()).unwrap();
    let (ours, theirs) = Connection::pair().unwrap();
    let pending = client.begin_count_down(1, PongClient::new(theirs)).unwrap();
    PongServer::new(Player).serve(ours).unwrap();
    assert_eq!(pending.wait().unwrap(), 2);
}

#[test]
fn p57_callbacks_nest_ten_deep_between_two_processes_of_one_thread_each() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return PingServer::new(Player).serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = PingClient::spawn(test_command()).unwrap();
    let (ours, theirs) = Connection::pair().unwrap();
    let pending = client.begin_count_down(10, PongClient::new(theirs)).unwrap();
    PongServer::new(Player).serve(ours).unwrap();
    assert_eq!(pending.wait().unwrap(), 11);
}
