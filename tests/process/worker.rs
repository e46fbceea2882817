//! The service that the children serve, and other ways to run a test once more.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::thread;

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::Pid;
use unix_ipc::{Connection, ipc_service};

#[ipc_service]
pub(crate) trait Worker {
    fn process(&self) -> u32;
    fn echo(&self, bytes: &[u8]) -> Vec<u8>;
    /// What was open when the program started.
    fn started_with(&self) -> Vec<(u32, String)>;
    fn print(&self, line: &str) -> io::Result<()>;
    fn standard_input(&self) -> io::Result<String>;
    fn exit(&self, status: i32);
    fn raise(&self, signal: i32);
    /// Never returns, and never waits either.
    fn be_busy(&self);
    /// Runs this program once more, as a child of the child; its exit status.
    fn start_grandchild(&self) -> io::Result<Option<i32>>;
}

/// The file in which a child writes how `serve` ended.
const WITNESS: &str = "UNIX_IPC_TEST_WITNESS";
/// Whether a child stays when `serve` has ended.
const STAY: &str = "UNIX_IPC_TEST_STAY";
const GRANDCHILD: &str = "UNIX_IPC_TEST_GRANDCHILD";
const ROLE: &str = "UNIX_IPC_TEST_ROLE";

/// The statuses of a grandchild: it found no connection and no descriptor that its parent was not started with, or it
/// did.
pub(crate) const NOTHING: i32 = 10;
const A_CONNECTION: i32 = 11;
const A_DESCRIPTOR: i32 = 12;

struct Hand {
    started_with: Vec<(u32, String)>,
}

impl Worker for Hand {
    fn process(&self) -> u32 {
        process::id()
    }

    fn echo(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn started_with(&self) -> Vec<(u32, String)> {
        self.started_with.clone()
    }

    fn print(&self, line: &str) -> io::Result<()> {
        let mut stdout = io::stdout();
        writeln!(stdout, "{line}")?;
        stdout.flush()
    }

    fn standard_input(&self) -> io::Result<String> {
        io::read_to_string(io::stdin())
    }

    fn exit(&self, status: i32) {
        process::exit(status)
    }

    fn raise(&self, signal: i32) {
        let signal = Signal::try_from(signal).expect("a signal of this system");
        raise(signal).expect("a process may signal itself");
    }

    fn be_busy(&self) {
        loop {
            std::hint::spin_loop();
        }
    }

    fn start_grandchild(&self) -> io::Result<Option<i32>> {
        let mut command = Command::new(env::current_exe()?);
        command.args(env::args_os().skip(1)).env(GRANDCHILD, self.started_with.len().to_string());
        Ok(command.status()?.code())
    }
}

/// Serves, where this is the child that the test spawned: then the test is over there.
pub(crate) fn is_child() -> bool {
    let started_with = descriptors();
    let inherited = Connection::inherited().expect("the connection is sound");
    if let Ok(expected) = env::var(GRANDCHILD) {
        let has_more = started_with.len() > expected.parse().expect("a number");
        process::exit(if inherited.is_some() {
            A_CONNECTION
        } else if has_more {
            A_DESCRIPTOR
        } else {
            NOTHING
        });
    }
    let Some(connection) = inherited else { return false };
    let served = WorkerServer::new(Hand { started_with }).serve(connection);
    if let Some(witness) = env::var_os(WITNESS) {
        leave(Path::new(&witness), &format!("{served:?}"));
    }
    while env::var_os(STAY).is_some() {
        thread::park();
    }
    true
}

/// Leaves a file that is there whole or not at all.
fn leave(path: &Path, text: &str) {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, text).expect("the folder is there");
    fs::rename(unfinished, path).expect("the folder is there");
}

/// The open descriptors of this process, as number and what they are.
pub(crate) fn descriptors() -> Vec<(u32, String)> {
    let entries: Vec<_> = fs::read_dir("/proc/self/fd")
        .expect("/proc is mounted")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    // The one that read the folder is closed by now, and has no link.
    let mut open: Vec<_> = entries
        .into_iter()
        .filter_map(|path| {
            let what = fs::read_link(&path).ok()?.display().to_string();
            Some((path.file_name()?.to_str()?.parse().ok()?, what))
        })
        .collect();
    open.sort();
    open
}

/// The numbers under which this process was given something beyond the standard streams: what started the tests left
/// it open for all that comes after, so it says nothing about the library. To be asked before the library is used.
pub(crate) fn given() -> Vec<u32> {
    descriptors()
        .into_iter()
        .map(|(number, _)| number)
        .filter(|number| *number > 2 && !is_closed_on_exec(*number))
        .collect()
}

fn is_closed_on_exec(number: u32) -> bool {
    // proc(5): the flags of the open file, in octal, and O_CLOEXEC among them.
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or_default();
    i32::from_str_radix(flags.trim(), 8).is_ok_and(|flags| flags & OFlag::O_CLOEXEC.bits() != 0)
}

/// Has the child write how `serve` ended to a file.
pub(crate) fn with_witness(mut command: Command, witness: &Path) -> Command {
    command.env(WITNESS, witness);
    command
}

/// Has the child stay when `serve` has ended, until somebody kills it.
pub(crate) fn staying(mut command: Command) -> Command {
    command.env(STAY, "1");
    command
}

/// The same command, started by a shell script in which it is `"$@"`.
pub(crate) fn behind_a_shell(script: &str, command: &Command) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", script, "sh"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    shell.stdout(Stdio::null());
    shell
}

/// The current test once more, as a process of its own that spawns; its [`role`] says so.
pub(crate) fn again(role: &str) -> Command {
    let name = thread::current().name().expect("the thread of a test").to_owned();
    let mut command = Command::new(env::current_exe().expect("the test knows its executable"));
    command.args([&name, "--exact", "--nocapture", "--include-ignored", "--test-threads=1", "-q"]);
    command.env(ROLE, role).stdin(Stdio::piped()).stdout(Stdio::null());
    command
}

/// What this process is to do, where [`again`] started it.
pub(crate) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// Kills a process that still runs, and is known to be that of the test.
pub(crate) fn send_signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.cast_signed()), signal).expect("the process is there");
}

/// A process that nobody else ends: killed when the test is over, failed or not.
pub(crate) struct Stray(pub(crate) u32);

impl Drop for Stray {
    fn drop(&mut self) {
        // It may be gone, which is a failure of the test and not of this.
        let _ = kill(Pid::from_raw(self.0.cast_signed()), Signal::SIGKILL);
    }
}
