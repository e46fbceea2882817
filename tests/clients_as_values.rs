//! A client is a value: it moves its connection to the process that receives it.

mod util;

use std::process::id;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use unix_ipc::{CallError, Connection, EncodeError, Sender, channel, ipc_service, test_command};
use util::{Holdings, Watchdog, alone, is_running, wait_until};

#[ipc_service]
trait Leaf {
    fn process(&self) -> u32;
    fn add(&mut self, number: u32) -> u32;
    fn pause(&self, milliseconds: u64);
}

#[derive(Default)]
struct Adder(u32);

impl Leaf for Adder {
    fn process(&self) -> u32 {
        id()
    }

    fn add(&mut self, number: u32) -> u32 {
        self.0 += number;
        self.0
    }

    fn pause(&self, milliseconds: u64) {
        let (_sender, receiver) = channel::<()>().expect("there is room for a channel");
        let _ = receiver.recv_timeout(Duration::from_millis(milliseconds));
    }
}

#[ipc_service]
trait Hub {
    fn process(&self) -> u32;
    /// Calls the client that it is given.
    fn call_back(&self, leaf: LeafClient, number: u32) -> u32;
    /// A narrower service, of this process.
    fn narrow(&self) -> LeafClient;
    /// Gives the client on to another hub, which calls it.
    fn pass_on(&self, leaf: LeafClient, to: &HubClient) -> u32;
    fn keep(&mut self, leaf: LeafClient);
    fn process_of_kept(&self) -> Option<u32>;
    fn give_back(&mut self) -> Option<LeafClient>;
    fn several(&self, leaves: Vec<LeafClient>, last: Option<LeafClient>) -> Vec<u32>;
    fn holdings(&self) -> usize;
}

#[derive(Default)]
struct Central {
    kept: Option<LeafClient>,
}

impl Hub for Central {
    fn process(&self) -> u32 {
        id()
    }

    fn call_back(&self, mut leaf: LeafClient, number: u32) -> u32 {
        add(&mut leaf, number)
    }

    fn narrow(&self) -> LeafClient {
        LeafClient::local(Adder::default()).expect("there is room for a thread")
    }

    fn pass_on(&self, leaf: LeafClient, to: &HubClient) -> u32 {
        to.call_back(leaf, 1).expect("the other hub calls it")
    }

    fn keep(&mut self, leaf: LeafClient) {
        self.kept = Some(leaf);
    }

    fn process_of_kept(&self) -> Option<u32> {
        Some(self.kept.as_ref()?.process().expect("the leaf is there"))
    }

    fn give_back(&mut self) -> Option<LeafClient> {
        self.kept.take()
    }

    fn several(&self, leaves: Vec<LeafClient>, last: Option<LeafClient>) -> Vec<u32> {
        leaves.iter().chain(&last).map(|leaf| leaf.add(1).expect("the leaf is there")).collect()
    }

    fn holdings(&self) -> usize {
        Holdings::now().descriptor_count()
    }
}

fn add(leaf: &mut LeafClient, number: u32) -> u32 {
    leaf.add(number).expect("the leaf is there")
}

const ROLE: &str = "UNIX_IPC_TEST_ROLE";

/// Serves in the children of a test, as the role in their environment says: true in a child.
fn serve_in_child() -> bool {
    let Some(connection) = Connection::inherited().expect("the child takes its connection") else {
        return false;
    };
    let served = match std::env::var(ROLE).as_deref() {
        Ok("leaf") => LeafServer::new(Adder::default()).serve(connection),
        _ => HubServer::new(Central::default()).serve(connection),
    };
    served.expect("the client keeps to the protocol");
    true
}

fn leaf() -> LeafClient {
    let mut command = test_command();
    LeafClient::spawn(command.env(ROLE, "leaf")).expect("the test runs again")
}

fn hub() -> HubClient {
    HubClient::spawn(test_command()).expect("the test runs again")
}

#[test]
fn a_client_as_argument_is_a_callback() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let hub = hub();
    let (ours, theirs) = Connection::pair().unwrap();
    let called = hub.begin_call_back(LeafClient::new(theirs), 5).unwrap();
    let mut server = LeafServer::new(Adder(1));
    server.serve(ours).unwrap();
    assert_eq!(called.wait().unwrap(), 6);
    assert_eq!(server.into_inner().0, 6);
}

#[test]
fn a_client_as_return_value_is_a_narrower_service() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let hub = hub();
    let (one, other) = (hub.narrow().unwrap(), hub.narrow().unwrap());
    assert_eq!((one.add(1).unwrap(), one.add(2).unwrap(), other.add(5).unwrap()), (1, 3, 5));
    assert_eq!(one.process().unwrap(), hub.process().unwrap());
}

#[test]
fn a_client_that_was_used_moves_twice_and_comes_back() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (first, second, leaf) = (hub(), hub(), leaf());
    let process = leaf.process().unwrap();
    assert_eq!(leaf.add(10).unwrap(), 10);
    first.keep(leaf).unwrap();
    assert_eq!(first.process_of_kept().unwrap(), Some(process));
    second.keep(first.give_back().unwrap().unwrap()).unwrap();
    assert_eq!(first.process_of_kept().unwrap(), None);
    assert_eq!(second.process_of_kept().unwrap(), Some(process));
    let leaf = second.give_back().unwrap().unwrap();
    assert_eq!(leaf.add(1).unwrap(), 11);
    assert_eq!(first.pass_on(leaf, &second).unwrap(), 12);
}

#[test]
fn several_clients_travel_in_one_message() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let local = || LeafClient::local(Adder::default()).unwrap();
    let sums = hub().several(vec![local(), local(), local()], Some(local())).unwrap();
    assert_eq!(sums, [1, 1, 1, 1]);
}

#[test]
fn p56_a_reply_that_comes_late_answers_nobody_in_the_next_process_either() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (hub, leaf) = (hub(), leaf());
    let process = leaf.process().unwrap();
    assert_eq!(leaf.add(7).unwrap(), 7);
    // May be run, or not.
    drop(leaf.begin_add(0).unwrap());
    let error = leaf.begin_pause(50).unwrap().wait_timeout(Duration::from_millis(1)).unwrap_err();
    assert!(matches!(error, CallError::Timeout { .. }), "{error}");
    hub.keep(leaf).unwrap();
    assert_eq!(hub.process_of_kept().unwrap(), Some(process));
    assert_eq!(hub.give_back().unwrap().unwrap().add(1).unwrap(), 8);
}

#[track_caller]
fn assert_refused(error: &CallError) {
    let CallError::Encode { source: EncodeError::Value(text), .. } = error else { panic!("{error:?}") };
    assert!(text.contains("clones") || text.contains("in flight"), "{text}");
}

#[test]
fn a_client_with_clones_or_calls_in_flight_stays_and_stays_usable() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (hub, leaf) = (hub(), leaf());
    let clone = leaf.clone();
    assert_refused(&hub.keep(leaf).unwrap_err());
    assert_eq!(clone.add(1).unwrap(), 1);

    let (gates, kept): (Sender<LeafClient>, _) = channel().unwrap();
    let pending = clone.begin_pause(1).unwrap();
    let error = gates.send(clone).unwrap_err();
    assert!(matches!(error, unix_ipc::SendError::Encode { .. }), "{error:?}");
    let leaf = error.into_inner();
    pending.wait().unwrap();
    assert_eq!(leaf.add(1).unwrap(), 2);
    // With nothing in flight it moves.
    gates.send(leaf).unwrap();
    assert_eq!(kept.recv().unwrap().add(1).unwrap(), 3);
}

#[test]
fn a_client_whose_message_fails_is_not_moved() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let leaf = leaf();
    let (sender, receiver) = channel::<LeafClient>().unwrap();
    drop(receiver);
    let error = sender.send(leaf).unwrap_err();
    assert!(error.is_disconnected());
    assert_eq!(error.into_inner().add(4).unwrap(), 4);
}

#[test]
fn what_stays_behind_of_a_moved_client_says_so() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let leaf = leaf();
    let (bytes, descriptors) = unix_ipc::serialize(&leaf).unwrap();
    assert!(leaf.add(1).unwrap_err().is_gone());
    let moved: LeafClient = unix_ipc::deserialize(&bytes, descriptors).unwrap();
    assert_eq!(moved.add(1).unwrap(), 1);
}

#[test]
fn the_child_of_a_moved_client_runs_on_until_its_new_client_hangs_up() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (hub, leaf) = (hub(), leaf());
    let child = leaf.process().unwrap();
    hub.keep(leaf).unwrap();
    // Longer than the grace of a child whose client was dropped.
    let ended = wait_until(Duration::from_millis(1300), || !is_running(child));
    assert!(!ended);
    assert_eq!(hub.process_of_kept().unwrap(), Some(child));
    drop(hub.give_back().unwrap());
    assert!(wait_until(Duration::from_secs(20), || !is_running(child)));
}

#[test]
fn a_moved_client_whose_server_dies_learns_it() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let leaf = leaf();
    let child = leaf.process().unwrap();
    let (sender, receiver) = channel().unwrap();
    sender.send(leaf).unwrap();
    let moved = receiver.recv().unwrap();
    kill(Pid::from_raw(child.try_into().unwrap()), Signal::SIGKILL).unwrap();
    assert!(moved.add(1).unwrap_err().is_gone());
}

#[test]
fn p01_moved_clients_leave_nothing_open() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let hub = hub();
    let (before, theirs) = (Holdings::now(), hub.holdings().unwrap());
    for _ in 0..200 {
        let (ours, moved) = Connection::pair().unwrap();
        let called = hub.begin_call_back(LeafClient::new(moved), 5).unwrap();
        LeafServer::new(Adder(1)).serve(ours).unwrap();
        assert_eq!(called.wait().unwrap(), 6);
        drop(hub.narrow().unwrap());
    }
    before.assert_restored();
    // The threads of the narrower services end on their own.
    let restored = wait_until(Duration::from_secs(20), || hub.holdings().unwrap() == theirs);
    assert!(restored, "{theirs} descriptors before, {} after", hub.holdings().unwrap());
}
