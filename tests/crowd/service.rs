//! The service, and children that serve it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier, Mutex};
use std::{env, process, thread};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tempfile::TempDir;
use unix_ipc::{Connection, Handle, Limits, Listener, Receiver, SpawnOptions, ipc_service, test_command};

#[ipc_service]
pub(crate) trait Hall {
    /// Listens at a path from now on, with so many threads and rings of so many bytes.
    fn open(&self, path: &Path, workers: usize, ring_bytes: usize) -> io::Result<()>;
    fn add(&self, a: i64, b: i64) -> i64;
    fn echo(&self, bytes: &[u8]) -> Vec<u8>;
    fn fill(&self, len: usize) -> Vec<u8>;
    /// What the file holds.
    fn read(&self, file: &Handle<File>) -> io::Result<String>;
    #[oneway]
    fn note(&self, who: u64, number: u64);
    #[oneway]
    fn note_file(&self, who: u64, number: u64, file: Handle<File>);
    /// The numbers that somebody noted, in order.
    fn noted(&self, who: u64) -> Vec<u64>;
    /// Answers when so many calls of this meeting are there.
    fn meet(&self, meeting: u64, count: usize) -> u64;
    /// Answers when the other end of the channel is closed.
    fn wait(&self, gate: Receiver<()>) -> u64;
    fn has_rings(&self) -> bool;
    fn descriptors(&self) -> usize;
    fn threads(&self) -> usize;
    /// The processor time of the process so far, in microseconds.
    fn used(&self) -> i64;
}

#[derive(Clone, Default)]
pub(crate) struct Floor {
    notes: Arc<Mutex<HashMap<u64, Vec<u64>>>>,
    meetings: Arc<Mutex<HashMap<u64, Arc<Barrier>>>>,
}

impl Hall for Floor {
    fn open(&self, path: &Path, workers: usize, ring_bytes: usize) -> io::Result<()> {
        let mut limits = Limits::default();
        limits.ring_bytes = ring_bytes;
        let listener = Listener::bind(path)?.with_limits(limits);
        let server = server(self.clone(), workers);
        thread::spawn(move || {
            let mut server = server;
            // The process ends with its first client.
            server.listen(&listener).expect("the listener does not fail");
        });
        Ok(())
    }

    fn add(&self, a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }

    fn echo(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn fill(&self, len: usize) -> Vec<u8> {
        vec![1; len]
    }

    fn read(&self, file: &Handle<File>) -> io::Result<String> {
        let mut file = File::from(file.as_fd().try_clone_to_owned()?);
        file.rewind()?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    }

    fn note(&self, who: u64, number: u64) {
        self.notes.lock().expect("nobody panics").entry(who).or_default().push(number);
    }

    fn note_file(&self, who: u64, number: u64, _file: Handle<File>) {
        self.note(who, number);
    }

    fn noted(&self, who: u64) -> Vec<u64> {
        self.notes.lock().expect("nobody panics").remove(&who).unwrap_or_default()
    }

    fn meet(&self, meeting: u64, count: usize) -> u64 {
        let barrier = {
            let mut meetings = self.meetings.lock().expect("nobody panics");
            Arc::clone(meetings.entry(meeting).or_insert_with(|| Arc::new(Barrier::new(count))))
        };
        barrier.wait();
        meeting
    }

    fn wait(&self, gate: Receiver<()>) -> u64 {
        let _ = gate.recv();
        7
    }

    fn has_rings(&self) -> bool {
        has_rings(process::id())
    }

    fn descriptors(&self) -> usize {
        fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
    }

    fn threads(&self) -> usize {
        crate::util::threads()
    }

    fn used(&self) -> i64 {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the process knows itself");
        (usage.user_time() + usage.system_time()).num_microseconds()
    }
}

fn server(floor: Floor, workers: usize) -> HallServer<Floor> {
    let server = HallServer::new(floor);
    if workers > 1 { server.workers(workers) } else { server }
}

/// Whether a process has memory of this library mapped that it shares.
pub(crate) fn has_rings(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains("memfd:unix-ipc-rings"))
}

/// A file without a name that holds a text.
pub(crate) fn file_of(text: &str) -> Handle<File> {
    let mut file = tempfile::tempfile().expect("there is room for a file");
    io::Write::write_all(&mut file, text.as_bytes()).expect("and for its text");
    file.into()
}

pub(crate) fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 + len) as u8).collect()
}

/// How many threads serve in a child.
const WORKERS: &str = "UNIX_IPC_TEST_WORKERS";

/// True in a child, when it has served.
pub(crate) fn serve_in_child() -> bool {
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    let workers = env::var(WORKERS).map_or(1, |workers| workers.parse().expect("it is a number"));
    server(Floor::default(), workers).serve(connection).expect("the client keeps to the protocol");
    true
}

/// A client of a child with so many threads, after so many calls that there are rings.
pub(crate) fn busy(workers: usize, ring_bytes: usize) -> HallClient {
    let mut command = test_command();
    command.env(WORKERS, workers.to_string());
    let mut limits = Limits::default();
    limits.ring_bytes = ring_bytes;
    let options = SpawnOptions::new().limits(limits);
    let hall = Connection::spawn_with(command, &options).expect("the test runs as a child");
    warm(hall.into())
}

/// The same client, busy enough for rings and for its server to know that its handlers are brief.
pub(crate) fn warm(hall: HallClient) -> HallClient {
    for number in 0..100 {
        assert_eq!(hall.add(number, 1).expect("the child lives"), number + 1);
    }
    hall
}

/// A child that listens.
pub(crate) struct House {
    /// The child ends with this.
    pub(crate) keeper: HallClient,
    directory: TempDir,
}

impl House {
    pub(crate) fn open(workers: usize, ring_bytes: usize) -> Self {
        let keeper = HallClient::spawn(test_command()).expect("the test runs as a child");
        let house = Self { keeper, directory: tempfile::tempdir().expect("there is room for a directory") };
        house.keeper.open(&house.path(), workers, ring_bytes).expect("nothing is there yet");
        house
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("hall")
    }

    pub(crate) fn client(&self) -> HallClient {
        HallClient::connect(self.path()).expect("the child listens")
    }

    pub(crate) fn busy_client(&self) -> HallClient {
        warm(self.client())
    }
}
