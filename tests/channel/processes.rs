//! Channels between real processes, each started with nothing but a path.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use unix_ipc::{Bootstrapper, Handle, Receiver, RecvError, Sender, channel};

use crate::util::{Holdings, Watchdog, alone};
use crate::{path_to_connect_to, start};

/// What a worker is told.
#[derive(Serialize, Deserialize)]
enum Order {
    /// Say hello with one's own process number.
    Report(Sender<(u32, String)>),
    /// Send as many texts of these lengths as are asked for.
    Produce(Vec<usize>, Sender<(u32, Vec<u8>)>),
    /// Add up what comes until the end.
    Consume(Receiver<u64>, Sender<u64>),
    /// Introduce the next worker in the row, which is at a path, to the orders behind this one.
    PassOn(PathBuf, Box<Order>),
    /// Write into a file, and give it back.
    Write(Handle<File>, String, Sender<Handle<File>>),
}

fn obey(order: Order) {
    match order {
        Order::Report(sender) => sender.send((std::process::id(), "hello".to_owned())).unwrap(),
        Order::Produce(lengths, sender) => {
            for length in lengths {
                sender.send((std::process::id(), vec![length as u8; length])).unwrap();
            }
        }
        Order::Consume(receiver, sender) => sender.send(receiver.iter().map(Result::unwrap).sum()).unwrap(),
        Order::PassOn(path, order) => {
            let next = Bootstrapper::bind(&path).unwrap();
            next.send(*order).unwrap();
        }
        Order::Write(file, text, back) => {
            let mut file = file.into_inner();
            file.write_all(text.as_bytes()).unwrap();
            back.send(file.into()).unwrap();
        }
    }
}

/// In a child: does as it is told until the end.
fn serve_if_child() -> bool {
    let Some(path) = path_to_connect_to() else { return false };
    // The one that passes orders on may not listen yet.
    let mut connected = None;
    assert!(crate::util::wait_until(std::time::Duration::from_secs(20), || {
        connected = Receiver::<Order>::connect(&path).ok();
        connected.is_some()
    }));
    connected.unwrap().into_iter().for_each(|order| obey(order.unwrap()));
    true
}

#[test]
fn a_sender_sent_to_another_process_is_a_way_back() {
    if serve_if_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::new().unwrap();
    let mut child = start(bootstrapper.path());
    let (sender, receiver) = channel().unwrap();
    bootstrapper.send(Order::Report(sender)).unwrap();
    assert_eq!(receiver.recv().unwrap(), (child.id(), "hello".to_owned()));
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
    drop(bootstrapper);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_receiver_sent_to_another_process_is_read_there() {
    if serve_if_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::new().unwrap();
    let mut child = start(bootstrapper.path());
    let (numbers, consumed) = channel().unwrap();
    let (sum, result) = channel().unwrap();
    numbers.send(1).unwrap();
    bootstrapper.send(Order::Consume(consumed, sum)).unwrap();
    (2..=10_000).for_each(|number| numbers.send(number).unwrap());
    drop(numbers);
    assert_eq!(result.recv().unwrap(), 10_000 * 10_001 / 2);
    drop(bootstrapper);
    assert!(child.wait().unwrap().success());
}

#[test]
fn p26_clones_of_one_sender_in_several_processes_do_not_tear_each_others_values() {
    if serve_if_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let lengths: Vec<usize> = [0, 100, 65_000, 200_000, 1_000_000].repeat(4);
    let (sender, receiver) = channel::<(u32, Vec<u8>)>().unwrap();
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let bootstrapper = Bootstrapper::new().unwrap();
            let child = start(bootstrapper.path());
            bootstrapper.send(Order::Produce(lengths.clone(), sender.clone())).unwrap();
            child
        })
        .collect();
    let ours = lengths.clone();
    let here = std::thread::spawn(move || {
        ours.into_iter().for_each(|length| sender.send((0, vec![length as u8; length])).unwrap());
    });
    let mut received: Vec<(u32, Vec<usize>)> = workers.iter().map(|child| (child.id(), Vec::new())).collect();
    received.push((0, Vec::new()));
    for item in &receiver {
        let (pid, bytes) = item.unwrap();
        assert!(bytes.iter().all(|byte| *byte == bytes.len() as u8));
        received.iter_mut().find(|(id, _)| *id == pid).unwrap().1.push(bytes.len());
    }
    assert!(received.iter().all(|(_, found)| *found == lengths), "each sender's order is kept");
    here.join().unwrap();
    for mut child in workers {
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn ends_pass_through_a_row_of_processes_that_keep_nothing() {
    if serve_if_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let directory = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = (0..4).map(|number| directory.path().join(format!("{number}"))).collect();
    let (numbers, consumed) = channel().unwrap();
    let (sum, result) = channel().unwrap();
    let order = paths[1..]
        .iter()
        .rev()
        .fold(Order::Consume(consumed, sum), |order, path| Order::PassOn(path.clone(), Box::new(order)));
    let bootstrapper = Bootstrapper::bind(&paths[0]).unwrap();
    let children: Vec<_> = paths.iter().map(|path| start(path)).collect();
    bootstrapper.send(order).unwrap();
    drop(bootstrapper);
    (1..=100).for_each(|number| numbers.send(number).unwrap());
    drop(numbers);
    assert_eq!(result.recv().unwrap(), 5050);
    assert!(matches!(result.recv(), Err(RecvError::Disconnected)));
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_file_is_written_in_another_process_and_comes_back() {
    if serve_if_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::new().unwrap();
    let mut child = start(bootstrapper.path());
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"begun here, ").unwrap();
    let (back, returned) = channel().unwrap();
    bootstrapper.send(Order::Write(file.into(), "ended there".to_owned(), back)).unwrap();
    let mut file = returned.recv().unwrap().into_inner();
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "begun here, ended there");
    drop(bootstrapper);
    assert!(child.wait().unwrap().success());
}

#[test]
fn p30_the_values_of_a_process_that_was_killed_are_received_before_the_end() {
    if serve_if_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::new().unwrap();
    let mut child = start(bootstrapper.path());
    let (sender, receiver) = channel().unwrap();
    // The last one never fits, so the child is in the middle of it when it dies.
    bootstrapper.send(Order::Produce(vec![1, 2, 3, 33 << 20], sender)).unwrap();
    let received: Vec<usize> = (0..3).map(|_| receiver.recv().unwrap().1.len()).collect();
    assert_eq!(received, [1, 2, 3]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
    let (sender, _) = channel().unwrap();
    assert!(bootstrapper.send(Order::Report(sender)).unwrap_err().is_disconnected());
}

#[test]
fn p01_channels_with_another_process_leave_no_descriptor() {
    if serve_if_child() {
        return;
    }
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::new().unwrap();
    let mut child = start(bootstrapper.path());
    let report = || {
        let (sender, receiver) = channel().unwrap();
        bootstrapper.send(Order::Report(sender)).unwrap();
        assert_eq!(receiver.recv().unwrap().0, child.id());
        assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
    };
    report();
    let (here, there) = (Holdings::now(), Holdings::of(child.id()));
    (0..500).for_each(|_| report());
    assert_eq!(Holdings::now(), here);
    there.assert_restored_in(child.id());
    drop(bootstrapper);
    assert!(child.wait().unwrap().success());
}
