//! What is too much is refused with the number, and the connection lives on.

use unix_ipc::{
    CallError, Connection, LimitExceeded, Limits, SpawnOptions, channel, ipc_service, test_command,
};

use crate::util::Watchdog;
use crate::worker::{WorkerClient, serve};

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[test]
fn p60_of_100_000_calls_nobody_waits_for_4096_are_begun() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = WorkerClient::spawn(test_command()).unwrap();
    let mut begun = Vec::new();
    for number in 0..100_000u64 {
        match client.begin_double(number) {
            Ok(pending) => begun.push((number, pending)),
            Err(CallError::Refused {
                method: "double",
                source: LimitExceeded::CallsInFlight { limit: 4096 },
            }) => {
                assert_eq!(begun.len(), 4096);
            }
            Err(other) => panic!("{other}"),
        }
    }
    for (number, pending) in begun {
        assert_eq!(pending.wait().unwrap(), 2 * number);
    }
    assert_eq!(client.double(4).unwrap(), 8);
}

#[test]
fn p60_replies_that_nobody_takes_are_limited_in_bytes() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let limits = limits(|limits| limits.unread_reply_bytes = 1 << 20);
    let options = SpawnOptions::new().limits(limits);
    let client = WorkerClient::new(Connection::spawn_with(test_command(), &options).unwrap());
    let mut begun = Vec::new();
    let error = loop {
        // Another call's waiter reads all replies that are there.
        match client.begin_echo(vec![1; 100_000]) {
            Ok(pending) => begun.push(pending),
            Err(error) => break error,
        }
        assert!(begun.len() < 1000);
        begun.last().unwrap().is_ready();
    };
    assert!(
        matches!(error, CallError::Refused { source: LimitExceeded::UnreadReplies { limit: 1_048_576 }, .. }),
        "{error:?}"
    );
    for pending in begun {
        assert_eq!(pending.wait().unwrap().len(), 100_000);
    }
    assert_eq!(client.double(4).unwrap(), 8);
}

#[ipc_service]
trait Outer {
    /// Calls back into the process that calls, and answers with what it said.
    fn ask(&self, inner: WorkerClient) -> u64;
}

struct Asker;

impl Outer for Asker {
    fn ask(&self, inner: WorkerClient) -> u64 {
        inner.double(21).expect("the caller serves meanwhile")
    }
}

#[test]
fn p64_a_limit_of_one_call_refuses_the_second_and_leaves_a_nested_one_alone() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return OuterServer::new(Asker).serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let one = limits(|limits| limits.calls_in_flight = 1);
    let options = SpawnOptions::new().limits(one);
    let client = OuterClient::new(Connection::spawn_with(test_command(), &options).unwrap());
    let (ours, theirs) = Connection::pair().unwrap();
    let nested = client.begin_ask(WorkerClient::new(theirs.with_limits(one))).unwrap();
    let (_, unused) = Connection::pair().unwrap();
    let error = client.begin_ask(WorkerClient::new(unused)).map(drop).unwrap_err();
    let expected = LimitExceeded::CallsInFlight { limit: 1 };
    assert!(matches!(error, CallError::Refused { source, .. } if source == expected));
    serve(ours).unwrap();
    assert_eq!(nested.wait().unwrap(), 42);
}

#[test]
fn p61_an_argument_too_large_is_refused_with_both_numbers_before_it_is_sent() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let options = SpawnOptions::new().limits(limits(|limits| limits.message_bytes = 10_000));
    let client = WorkerClient::new(Connection::spawn_with(test_command(), &options).unwrap());
    let error = client.echo(vec![0; 20_000]).unwrap_err();
    let CallError::Refused { method: "echo", source: LimitExceeded::MessageBytes { actual, limit: 10_000 } } =
        error
    else {
        panic!("{error:?}")
    };
    assert!((20_000..20_100).contains(&actual));
    assert_eq!(client.echo(vec![1; 9_000]).unwrap().len(), 9_000);
}

#[test]
fn p61_an_argument_above_the_servers_limit_is_refused_by_the_server_and_the_connection_lives() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return serve(connection.with_limits(limits(|limits| limits.message_bytes = 10_000))).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = WorkerClient::spawn(test_command()).unwrap();
    // In one packet, and in several.
    for bytes in [20_000, 1_000_000] {
        let error = client.echo(vec![0; bytes]).unwrap_err();
        let CallError::Refused { source: LimitExceeded::MessageBytes { actual, limit: 10_000 }, .. } = error
        else {
            panic!("{error:?}")
        };
        assert!(actual >= bytes as u64);
        assert_eq!(client.double(1).unwrap(), 2);
    }
    client.note(3).unwrap();
    assert_eq!(client.notes().unwrap(), [3]);
}

#[test]
fn p61_too_many_descriptors_are_refused_with_both_numbers() {
    let _watchdog = Watchdog::new();
    let (ours, theirs) = Connection::pair().unwrap();
    let one = limits(|limits| limits.descriptors = 1);
    let client = WorkerClient::new(ours.with_limits(one));
    let server = std::thread::spawn(move || serve(theirs));
    let (_gate, receiver) = channel().unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let error = client.read(receiver, file.into()).unwrap_err();
    let expected = LimitExceeded::Descriptors { actual: 2, limit: 1 };
    assert!(matches!(error, CallError::Refused { source, .. } if source == expected));
    assert_eq!(client.double(1).unwrap(), 2);
    drop(client);
    server.join().unwrap().unwrap();
}
