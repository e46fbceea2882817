//! What the tests share: a watchdog for tests that can hang, and counts of what can leak.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub(crate) mod folder;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use unix_ipc::test_command;

/// Ends the process, with the reason, where a test is not over in time: a hang must not take the whole run with
/// it. The time is far above what a test takes, and decides nothing.
#[must_use = "the test is watched for as long as this lives"]
pub(crate) struct Watchdog {
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Watches the current test for a minute.
    pub(crate) fn new() -> Self {
        Self::after(Duration::from_secs(60))
    }

    pub(crate) fn after(time: Duration) -> Self {
        let name = thread::current().name().unwrap_or("?").to_owned();
        let (over, wait) = mpsc::channel();
        let thread = thread::spawn(move || {
            if wait.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                eprintln!("test {name} hangs: not over after {time:?}");
                process::abort();
            }
        });
        Self { over: Some(over), thread: Some(thread) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.over.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a process holds: open descriptors with what they are, child processes, and, where it is asked for, memory files that it has
/// mapped.
///
/// Tests of one binary run at once in one process, so a test that counts runs in a process of its own
/// ([`alone`]), or counts another process.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Holdings {
    descriptors: BTreeMap<u32, String>,
    children: Vec<String>,
    mappings: Option<usize>,
}

impl Holdings {
    /// Of this process.
    pub(crate) fn now() -> Self {
        Self::of(process::id())
    }

    /// Of this process, its mappings included. What is alive meanwhile has to have its rings already.
    pub(crate) fn with_mappings() -> Self {
        Self { mappings: Some(mappings(process::id())), ..Self::now() }
    }

    /// Of any process of the same user.
    pub(crate) fn of(pid: u32) -> Self {
        Self { descriptors: descriptors(pid), children: children(pid), mappings: None }
    }

    pub(crate) fn descriptor_count(&self) -> usize {
        self.descriptors.len()
    }

    /// Waits until the process holds just this again (the reaper works in the background).
    #[track_caller]
    pub(crate) fn assert_restored(&self) {
        self.assert_restored_in(process::id());
    }

    #[track_caller]
    pub(crate) fn assert_restored_in(&self, pid: u32) {
        let restored = wait_until(Duration::from_secs(20), || {
            let now = Self::of(pid);
            now.descriptors.len() == self.descriptors.len()
                && now.children == self.children
                && self.mappings.is_none_or(|before| mappings(pid) == before)
        });
        let after = Self { mappings: Some(mappings(pid)), ..Self::of(pid) };
        assert!(restored, "before: {self:?}\nafter: {after:?}");
    }
}

impl fmt::Debug for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> =
            self.descriptors.iter().map(|(number, what)| format!("{number} {what}")).collect();
        write!(f, "{} descriptors {names:?}, children {:?}", names.len(), self.children)?;
        self.mappings.map_or(Ok(()), |mappings| write!(f, ", {mappings} mappings"))
    }
}

fn descriptors(pid: u32) -> BTreeMap<u32, String> {
    let folder = PathBuf::from(format!("/proc/{pid}/fd"));
    let Ok(entries) = fs::read_dir(&folder) else { return BTreeMap::new() };
    let named = entries.flatten().filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        // The descriptor that reads this very folder is gone by now, and has no link.
        Some((number, fs::read_link(entry.path()).ok()?.display().to_string()))
    });
    named.filter(|(_, what)| !what.ends_with(&format!("/proc/{pid}/fd"))).collect()
}

/// The children of all threads of a process, by number, zombies named as such.
pub(crate) fn children(pid: u32) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut children: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let child: u32 = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
            // The name is in parentheses and may hold anything.
            let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
            let state = fields.next()?;
            let parent: u32 = fields.next()?.parse().ok()?;
            // Whether one that lives runs or sleeps just now is nobody's business.
            let what = if state == "Z" { " zombie" } else { "" };
            (parent == pid).then(|| format!("{child}{what}"))
        })
        .collect();
    children.sort();
    children
}

/// The mappings of memory files (memfd_create(2)) in a process: rings, lanes, and messages in memory.
pub(crate) fn mappings(pid: u32) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    maps.lines().filter(|line| line.contains("/memfd:")).count()
}

/// The number of threads of this process.
pub(crate) fn threads() -> usize {
    threads_of(process::id())
}

/// The number of threads of any process of the same user.
pub(crate) fn threads_of(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

/// Whether a process exists and is no zombie.
pub(crate) fn is_running(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(')').map(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X'])))
        .unwrap_or(false)
}

/// Looks until something is so: false where it is not after `at_most`, which decides nothing but how long a failing
/// test takes.
pub(crate) fn wait_until(at_most: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + at_most;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// Runs the rest of the current test in a process of its own, where nothing else opens descriptors: true in that
/// process. In the other, the test is over when this returns false.
#[track_caller]
pub(crate) fn alone() -> bool {
    const GUARD: &str = "UNIX_IPC_TEST_ALONE";
    if std::env::var_os(GUARD).is_some() {
        return true;
    }
    let output = again().env(GUARD, "1").output().expect("the test runs again");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{text}\n{errors}", output.status);
    assert!(text.contains("1 passed"), "the test did not run: {text}");
    false
}

/// The current test in another process, which says what it says to whoever has its output.
pub(crate) fn again() -> Command {
    let name = thread::current().name().map(str::to_owned).unwrap_or_default();
    let mut command = Command::new(std::env::current_exe().expect("the test knows its executable"));
    command.args([&name, "--exact", "--nocapture", "--include-ignored", "--test-threads=1", "-q"]);
    command
}

/// Keeps this thread on one core, and the children that it spawns, which have what it has.
pub(crate) fn stay_on_one_core() {
    let mut one = CpuSet::new();
    one.set(0).expect("a set has a first core");
    sched_setaffinity(Pid::from_raw(0), &one).expect("this thread may run there");
}

/// The command that runs this test again as a worker of a pool, as often as it is asked for. A command cannot be copied, and
/// threads of the pool have no test to run again.
pub(crate) fn this_test() -> impl Fn() -> Command + Clone + Send + Sync + 'static {
    let command = test_command();
    let program = command.get_program().to_owned();
    let arguments: Vec<OsString> = command.get_args().map(ToOwned::to_owned).collect();
    let variables: Vec<(OsString, OsString)> =
        command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    move || {
        let mut command = Command::new(&program);
        command.args(&arguments).envs(variables.iter().cloned()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}
