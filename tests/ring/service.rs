//! The service, and children that serve it.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{env, process, thread};

use unix_ipc::{Connection, Handle, Limits, Sender, SpawnOptions, ipc_service, test_command};

#[ipc_service]
pub(crate) trait Mill {
    fn process(&self) -> u32;
    fn add(&self, a: i64, b: i64) -> i64;
    fn echo(&self, bytes: &[u8]) -> Vec<u8>;
    fn sum(&self, bytes: &[u8]) -> u64;
    /// What the file holds.
    fn read(&self, file: &Handle<File>) -> io::Result<String>;
    fn give(&self, text: &str) -> io::Result<Handle<File>>;
    #[oneway]
    fn note(&self, number: u64);
    #[oneway]
    fn note_file(&self, number: u64, file: Handle<File>);
    /// The numbers that were noted, in order.
    fn noted(&self) -> Vec<u64>;
    fn grind(&self, to: Sender<u64>, count: u64);
    fn has_rings(&self) -> bool;
    fn descriptors(&self) -> usize;
    fn exit(&self, status: i32);
    /// Writes to the memory of the rings, behind the library's back.
    fn scribble(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// Does so again and again, with a distance between the places, for so long; returns at once.
    fn haunt(&self, at: u64, step: u64, count: u64, bytes: &[u8], milliseconds: u64);
    /// Does so at random places of all of it, again and again, for so long; returns at once.
    fn storm(&self, seed: u64, milliseconds: u64);
}

#[derive(Default)]
pub(crate) struct Wheel {
    noted: Mutex<Vec<u64>>,
}

impl Mill for Wheel {
    fn process(&self) -> u32 {
        process::id()
    }

    fn add(&self, a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }

    fn echo(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn sum(&self, bytes: &[u8]) -> u64 {
        bytes.iter().map(|byte| u64::from(*byte)).sum()
    }

    fn read(&self, file: &Handle<File>) -> io::Result<String> {
        let mut file = File::from(file.as_fd().try_clone_to_owned()?);
        file.rewind()?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    }

    fn give(&self, text: &str) -> io::Result<Handle<File>> {
        file_of(text).map(Handle::from)
    }

    fn note(&self, number: u64) {
        self.noted.lock().expect("nobody panics").push(number);
    }

    fn note_file(&self, number: u64, _file: Handle<File>) {
        self.note(number);
    }

    fn noted(&self) -> Vec<u64> {
        std::mem::take(&mut *self.noted.lock().expect("nobody panics"))
    }

    fn grind(&self, to: Sender<u64>, count: u64) {
        (0..count).all(|number| to.send(number).is_ok());
    }

    fn has_rings(&self) -> bool {
        has_rings(process::id())
    }

    fn descriptors(&self) -> usize {
        fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
    }

    fn exit(&self, status: i32) {
        process::exit(status)
    }

    fn scribble(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        Memory::open()?.write(at, bytes)
    }

    fn haunt(&self, at: u64, step: u64, count: u64, bytes: &[u8], milliseconds: u64) {
        let bytes = bytes.to_vec();
        thread::spawn(move || {
            let end = Instant::now() + Duration::from_millis(milliseconds);
            let Ok(memory) = Memory::open() else { return };
            while Instant::now() < end {
                (0..count).for_each(|place| drop(memory.write(at + place * step, &bytes)));
            }
        });
    }

    fn storm(&self, seed: u64, milliseconds: u64) {
        thread::spawn(move || {
            let end = Instant::now() + Duration::from_millis(milliseconds);
            let Ok(memory) = Memory::open() else { return };
            let mut state = seed;
            while Instant::now() < end {
                let (at, word) = (random(&mut state) % MEMORY, random(&mut state));
                drop(memory.write(at & !7, &(word >> (word % 64)).to_ne_bytes()));
            }
        });
    }
}

/// The memory of two rings of the usual size, with what they may grow to.
pub(crate) const MEMORY: u64 = 2 * (512 + (1 << 20));

/// The rings' memory of this process, by way of its own file of all memory (proc(5)).
struct Memory {
    file: File,
    start: u64,
}

impl Memory {
    fn open() -> io::Result<Self> {
        let maps = fs::read_to_string("/proc/self/maps")?;
        let line = maps.lines().find(|line| line.contains("memfd:unix-ipc-rings"));
        let start = line.and_then(|line| u64::from_str_radix(line.split_once('-')?.0, 16).ok());
        let start = start.ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { file: fs::OpenOptions::new().write(true).open("/proc/self/mem")?, start })
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.start + at)
    }
}

pub(crate) fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// Bytes of which no two stretches are the same for long.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 31 + len) as u8 ^ (index >> 8) as u8).collect()
}

/// A file without a name that holds a text.
pub(crate) fn file_of(text: &str) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(file)
}

/// Whether a process has memory of this library mapped that it shares.
pub(crate) fn has_rings(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains("memfd:unix-ipc-rings"))
}

/// Whether a child takes no rings.
const WITHOUT_RINGS: &str = "UNIX_IPC_TEST_WITHOUT_RINGS";

/// True in a child, when it has served.
pub(crate) fn serve_in_child() -> bool {
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    let mut limits = Limits::default();
    if env::var_os(WITHOUT_RINGS).is_some() {
        limits.ring_bytes = 0;
    }
    let served = MillServer::new(Wheel::default()).serve(connection.with_limits(limits));
    // A child that scribbles is told so and hung up on, and goes at once: its memory may be anything.
    process::exit(i32::from(served.is_err()))
}

/// A client of a child, after so many calls that there is a ring if there is to be one.
pub(crate) fn busy(limits: Limits) -> MillClient {
    let options = SpawnOptions::new().limits(limits);
    let mill =
        MillClient::new(Connection::spawn_with(test_command(), &options).expect("the test runs as a child"));
    warm(&mill);
    mill
}

pub(crate) fn busy_without_the_childs_rings() -> MillClient {
    let mut command = test_command();
    command.env(WITHOUT_RINGS, "1");
    let mill = MillClient::spawn(command).expect("the test runs as a child");
    warm(&mill);
    mill
}

pub(crate) fn warm(mill: &MillClient) {
    for number in 0..50 {
        assert_eq!(mill.add(number, 1).expect("the child lives"), number + 1);
    }
}
