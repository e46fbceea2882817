//! The first packets between a process and its child: one of the two is the library, in a process of its own.

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::process::{ExitStatusExt, parent_id};
use std::process;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use unix_ipc::{Connection, test_command};

use crate::calls::{ABACUS, CalculatorClient, CalculatorServer};
use crate::raw::Raw;
use crate::util::Watchdog;

/// The memory that a spawner and its child have in common: two areas for lanes.
const COMMONS_BYTES: u64 = 2 * (512 + (1 << 15));

/// Says to the child that it is not to use the library.
const BY_HAND: &str = "UNIX_IPC_WIRE_BY_HAND";

#[test]
#[cfg_attr(unix_ipc_without_rings, ignore = "the memory is for lanes")]
fn a_spawner_leaves_a_pipe_memory_and_four_pairs() {
    if env::var_os(BY_HAND).is_some() {
        return welcomed();
    }
    let _watchdog = Watchdog::new();
    let mut command = test_command();
    let client = CalculatorClient::spawn(command.env(BY_HAND, "1")).unwrap();
    assert_eq!(client.add(23, 42).unwrap(), 65);
}

/// The child, without the library. Where something differs it ends, and so the call fails.
fn welcomed() {
    let announced = env::var("UNIX_IPC_CONNECTION").unwrap();
    let socket = io::stdin().as_fd().try_clone_to_owned().unwrap();
    assert_eq!(announced, announcement(&socket, parent_id()));
    let raw = Raw::from(socket);
    let (sender, descriptors) = raw.expect_named("spawn/welcome");
    assert_eq!(sender, parent_id());
    assert_eq!(descriptors.len(), 10);
    for (index, descriptor) in descriptors.into_iter().enumerate() {
        let metadata = File::from(descriptor).metadata().unwrap();
        let kind = metadata.file_type();
        match index {
            0 => assert!(kind.is_fifo(), "{kind:?}"),
            1 => assert_eq!(metadata.len(), COMMONS_BYTES),
            _ => assert!(kind.is_socket(), "{index}: {kind:?}"),
        }
    }
    raw.give("spawn/joined", &[]);
    raw.expect("hello/client");
    raw.give("hello/server", &[]);
    raw.expect("call/add");
    raw.give("reply/add", &[]);
}

#[test]
fn a_child_takes_what_was_left_and_says_that_it_is_here() {
    if let Some(connection) = Connection::inherited().unwrap() {
        CalculatorServer::new(ABACUS).serve(connection).unwrap();
        return;
    }
    let _watchdog = Watchdog::new();
    let (raw, socket) = Raw::pair();
    let (liveness, ours) = io::pipe().unwrap();
    leave_welcome(&raw, &liveness);

    let mut command = test_command();
    command.env("UNIX_IPC_CONNECTION", announcement(&socket, process::id()));
    let mut child = command.stdin(socket).spawn().unwrap();
    drop(command);
    let (sender, _) = raw.expect_named("spawn/joined");
    assert_eq!(sender, child.id());
    raw.give("hello/client", &[]);
    raw.give("call/add", &[]);
    raw.expect("hello/server");
    raw.expect("reply/add");
    // The child is armed: it ends with its spawner, of which the pipe's writing end is all that it can see.
    drop(ours);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

/// What a spawner leaves for its child.
pub(crate) fn leave_welcome(raw: &Raw, liveness: &io::PipeReader) {
    let memory = sized_memory(COMMONS_BYTES);
    let pairs: Vec<(Raw, OwnedFd)> = (0..4).map(|_| Raw::pair()).collect();
    let mut left: Vec<BorrowedFd<'_>> = vec![liveness.as_fd(), memory.as_fd()];
    left.extend(pairs.iter().flat_map(|(one, other)| [one.as_fd(), other.as_fd()]));
    raw.give("spawn/welcome", &left);
}

/// Memory whose size nobody changes.
pub(crate) fn sized_memory(bytes: u64) -> File {
    let file = memfd_create(c"memory", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING);
    let file = File::from(file.expect("there is memory"));
    file.set_len(bytes).expect("there is memory");
    let sized = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    fcntl(&file, FcntlArg::F_ADD_SEALS(sized)).expect("the size can be sealed");
    file
}

/// What a child is told about the socket at its standard input.
pub(crate) fn announcement(socket: &OwnedFd, spawner: u32) -> String {
    let metadata = File::from(socket.try_clone().expect("there is room")).metadata().expect("it is open");
    format!("0:{}:{}:{spawner}", metadata.dev(), metadata.ino())
}
