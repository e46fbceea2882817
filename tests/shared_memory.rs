//! Memory that processes share, sent over channels.
#![cfg(test)]

mod util;

use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};
use unix_ipc::{Bootstrapper, Receiver, Sender, SharedMemory, SharedMemoryMut, channel, test_command};
use util::{Holdings, Watchdog, alone};

fn inode(memory: impl AsFd) -> u64 {
    nix::sys::stat::fstat(memory.as_fd()).unwrap().st_ino
}

#[test]
fn many_receivers_read_the_same_memory() {
    let memory = SharedMemory::new(&vec![42; 1 << 20]).unwrap();
    let (sender, receiver) = channel().unwrap();
    for _ in 0..3 {
        sender.send(memory.clone()).unwrap();
    }
    for _ in 0..3 {
        let received: SharedMemory = receiver.recv().unwrap();
        assert_eq!(received.len(), 1 << 20);
        assert!(received.iter().all(|byte| *byte == 42));
        assert_eq!(inode(&received), inode(&memory));
    }
}

#[test]
fn received_memory_outlives_its_sender_and_its_channel() {
    let (sender, receiver) = channel().unwrap();
    sender.send(SharedMemory::new(b"kept").unwrap()).unwrap();
    let kept: SharedMemory = receiver.recv().unwrap();
    drop((sender, receiver));
    assert_eq!(&kept[..], b"kept");
    let again = kept.clone();
    drop(kept);
    assert_eq!(again.as_ref(), b"kept");
}

#[derive(Serialize, Deserialize)]
enum Order {
    /// Add up the bytes.
    Sum(SharedMemory, Sender<u64>),
    /// Fill the memory and give it back for good.
    Fill(SharedMemoryMut, u8, Sender<SharedMemory>),
    /// Write until that is not possible any more.
    Scribble(Box<Scribble>),
}

#[derive(Serialize, Deserialize)]
struct Scribble {
    memory: SharedMemoryMut,
    back: Sender<SharedMemoryMut>,
    frozen: Receiver<()>,
    refused: Sender<bool>,
}

fn serve(path: std::ffi::OsString) {
    for order in Receiver::<Order>::connect(path).unwrap() {
        match order.unwrap() {
            Order::Sum(memory, sum) => sum.send(memory.iter().map(|byte| u64::from(*byte)).sum()).unwrap(),
            Order::Fill(mut memory, byte, back) => {
                memory.write_all(&vec![byte; memory.len()]).unwrap();
                back.send(memory.freeze().unwrap()).unwrap();
            }
            Order::Scribble(scribble) => {
                let Scribble { mut memory, back, frozen, refused } = *scribble;
                memory.write_at(0, b"before").unwrap();
                let lender = Sender::<&SharedMemoryMut>::from(back.into_raw_sender().unwrap());
                lender.send(&memory).unwrap();
                frozen.recv().unwrap();
                let error = memory.write_at(0, b"after").unwrap_err();
                refused.send(error.kind() == ErrorKind::PermissionDenied).unwrap();
            }
        }
    }
}

const PATH: &str = "SOCKET_PATH";

#[test]
fn another_process_reads_fills_and_cannot_change_what_is_frozen() {
    if let Some(path) = std::env::var_os(PATH) {
        return serve(path);
    }
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::new().unwrap();
    let mut child = test_command().env(PATH, bootstrapper.path()).spawn().unwrap();

    let (sum, result) = channel().unwrap();
    let memory = SharedMemory::new(&vec![3; 5 << 20]).unwrap();
    bootstrapper.send(Order::Sum(memory, sum)).unwrap();
    assert_eq!(result.recv().unwrap(), 3 * (5 << 20));

    let (back, filled) = channel().unwrap();
    bootstrapper.send(Order::Fill(SharedMemoryMut::new(100_000).unwrap(), 7, back)).unwrap();
    let filled = filled.recv().unwrap();
    assert!(filled.len() == 100_000 && filled.iter().all(|byte| *byte == 7));

    let ((back, shared), (froze, frozen), (refused, result)) =
        (channel().unwrap(), channel().unwrap(), channel().unwrap());
    let memory = SharedMemoryMut::new(6).unwrap();
    let scribble = Scribble { memory, back, frozen, refused };
    bootstrapper.send(Order::Scribble(Box::new(scribble))).unwrap();
    let memory = shared.recv().unwrap().freeze().unwrap();
    froze.send(()).unwrap();
    assert!(result.recv().unwrap(), "p63: nobody writes to frozen memory");
    assert_eq!(&memory[..], b"before");
    drop(bootstrapper);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_failed_send_gives_the_memory_back() {
    let (sender, receiver) = channel().unwrap();
    drop(receiver);
    let memory = sender.send(SharedMemory::new(b"back").unwrap()).unwrap_err().into_inner();
    assert_eq!(&memory[..], b"back");
    let (sender, receiver) = channel().unwrap();
    drop(receiver);
    let mut memory = sender.send(SharedMemoryMut::new(4).unwrap()).unwrap_err().into_inner();
    memory.write_all(b"back").unwrap();
    assert_eq!(&memory.freeze().unwrap()[..], b"back");
}

#[test]
fn memory_in_a_message_is_one_descriptor_and_leaves_none() {
    if !alone() {
        return;
    }
    let (sender, receiver) = channel::<(SharedMemory, SharedMemoryMut)>().unwrap();
    let before = Holdings::now();
    for _ in 0..500 {
        sender.send((SharedMemory::new(b"one").unwrap(), SharedMemoryMut::new(9).unwrap())).unwrap();
        let (one, mut two) = receiver.recv().unwrap();
        assert_eq!(Holdings::now().descriptor_count(), before.descriptor_count() + 2);
        two.write_at(0, &one).unwrap();
    }
    assert_eq!(Holdings::now(), before);
}

#[test]
fn empty_memory_travels_too() {
    let (sender, receiver) = channel().unwrap();
    sender.send((SharedMemory::new(b"").unwrap(), SharedMemoryMut::new(0).unwrap())).unwrap();
    let (memory, mut region): (SharedMemory, SharedMemoryMut) = receiver.recv().unwrap();
    assert!(memory.is_empty() && region.is_empty());
    assert_eq!(region.write(b"x").unwrap(), 0);
    let error: io::Error = region.write_at(0, b"x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
