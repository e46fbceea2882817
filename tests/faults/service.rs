//! The service, and children that serve it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use unix_ipc::{Connection, Handle, Limits, Receiver, Sender, SpawnOptions, ipc_service, test_command};

use crate::signals;
use crate::util;

#[ipc_service]
pub(crate) trait Worker {
    fn process(&self) -> u32;
    fn echo(&self, bytes: &[u8]) -> Vec<u8>;
    fn pass(&self, files: Vec<Handle<File>>) -> Vec<Handle<File>>;
    /// So many files.
    fn files(&self, count: usize) -> Vec<Handle<File>>;
    /// Says that it has begun, and answers when the gate is gone.
    fn wait(&self, begun: &Sender<()>, gate: Receiver<()>);
    #[oneway]
    fn swallow(&self, bytes: &[u8]);
    /// Leaves room for so many bytes more of address space, or for any.
    fn limit_memory(&self, more: Option<u64>) -> io::Result<()>;
    /// Leaves room for so many descriptors more, or for a thousand.
    fn limit_descriptors(&self, more: Option<u64>) -> io::Result<()>;
    fn descriptors(&self) -> usize;
    fn mappings(&self) -> usize;
}

pub(crate) struct Hand;

impl Worker for Hand {
    fn process(&self) -> u32 {
        process::id()
    }

    fn echo(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn pass(&self, files: Vec<Handle<File>>) -> Vec<Handle<File>> {
        files
    }

    fn files(&self, count: usize) -> Vec<Handle<File>> {
        (0..count).map(|_| null()).collect()
    }

    fn wait(&self, begun: &Sender<()>, gate: Receiver<()>) {
        let _ = begun.send(());
        let _ = gate.recv();
    }

    fn swallow(&self, _bytes: &[u8]) {}

    fn limit_memory(&self, more: Option<u64>) -> io::Result<()> {
        limit_memory(more)
    }

    fn limit_descriptors(&self, more: Option<u64>) -> io::Result<()> {
        limit_descriptors(more)
    }

    fn descriptors(&self) -> usize {
        util::Holdings::now().descriptor_count()
    }

    fn mappings(&self) -> usize {
        util::mappings(process::id())
    }
}

pub(crate) fn null() -> Handle<File> {
    File::open("/dev/null").expect("there is room for a descriptor").into()
}

/// Leaves this process so much address space more than it has (`RLIMIT_AS`), or as much as it may have.
pub(crate) fn limit_memory(more: Option<u64>) -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_AS)?;
    let statm = fs::read_to_string("/proc/self/statm")?;
    let pages: u64 =
        statm.split(' ').next().and_then(|pages| pages.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok(setrlimit(Resource::RLIMIT_AS, more.map_or(hard, |more| pages * 4096 + more), hard)?)
}

/// Leaves this process room for so many descriptors more than it has (`RLIMIT_NOFILE`), whose numbers have to have no gaps.
pub(crate) fn limit_descriptors(more: Option<u64>) -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let Some(more) = more else { return Ok(setrlimit(Resource::RLIMIT_NOFILE, 1000, hard)?) };
    fill_gaps()?;
    let highest = fs::read_dir("/proc/self/fd")?.flatten();
    let highest =
        highest.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok()).max().unwrap_or(0);
    Ok(setrlimit(Resource::RLIMIT_NOFILE, highest + more, hard)?)
}

/// Opens files that stay open until there is no number free below one that is taken.
fn fill_gaps() -> io::Result<()> {
    loop {
        let file = OwnedFd::from(File::open("/dev/null")?);
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        let above = |entry: fs::DirEntry| {
            entry.file_name().to_str()?.parse::<i32>().ok().filter(|other| *other > number)
        };
        // The folder itself is open as well.
        if fs::read_dir("/proc/self/fd")?.flatten().filter_map(above).count() <= 1 {
            return Ok(());
        }
        std::mem::forget(file);
    }
}

/// How many threads serve in a child, and whether they do so in a storm of signals.
pub(crate) const WORKERS: &str = "UNIX_IPC_TEST_WORKERS";
pub(crate) const STORM: &str = "UNIX_IPC_TEST_STORM";

/// True in a child, when it has served.
pub(crate) fn serve_in_child() -> bool {
    let _storm = env::var_os(STORM).map(|_| signals::Storm::on_this_thread());
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    let workers = env::var(WORKERS).map_or(1, |workers| workers.parse().expect("a number"));
    serve(connection, workers);
    true
}

pub(crate) fn serve(connection: Connection, workers: usize) {
    let server = WorkerServer::new(Hand);
    let served =
        if workers > 1 { server.workers(workers).serve(connection) } else { { server }.serve(connection) };
    served.expect("the client keeps to the protocol");
}

/// A child over rings, or over the socket alone.
pub(crate) fn spawn(rings: bool) -> WorkerClient {
    spawn_with(rings, &[])
}

pub(crate) fn spawn_with(rings: bool, variables: &[(&str, &str)]) -> WorkerClient {
    let mut limits = Limits::default();
    if !rings {
        limits.ring_bytes = 0;
    }
    let options = SpawnOptions::new().limits(limits);
    let mut command = test_command();
    command.envs(variables.iter().copied());
    WorkerClient::new(Connection::spawn_with(command, &options).expect("the test runs as a child"))
}

/// A client whose server is a thread of this process.
pub(crate) fn in_a_thread() -> (WorkerClient, thread::JoinHandle<()>) {
    let (ours, theirs) = Connection::pair().expect("there is room for a pair");
    (WorkerClient::new(ours), thread::spawn(|| serve(theirs, 1)))
}

/// Calls until there are rings, if there are to be any.
#[track_caller]
pub(crate) fn warm(client: &WorkerClient) {
    for number in 0..30_u8 {
        assert_eq!(client.echo(&[number; 10]).expect("it serves"), [number; 10]);
    }
}

/// Waits for something that has to take this time at least. That it comes to an end is what the watchdog sees.
#[track_caller]
pub(crate) fn takes(time: Duration, wait: impl FnOnce()) {
    let start = Instant::now();
    wait();
    let waited = start.elapsed();
    assert!(waited >= time, "{waited:?} instead of {time:?}");
}
