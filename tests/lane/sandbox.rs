//! A child that has locked itself in: what would make memory, sockets or descriptors ends the process, and lanes need none of it.

use std::collections::BTreeMap;
use std::{env, process};

use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};
use unix_ipc::{Connection, Receiver, Sender, channel, ipc_service, test_command};

use crate::util::Watchdog;
use crate::values::{Value, random};

#[ipc_service]
trait Cell {
    fn send(&self, to: Sender<Value>, count: u64);
    /// Says how many came, each in its place.
    fn receive(&self, from: Receiver<Value>) -> u64;
}

struct Prisoner;

impl Cell for Prisoner {
    fn send(&self, to: Sender<Value>, count: u64) {
        (0..count).for_each(|number| to.send(value(number)).expect("the test receives"));
    }

    fn receive(&self, from: Receiver<Value>) -> u64 {
        let mut count = 0;
        for received in from {
            let received = received.expect("the test sends what is right");
            let expected = value(count);
            assert_eq!((received.number, received.bytes), (expected.number, expected.bytes));
            count += 1;
        }
        count
    }
}

/// Of any size, so that some go around the lane. Room for the longest is no mapping of its own.
fn value(number: u64) -> Value {
    let mut state = number + 1;
    let len = if random(&mut state).is_multiple_of(200) { 20_000 } else { random(&mut state) % 500 };
    Value::of(number, len as usize, false)
}

/// What is made with these calls a prisoner cannot have.
const FORBIDDEN: [libc::c_long; 9] = [
    libc::SYS_memfd_create,
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_eventfd2,
    libc::SYS_epoll_create1,
    libc::SYS_dup,
    libc::SYS_openat,
    libc::SYS_pipe2,
];

/// Says which of the filters a child enters.
const MODE: &str = "UNIX_IPC_TEST_MODE";
const WITHOUT_MAPPINGS: &str = "without mappings";
const WITH_MAPPINGS: &str = "with mappings";

fn enter_sandbox(mode: &str) {
    let mapping = (mode == WITHOUT_MAPPINGS).then_some(libc::SYS_mmap);
    let forbidden = FORBIDDEN.into_iter().chain(mapping);
    let rules: BTreeMap<_, _> = forbidden.map(|call| (call, Vec::new())).collect();
    let arch = TargetArch::try_from(env::consts::ARCH).expect("seccomp is for this processor");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::KillProcess, arch);
    let program = BpfProgram::try_from(filter.expect("the rules are sound")).expect("the filter is sound");
    apply_filter(&program).expect("this kernel has seccomp");
}

/// Serves, where this is the child that the test spawned.
fn serve_in_child() -> bool {
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    enter_sandbox(&env::var(MODE).expect("the test says what to do"));
    let served = CellServer::new(Prisoner).serve(connection);
    // What else the harness would do at the end is not the library's.
    process::exit(i32::from(served.is_err()))
}

fn spawn(mode: &str) -> CellClient {
    let mut command = test_command();
    CellClient::spawn(command.env(MODE, mode)).expect("the test runs as a child")
}

const COUNT: u64 = 20_000;

#[test]
fn p51_a_child_that_may_map_no_memory_streams_to_its_spawner() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let cell = spawn(WITHOUT_MAPPINGS);
    for _ in 0..3 {
        let (sender, receiver) = channel().unwrap();
        let sending = cell.begin_send(sender, COUNT).unwrap();
        for (number, received) in (0..).zip(&receiver) {
            let (received, expected) = (received.unwrap(), value(number));
            assert_eq!((received.number, received.bytes), (expected.number, expected.bytes));
        }
        sending.wait().unwrap();
    }
}

/// Whoever receives what its spawner sends is offered memory that is a file, and maps it.
#[test]
fn p51_a_child_that_may_make_no_descriptor_receives_what_its_spawner_sends() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let cell = spawn(WITH_MAPPINGS);
    for _ in 0..3 {
        let (sender, receiver) = channel().unwrap();
        let receiving = cell.begin_receive(receiver).unwrap();
        (0..COUNT).for_each(|number| sender.send(value(number)).unwrap());
        drop(sender);
        assert_eq!(receiving.wait().unwrap(), COUNT);
    }
}

#[test]
fn p51_a_child_streams_both_ways_at_once() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (one, other) = (spawn(WITH_MAPPINGS), spawn(WITH_MAPPINGS));
    let (sender, receiver) = channel().unwrap();
    let receiving = other.begin_receive(receiver).unwrap();
    let sending = one.begin_send(sender, COUNT).unwrap();
    assert_eq!(receiving.wait().unwrap(), COUNT);
    sending.wait().unwrap();
}
