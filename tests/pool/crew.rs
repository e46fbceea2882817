//! The service of the workers, and how they are started.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{MsgFlags, send};
use nix::unistd::Pid;
use unix_ipc::{Connection, Pool, PoolOptions, ipc_service};

pub(crate) use crate::util::this_test;
use crate::util::wait_until;

#[ipc_service]
pub(crate) trait Crew {
    #[idempotent]
    fn process(&self) -> u32;
    /// The sum of the numbers up to this one, which takes its time.
    #[idempotent]
    fn sum(&self, up_to: u64) -> u64;
    /// Adds a line to a file, and nothing else: one that is called twice adds two.
    fn note(&self, file: &Path, line: &str) -> io::Result<()>;
    /// Adds a line to a file and dies.
    fn die(&self, file: &Path);
    /// The same, unless the file has so many lines.
    #[idempotent]
    fn die_until(&self, file: &Path, lines: usize) -> io::Result<u32>;
    /// Answers once there is such a file.
    #[idempotent]
    fn wait_for(&self, file: &Path) -> u32;
    /// Takes so much memory and keeps it.
    fn take_memory(&self, bytes: usize);
    /// The signals that are blocked here, as /proc says it.
    fn blocked_signals(&self) -> io::Result<String>;
    /// Sends nonsense to whoever is at the other end of this process's sockets.
    fn babble(&self) -> io::Result<()>;
}

#[derive(Default)]
struct Hand {
    memory: Mutex<Vec<Vec<u8>>>,
}

impl Crew for Hand {
    fn process(&self) -> u32 {
        process::id()
    }

    fn sum(&self, up_to: u64) -> u64 {
        (1..=up_to).fold(0, |sum, number| std::hint::black_box(sum) + number)
    }

    fn note(&self, file: &Path, line: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(file)?;
        file.write_all(format!("{line}\n").as_bytes())
    }

    fn die(&self, file: &Path) {
        self.note(file, "died").expect("the folder is there");
        process::abort();
    }

    fn die_until(&self, file: &Path, lines: usize) -> io::Result<u32> {
        if lines_of(file).len() < lines {
            self.die(file);
        }
        Ok(process::id())
    }

    fn wait_for(&self, file: &Path) -> u32 {
        wait_until(Duration::MAX / 4, || file.exists());
        process::id()
    }

    fn take_memory(&self, bytes: usize) {
        self.memory.lock().expect("nobody panics").push(vec![1; bytes]);
    }

    fn blocked_signals(&self) -> io::Result<String> {
        blocked_signals("/proc/thread-self/status")
    }

    fn babble(&self) -> io::Result<()> {
        for entry in fs::read_dir("/proc/self/fd")? {
            let number = entry?.file_name().to_str().and_then(|name| name.parse().ok());
            // What is no socket refuses it.
            let _ = number.map(|number| send(number, &[99; 16], MsgFlags::MSG_NOSIGNAL));
        }
        Ok(())
    }
}

pub(crate) fn blocked_signals(status: &str) -> io::Result<String> {
    let text = fs::read_to_string(status)?;
    Ok(text.lines().find(|line| line.starts_with("SigBlk")).unwrap_or_default().to_owned())
}

/// A worker for which this is set fails to prepare itself.
const UNPREPARED: &str = "UNIX_IPC_TEST_UNPREPARED";

/// Serves, where this is a worker that the test started: then the test is over there.
pub(crate) fn is_worker() -> bool {
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    if env::var_os(UNPREPARED).is_some() {
        let fails = || Err(io::Error::from(io::ErrorKind::PermissionDenied));
        let _ = CrewServer::new(Hand::default()).pre_serve(fails).serve(connection);
        return true;
    }
    // A worker that was killed leaves its client's end broken, and that is no failure of this test.
    let _ = CrewServer::new(Hand::default()).serve(connection);
    true
}

/// A command behind a shell that waits for a file first, or for the end of the folder in which that is to be: nothing
/// else ends a process that has not come to its connection when the test is over.
pub(crate) fn once_there_is(file: &Path, command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    let script =
        "while ! [ -e \"$AWAITED\" ]; do [ -d \"${AWAITED%/*}\" ] || exit; sleep 0.01; done; exec \"$@\"";
    shell.args(["-c", script, "sh"]);
    shell.arg(command.get_program()).args(command.get_args()).env("AWAITED", file).stdout(Stdio::null());
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}

pub(crate) fn pool(options: &PoolOptions) -> Pool<CrewClient> {
    Pool::new(this_test(), options)
}

/// Has a worker fail in its `pre_serve`.
pub(crate) fn unprepared(mut command: Command) -> Command {
    command.env(UNPREPARED, "");
    command
}

/// Kills a worker, which may be gone.
pub(crate) fn kill_worker(process: u32) {
    let _ = kill(Pid::from_raw(process.cast_signed()), Signal::SIGKILL);
}

/// The lines of a file that workers write.
pub(crate) fn lines_of(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Long enough for everything that takes a moment; decides nothing but how long a failing test takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);
/// What no test lives to see.
pub(crate) const AN_HOUR: Duration = Duration::from_secs(3600);
