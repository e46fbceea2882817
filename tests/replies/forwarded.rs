//! A reply sender that is sent on to a third process: the caller, the desk that it calls, and a clerk behind the desk.

use std::fs::File;
use std::process;

use unix_ipc::{
    CallError, Connection, Handle, Receiver, RecvError, Sender, channel, ipc_service, test_command,
};

use crate::util::{Holdings, Watchdog, alone};

/// What the clerk does with a reply sender.
const ANSWER: u32 = 0;
const DROP: u32 = 1;
const DIE: u32 = 2;

#[ipc_service]
trait Clerk {
    /// Does it when the gate is open. The first byte of the answer is the order's.
    #[oneway]
    fn handle(&self, order: u32, gate: Receiver<()>, reply: Sender<(u32, Handle<File>)>);
    fn holdings(&self) -> usize;
}

struct Obedient;

impl Clerk for Obedient {
    fn handle(&self, order: u32, gate: Receiver<()>, reply: Sender<(u32, Handle<File>)>) {
        let _ = gate.recv();
        match order {
            DROP => drop(reply),
            DIE => process::exit(0),
            _ => {
                let null = File::open("/dev/null").expect("there is room for a descriptor");
                let _ = reply.send((process::id(), null.into()));
            }
        }
    }

    fn holdings(&self) -> usize {
        Holdings::now().descriptor_count()
    }
}

#[ipc_service]
trait Desk {
    fn employ(&mut self, clerk: ClerkClient);
    /// The clerk answers.
    fn ask(&self, order: u32, gate: Receiver<()>) -> (u32, Handle<File>);
    /// The clerk may answer, but the desk does so first.
    fn ask_and_answer(&self, order: u32, gate: Receiver<()>) -> (u32, Handle<File>);
    /// The reply sender goes to two processes: this one again, in a channel, and the clerk.
    fn ask_twice(&self, order: u32, gate: Receiver<()>) -> (u32, Handle<File>);
    #[oneway]
    fn die(&self);
    fn holdings(&self) -> (usize, usize);
}

/// The desk's loop, written by hand: its replies are given by others.
fn serve_desk(connection: &Connection) -> Result<(), RecvError> {
    let mut clerk = None;
    for task in connection.tasks::<DeskTask>() {
        let employed = || clerk.as_ref().expect("there is a clerk");
        match task? {
            DeskTask::Employ { clerk: new, reply } => {
                clerk = Some(new);
                let _ = reply.send(());
            }
            DeskTask::Ask { order, gate, reply } => {
                employed().handle(order, gate, reply).expect("the clerk is there");
            }
            DeskTask::AskAndAnswer { order, gate, reply } => {
                employed().handle(order, gate, reply.clone()).expect("the clerk is there");
                let null = File::open("/dev/null").expect("there is room for a descriptor");
                reply.send((process::id(), null.into())).expect("the caller waits");
            }
            DeskTask::AskTwice { order, gate, reply } => {
                let (sender, receiver) = channel().expect("there is room for a channel");
                sender.send(reply.clone()).expect("there is room for a message");
                employed().handle(order, gate, reply).expect("the clerk is there");
                drop(receiver);
            }
            DeskTask::Die => process::exit(0),
            DeskTask::Holdings { reply } => {
                let ours = Holdings::now().descriptor_count();
                let _ = reply.send((ours, employed().holdings().expect("the clerk is there")));
            }
        }
    }
    Ok(())
}

/// In the children of a test, serves; in the test itself, a desk with a clerk.
fn desk_with_clerk() -> Option<DeskClient> {
    const CLERK: &str = "UNIX_IPC_TEST_CLERK";
    if let Some(connection) = Connection::inherited().expect("the child takes its connection") {
        if std::env::var_os(CLERK).is_some() {
            ClerkServer::new(Obedient).serve(connection).expect("the desk keeps to the protocol");
        } else {
            serve_desk(&connection).expect("the caller keeps to the protocol");
        }
        return None;
    }
    let desk = DeskClient::spawn(test_command()).expect("the test runs again");
    let mut command = test_command();
    let clerk = ClerkClient::spawn(command.env(CLERK, "1")).expect("the test runs again");
    desk.employ(clerk).expect("the clerk moves to the desk");
    Some(desk)
}

#[test]
fn a_reply_sent_on_reaches_the_caller_with_its_handles() {
    let Some(desk) = desk_with_clerk() else { return };
    let _watchdog = Watchdog::new();
    for _ in 0..20 {
        let (_, open) = channel().unwrap();
        let (answered_by, file) = desk.ask(ANSWER, open).unwrap();
        assert_ne!(answered_by, process::id());
        assert!(file.into_inner().metadata().is_ok());
    }
}

#[test]
fn forwarded_and_plain_calls_are_waited_for_in_any_order() {
    let Some(desk) = desk_with_clerk() else { return };
    let _watchdog = Watchdog::new();
    let (gate, closed) = channel::<()>().unwrap();
    let first = desk.begin_ask(ANSWER, closed).unwrap();
    let (_, open) = channel().unwrap();
    let second = desk.begin_ask(ANSWER, open).unwrap();
    let (_, open) = channel().unwrap();
    desk.ask_and_answer(DROP, open).unwrap();
    assert!(!first.is_ready());
    drop(gate);
    second.wait().unwrap();
    first.wait().unwrap();
}

#[test]
fn the_forwarders_death_does_not_fail_a_call_that_was_sent_on() {
    let Some(desk) = desk_with_clerk() else { return };
    let _watchdog = Watchdog::new();
    let (gate, closed) = channel::<()>().unwrap();
    let call = desk.begin_ask(ANSWER, closed).unwrap();
    desk.die().unwrap();
    // The clerk waits for the gate meanwhile.
    assert!(desk.holdings().unwrap_err().is_gone());
    assert!(!call.is_ready());
    drop(gate);
    let (answered_by, _) = call.wait().unwrap();
    assert_ne!(answered_by, process::id());
}

#[test]
fn p54_a_forwarded_reply_that_is_dropped_there_is_no_reply() {
    let Some(desk) = desk_with_clerk() else { return };
    let _watchdog = Watchdog::new();
    let (_, open) = channel().unwrap();
    let error = desk.ask(DROP, open).unwrap_err();
    assert!(matches!(error, CallError::NoReply { method: "ask" }), "{error}");
    let (_, open) = channel().unwrap();
    desk.ask(ANSWER, open).unwrap();
}

#[test]
fn p54_a_forwarded_reply_whose_holder_dies_is_no_reply() {
    let Some(desk) = desk_with_clerk() else { return };
    let _watchdog = Watchdog::new();
    let (_, open) = channel().unwrap();
    let error = desk.ask(DIE, open).unwrap_err();
    assert!(matches!(error, CallError::NoReply { method: "ask" }), "{error}");
}

#[test]
fn the_first_of_two_replies_wins_and_one_that_is_left_is_enough() {
    let Some(desk) = desk_with_clerk() else { return };
    let _watchdog = Watchdog::new();
    let (_, open) = channel().unwrap();
    desk.ask_twice(ANSWER, open).unwrap();
    let (gate, closed) = channel::<()>().unwrap();
    let (answered_by, _) = desk.ask_and_answer(ANSWER, closed).unwrap();
    drop(gate);
    let (_, open) = channel().unwrap();
    let (clerk, _) = desk.ask(ANSWER, open).unwrap();
    assert_ne!(answered_by, clerk);
}

#[test]
fn p01_forwarded_replies_leave_nothing_open_anywhere() {
    let is_child = std::env::var_os("UNIX_IPC_TEST_COMMAND").is_some();
    if !is_child && !alone() {
        return;
    }
    let Some(desk) = desk_with_clerk() else { return };
    let _watchdog = Watchdog::new();
    let ours = Holdings::now();
    let theirs = desk.holdings().unwrap();
    for round in 0..100 {
        let (gate, closed) = channel().unwrap();
        let call = desk.begin_ask(if round % 3 == 0 { DROP } else { ANSWER }, closed).unwrap();
        match round % 4 {
            // Given up before `forwarded` is read, or after it.
            0 => drop(call),
            1 => {
                desk.begin_holdings().map(drop).unwrap();
                call.is_ready();
                drop(call);
            }
            _ => {
                drop(gate);
                let _ = call.wait();
            }
        }
    }
    assert_eq!(desk.holdings().unwrap(), theirs);
    ours.assert_restored();
}
