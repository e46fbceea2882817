//! A child that gave up `socket`, `socketpair`, `connect` and `memfd_create` serves as before, and so does one that may make
//! the system calls of a list alone (P51).

mod list;
mod locked;
mod prisoner;
#[path = "../util/mod.rs"]
mod util;

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::thread;
use std::time::Duration;

use nix::libc;
use prisoner::{AdderServer, BoxedClient, Forwarded, MODE, Plus, is_child};
use unix_ipc::{
    CallError, Connection, Handle, Receiver, SharedMemory, SharedMemoryMut, channel, test_command,
};
use util::{Watchdog, wait_until};

fn spawn(mode: &str) -> BoxedClient {
    let mut command = test_command();
    let client = BoxedClient::spawn(command.env(MODE, mode)).expect("the test runs as a child");
    if mode == "in a method" {
        client.enter().expect("this kernel has seccomp");
    }
    client
}

fn file(text: &str) -> File {
    let mut file = tempfile::tempfile().expect("there is room for a file");
    file.write_all(text.as_bytes()).expect("there is room in the file");
    file
}

fn numbers(receiver: &Receiver<u32>) -> Vec<u32> {
    receiver.iter().map_while(Result::ok).collect()
}

/// Calls every shape of method that one child can serve with the four spare pairs it has.
fn assert_everything_works(mode: &str) {
    let client = spawn(mode);
    if mode != "workers" {
        // The thread that serves is the one that entered.
        assert_eq!(client.refusals().ok(), Some(vec![Some(libc::EPERM); 3]));
    }
    let words = ["plain".to_owned(), "words".to_owned()];
    assert_eq!(client.join(&words, Some(", ")).ok().as_deref(), Some("plain, words"));
    assert_eq!(client.divide(7, 2).ok(), Some(3));
    assert!(matches!(client.divide(7, 0), Err(CallError::Service(error)) if error == "7 by 0"));
    for length in [0, 1, 100, 60_000, 70_000, 1 << 20] {
        let bytes = vec![length as u8; length];
        assert!(client.echo(&bytes).ok() == Some(bytes), "{length} bytes");
    }
    for number in 0..300 {
        client.note(&number.to_string()).expect("the child lives");
    }

    let lent = Handle::from(file("lent"));
    assert_eq!(client.read(&lent).ok().as_deref(), Some("lent"));
    let mut returned = client.append(lent, " and kept").expect("a handle goes and comes").into_inner();
    let mut text = String::new();
    returned.rewind().and_then(|()| returned.read_to_string(&mut text)).expect("the file is open");
    assert_eq!(text, "lent and kept");

    let (sender, receiver) = channel().expect("the parent is in no sandbox");
    assert_eq!(client.count_into(100, sender).ok(), Some(true));
    assert_eq!(numbers(&receiver), (0..100).collect::<Vec<_>>());
    let (sender, receiver) = channel().expect("the parent is in no sandbox");
    let sum = client.begin_sum(receiver).expect("the child lives");
    (0..100).for_each(|number| sender.send(number).expect("the child reads"));
    drop(sender);
    assert_eq!(sum.wait().ok(), Some(4950));

    let (ours, theirs) = Connection::pair().expect("the parent is in no sandbox");
    let adding = thread::spawn(move || AdderServer::new(Plus).serve(ours));
    assert_eq!(client.ask(theirs.into(), 20, 22).ok(), Some(42));
    adding.join().expect("the callback's server lives").expect("the child keeps to the protocol");

    // Four spare pairs: one, two, one.
    let counted = client.count(1000).expect("a spare pair is left");
    assert_eq!(numbers(&counted), (0..1000).collect::<Vec<_>>());
    let (sender, sums) = client.summing().expect("two spare pairs are left");
    (0..10).for_each(|number| sender.send(number).expect("the child reads"));
    drop(sender);
    assert_eq!(sums.recv().ok(), Some(45));
    let adder = client.adder().expect("a spare pair is left");
    assert_eq!(adder.add(40, 2).ok(), Some(42));

    let memory = SharedMemory::new(&[1; 5000]).expect("the parent is in no sandbox");
    assert_eq!(client.length(memory).ok(), Some(5000));
    let page = SharedMemoryMut::new(6).expect("the parent is in no sandbox");
    assert_eq!(&client.fill(page, "filled").expect("no memory is made")[..], b"filled");
    let refused = client.share().expect_err("the sandbox holds");
    assert!(
        matches!(&refused, CallError::Service(error) if error.raw_os_error() == Some(libc::EPERM)),
        "{refused:?}"
    );

    // What goes in one packet needs no memory file; what would need one is told to wait for room.
    let (sender, receiver) = channel::<Vec<u8>>().expect("the parent is in no sandbox");
    assert_eq!(client.try_send(sender.clone(), 1000).ok().as_deref(), Some("sent"));
    assert_eq!(client.try_send(sender, 200_000).ok().as_deref(), Some("full with 200000 bytes"));
    assert_eq!(receiver.recv().map(|bytes| bytes.len()).ok(), Some(1000));

    let failed = client.fail("as it should").expect_err("it panics");
    assert!(
        matches!(&failed, CallError::Panicked { message, .. } if message == "as it should"),
        "{failed:?}"
    );
    let expected: Vec<_> = (0..300).map(|number| number.to_string()).collect();
    let is_noted = || {
        // Workers may take notes in any order, and a moment later than what came after.
        let mut noted = client.noted().expect("the child lives");
        noted.sort_by_key(|line| line.parse::<u32>().ok());
        noted == expected
    };
    assert!(wait_until(Duration::from_secs(20), is_noted));
}

#[test]
fn p51_a_child_that_entered_its_sandbox_before_it_serves_serves_every_shape() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    assert_everything_works("before");
}

#[test]
fn p51_a_child_that_enters_its_sandbox_in_its_first_method_serves_every_shape() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    assert_everything_works("in a method");
}

#[test]
fn p51_workers_started_in_a_sandbox_serve_every_shape() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    assert_everything_works("workers");
}

#[test]
fn p51_replies_are_forwarded_until_the_spare_pairs_are_used_up() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let client = spawn("own loop");
    assert_eq!(client.refusals().unwrap(), [Some(libc::EPERM); 3]);
    let (to, forwarded) = channel::<Forwarded>().unwrap();
    let answering = thread::spawn(move || {
        let mut answered = Vec::new();
        for job in &forwarded {
            let (number, reply) = job.unwrap();
            reply.send(number * 10).unwrap();
            answered.push(number);
        }
        answered
    });
    for number in 1..=4 {
        assert_eq!(client.forward(number, to.clone()).unwrap(), number * 10);
    }
    // The child has its reply sender back, and says so itself.
    for number in 5..=6 {
        assert_eq!(client.forward(number, to.clone()).unwrap(), 0);
    }
    drop(to);
    assert_eq!(answering.join().unwrap(), [1, 2, 3, 4]);
    assert_eq!(client.divide(9, 3).unwrap(), 3);
}

#[test]
fn p51_a_child_without_spare_pairs_has_an_error_and_no_hang() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let client = spawn("before").with_timeout(Duration::from_secs(20));
    let kept: Vec<_> = (0..4).map(|_| client.count(3).unwrap()).collect();
    for _ in 0..3 {
        for refused in [client.count(3).map(drop), client.summing().map(drop), client.adder().map(drop)] {
            let Err(CallError::Service(error)) = refused else { panic!("{refused:?}") };
            assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{error}");
        }
    }
    for receiver in &kept {
        assert_eq!(numbers(receiver), [0, 1, 2]);
    }
    // What needs no pair of the child's own goes on.
    let (sender, receiver) = channel().unwrap();
    assert!(client.count_into(2, sender).unwrap());
    assert_eq!(numbers(&receiver), [0, 1]);
    assert_eq!(client.echo(&[1; 1 << 20]).unwrap().len(), 1 << 20);
}
