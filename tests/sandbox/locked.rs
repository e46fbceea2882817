//! The service of a child that may make the system calls of a list and no other: the first other call kills it.

use std::env;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::sys::signal::{Signal, raise};
use nix::sys::socket::{MsgFlags, send};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};
use unix_ipc::{
    Connection, Handle, Listener, Receiver, SendError, Sender, SharedMemory, SharedMemoryMut, channel,
    ipc_service,
};

use crate::prisoner::AdderClient;

#[ipc_service]
pub(crate) trait Locked {
    fn add(&self, a: i64, b: i64) -> i64;
    fn echo(&self, bytes: &[u8]) -> Vec<u8>;
    #[oneway]
    fn note(&self, number: u64);
    /// The sum of what was noted.
    fn noted(&self) -> u64;
    fn lend(&self, file: &Handle<File>) -> bool;
    fn pass(&self, file: Handle<File>) -> Handle<File>;
    fn count_into(&self, end: u32, sender: Sender<u32>) -> bool;
    /// Tries to send a long value: whether there was no room for it.
    fn try_long(&self, sender: Sender<Vec<u8>>, length: u64) -> bool;
    fn sum(&self, receiver: Receiver<u32>) -> u32;
    fn count(&self, end: u32) -> io::Result<Receiver<u32>>;
    fn ask(&self, adder: AdderClient, a: u32, b: u32) -> Result<u32, String>;
    fn length(&self, memory: SharedMemory) -> u64;
    fn fill(&self, memory: SharedMemoryMut, text: &str) -> io::Result<SharedMemory>;
    fn fail(&self, message: &str);
    /// Takes and gives back memory in pieces of many sizes.
    fn allocate(&self, most: u64) -> u64;
    fn in_a_thread(&self, number: u64) -> u64;
    fn rest(&self, milliseconds: u64);
    fn process(&self) -> u32;
    fn exit(&self, status: i32);
    /// Asks for more memory than there is, as code does that cannot go on without.
    fn starve(&self);
    fn abort(&self);
    /// Sends SIGTERM to the thread that serves: the first of a test's process is under no filter.
    fn terminate(&self);
}

#[derive(Default)]
struct Inmate {
    sum: AtomicU64,
}

impl Locked for Inmate {
    fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }

    fn echo(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn note(&self, number: u64) {
        self.sum.fetch_add(number, Ordering::Relaxed);
    }

    fn noted(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }

    fn lend(&self, file: &Handle<File>) -> bool {
        black_box(file.as_fd());
        true
    }

    fn pass(&self, file: Handle<File>) -> Handle<File> {
        file
    }

    fn count_into(&self, end: u32, sender: Sender<u32>) -> bool {
        (0..end).all(|number| sender.send(number).is_ok())
    }

    fn try_long(&self, sender: Sender<Vec<u8>>, length: u64) -> bool {
        matches!(sender.try_send(vec![7; length as usize]), Err(SendError::Full(_)))
    }

    fn sum(&self, receiver: Receiver<u32>) -> u32 {
        receiver.iter().map_while(Result::ok).sum()
    }

    fn count(&self, end: u32) -> io::Result<Receiver<u32>> {
        let (sender, receiver) = channel()?;
        (0..end).try_for_each(|number| sender.send(number))?;
        Ok(receiver)
    }

    fn ask(&self, adder: AdderClient, a: u32, b: u32) -> Result<u32, String> {
        adder.add(a, b).map_err(|error| error.to_string())
    }

    fn length(&self, memory: SharedMemory) -> u64 {
        memory.len() as u64
    }

    fn fill(&self, mut memory: SharedMemoryMut, text: &str) -> io::Result<SharedMemory> {
        memory.write_all(text.as_bytes())?;
        memory.freeze()
    }

    fn fail(&self, message: &str) {
        panic!("{message}")
    }

    fn allocate(&self, most: u64) -> u64 {
        let mut kept: Vec<Vec<u8>> = Vec::new();
        let mut size = 16;
        while size <= most {
            let mut grown = vec![1; size as usize];
            grown.reserve(size as usize * 3);
            kept.push(black_box(grown));
            size *= 2;
        }
        kept.iter().map(|bytes| bytes.len() as u64).sum()
    }

    fn in_a_thread(&self, number: u64) -> u64 {
        thread::spawn(move || black_box(number) + 1).join().expect("it does not panic")
    }

    fn rest(&self, milliseconds: u64) {
        thread::park_timeout(Duration::from_millis(milliseconds));
    }

    fn process(&self) -> u32 {
        process::id()
    }

    fn exit(&self, status: i32) {
        process::exit(status)
    }

    fn starve(&self) {
        black_box(Vec::<u8>::with_capacity(1 << 60));
    }

    fn abort(&self) {
        process::abort()
    }

    fn terminate(&self) {
        raise(Signal::SIGTERM).expect("there is such a signal");
    }
}

/// The numbers of the calls that the child may make; any other kills it.
pub(crate) const ALLOWED: &str = "UNIX_IPC_TEST_ALLOWED";
/// The numbers of those among them that are an error.
pub(crate) const REFUSED: &str = "UNIX_IPC_TEST_REFUSED";
/// The path where it listens, if it does.
pub(crate) const LISTEN: &str = "UNIX_IPC_TEST_LISTEN";
/// With how many threads it serves.
pub(crate) const WORKERS: &str = "UNIX_IPC_TEST_WORKERS";
/// Whether SIGTERM ends it in order.
pub(crate) const TERMINATES: &str = "UNIX_IPC_TEST_TERMINATES";
/// What a child sends over its standard output whose `serve` has returned.
pub(crate) const SERVED: &str = "served";

/// Serves, where this is a child that a test of the list has spawned: then the process is over here.
pub(crate) fn is_locked() -> bool {
    let Ok(allowed) = env::var(ALLOWED) else { return false };
    // There before the test can know that this process is.
    let listener = env::var_os(LISTEN).map(|path| Listener::bind(path).expect("the folder is there"));
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    let workers: usize = env::var(WORKERS).map_or(1, |count| count.parse().expect("a number"));
    let server = LockedServer::new(Inmate::default());
    let server = if workers > 1 { server.workers(workers) } else { server };
    let server = match env::var_os(TERMINATES) {
        Some(_) => server.shutdown_on_sigterm(Duration::from_secs(30)).expect("nobody is locked in yet"),
        None => server,
    };
    let mut server = server.pre_serve(move || lock_up(&allowed));
    let served = match listener {
        Some(listener) => server.listen(&listener),
        None => server.serve(connection),
    };
    served.expect("the client keeps to the protocol");
    // It is a socket: a server may send, and not write.
    send(libc::STDOUT_FILENO, SERVED.as_bytes(), MsgFlags::empty()).expect("the test listens");
    // As the end of `main` does; that of a test does more.
    process::exit(0)
}

fn lock_up(allowed: &str) -> io::Result<()> {
    let refused = env::var(REFUSED).map_err(io::Error::other)?;
    // The stricter of two counts; the second could not be made under the first.
    let refusing =
        program(&refused, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM.cast_unsigned()))?;
    let killing = program(allowed, SeccompAction::KillProcess, SeccompAction::Allow)?;
    apply_filter(&refusing).and_then(|()| apply_filter(&killing)).map_err(io::Error::other)
}

fn program(calls: &str, others: SeccompAction, these: SeccompAction) -> io::Result<BpfProgram> {
    let calls = calls.split_terminator(',').map(|number| number.parse::<i64>().map_err(io::Error::other));
    let rules = calls.map(|number| Ok((number?, Vec::new()))).collect::<io::Result<_>>()?;
    let arch = TargetArch::try_from(env::consts::ARCH).map_err(io::Error::other)?;
    let filter = SeccompFilter::new(rules, others, these, arch).map_err(io::Error::other)?;
    BpfProgram::try_from(filter).map_err(io::Error::other)
}
