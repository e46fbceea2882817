//! Each test that needs a process of its own runs itself again, with a role (`rerun`).

mod claiming;
mod copies;
mod descriptors;
mod exit;
mod liveness;
mod reaper;
mod test_commands;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::unistd::gettid;

use super::{Child, PeerExit, SpawnOptions, claim, start};
use crate::deadline::Deadline;
use crate::sys::wait;

/// When a test gives up on what it waits for.
const WATCHDOG: Duration = Duration::from_secs(30);

const ROLE_VARIABLE: &str = "UNIX_IPC_TEST_ROLE";

/// What this process is to do in the test that runs; `None` in the process of the harness.
fn role() -> Option<String> {
    env::var(ROLE_VARIABLE).ok()
}

/// This same test in another process, in a role.
fn rerun(role: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.arg(thread::current().name().unwrap());
    command.args(["--exact", "--nocapture", "--test-threads=1", "-q"]);
    command.env(ROLE_VARIABLE, role).stdout(Stdio::null());
    command
}

/// The same, started by a shell that says something first.
fn rerun_after(script: &str, role: &str) -> Command {
    let test = rerun(role);
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", &format!("{script}; exec \"$0\" \"$@\"")])
        .arg(test.get_program())
        .args(test.get_args());
    shell.env(ROLE_VARIABLE, role).stdout(Stdio::null());
    shell
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap()
}

fn start_with(command: &mut Command, options: &SpawnOptions) -> (Child, OwnedFd) {
    let (ours, theirs) = pair();
    (start(command, theirs, None, options).unwrap(), ours)
}

fn start_default(command: &mut Command) -> (Child, OwnedFd) {
    start_with(command, &SpawnOptions::new())
}

/// Runs the test again in a role and expects it to succeed there.
fn succeeds(command: &mut Command) {
    let (child, _socket) = start_default(command);
    assert_eq!(child.exit(WATCHDOG), Some(PeerExit::Exited(0)));
}

fn claimed() -> OwnedFd {
    claim().unwrap().expect("a spawner left a socket")
}

fn say(socket: &OwnedFd, text: &str) {
    send(socket.as_raw_fd(), text.as_bytes(), MsgFlags::MSG_NOSIGNAL).unwrap();
}

/// The next packet; nothing at the end.
fn hear(socket: &OwnedFd) -> Option<String> {
    assert!(
        wait::ready(socket.as_fd(), PollFlags::POLLIN, Deadline::after(WATCHDOG)).unwrap(),
        "nothing came"
    );
    let mut buffer = [0; 4096];
    // A reset is how the end of a peer reads that had not read everything.
    let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()).unwrap_or(0);
    (length > 0).then(|| String::from_utf8(buffer[..length].to_vec()).unwrap())
}

/// Answers every packet with itself until the end.
fn echo(socket: &OwnedFd) {
    while let Some(text) = hear(socket) {
        say(socket, &text);
    }
}

fn answers(socket: &OwnedFd) -> bool {
    say(socket, "still there?");
    hear(socket).as_deref() == Some("still there?")
}

/// Looks until it sees what it waits for.
fn eventually(what: &str, mut seen: impl FnMut() -> bool) {
    let until = Instant::now() + WATCHDOG;
    while !seen() {
        assert!(Instant::now() < until, "never came: {what}");
        wait::wait(&mut [], Deadline::after(Duration::from_millis(1))).unwrap();
    }
}

/// The descriptors of a process, with what they name.
fn descriptors_of(pid: u32) -> Vec<(i32, PathBuf)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let named = entries.flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, fs::read_link(entry.path()).ok()?))
    });
    named.collect()
}

/// The numbers that every child inherits because whoever started the tests left them open.
fn inherited_by_all() -> BTreeSet<i32> {
    let closes_on_exec = |number: &i32| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        // A descriptor that is gone by now was this process's own.
        flags.is_none_or(|flags| i32::from_str_radix(flags.trim(), 8).unwrap() & nix::libc::O_CLOEXEC != 0)
    };
    let open = descriptors_of(std::process::id()).into_iter().map(|(number, _)| number);
    open.filter(|number| *number < 3 || !closes_on_exec(number)).collect()
}

/// What /proc says a descriptor names, which for a socket is its identity.
fn name_of(fd: BorrowedFd<'_>) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap()
}

/// The threads of this process by number and name.
fn threads() -> Vec<(String, String)> {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let named = tasks.filter_map(|task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        Some((task.file_name().into_string().unwrap(), name.trim_end().to_owned()))
    });
    named.collect()
}

/// Starts a thread and returns what it made once the kernel has taken it away.
fn in_a_thread_that_ended<T: Send>(make: impl FnOnce() -> T + Send) -> T {
    let (thread, made) = thread::scope(|scope| scope.spawn(|| (gettid(), make())).join().unwrap());
    eventually("the end of the thread", || !threads().iter().any(|(id, _)| *id == thread.to_string()));
    made
}
