//! A server killed at any moment, under calls from several threads.

mod util;

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::fmt::Display;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, gettid};
use unix_ipc::{CallError, Connection, Handle, PeerExit, ipc_service, test_command};
use util::{Holdings, Watchdog};

#[ipc_service]
trait Target {
    fn process(&self) -> u32;
    fn echo(&self, bytes: &[u8]) -> Vec<u8>;
    fn pass(&self, file: Handle<fs::File>) -> Handle<fs::File>;
    #[oneway]
    fn swallow(&self, bytes: &[u8]);
    /// Until it is killed.
    fn never(&self);
}

struct Victim;

impl Target for Victim {
    fn process(&self) -> u32 {
        std::process::id()
    }

    fn echo(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn pass(&self, file: Handle<fs::File>) -> Handle<fs::File> {
        file
    }

    fn swallow(&self, _bytes: &[u8]) {}

    fn never(&self) {
        loop {
            thread::park();
        }
    }
}

const ROUNDS: usize = 100;
const CALLERS: usize = 4;
/// What a caller may wait at most once the kernel has ended the server, but for the time for which there is no core.
const AT_MOST: Duration = Duration::from_millis(100);

fn is_victim() -> bool {
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    // Ends by a signal in nearly every round; where it is hung up on instead, serving is over too.
    TargetServer::new(Victim).serve(connection).expect("the client keeps to the protocol");
    true
}

/// Runs the rest of the current test in a process of its own, as `util::alone` does, but lets it print what it
/// measured, and one after another.
fn alone_by_turns() -> bool {
    const GUARD: &str = "UNIX_IPC_TEST_KILLS";
    static TURN: Mutex<()> = Mutex::new(());
    if std::env::var_os(GUARD).is_some() {
        return true;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let status = test_command().env(GUARD, "1").env_remove("UNIX_IPC_TEST_COMMAND").status();
    assert!(status.expect("the test runs again").success());
    false
}

fn random(below: u64) -> u64 {
    RandomState::new().build_hasher().finish() % below
}

/// How long a thread of this process has been ready to run while others ran (proc_pid_schedstat(5)): on a machine that others use as
/// well that is no time of the library's.
fn time_without_a_core(thread: impl Display) -> Duration {
    let schedstat = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).unwrap_or_default();
    let nanoseconds = schedstat.split_whitespace().nth(1).and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// The same for each thread that there is now.
fn times_without_a_core() -> HashMap<String, Duration> {
    let threads = fs::read_dir("/proc/self/task").expect("/proc is there").map_while(Result::ok);
    let names = threads.filter_map(|thread| thread.file_name().into_string().ok());
    names.map(|thread| (thread.clone(), time_without_a_core(thread))).collect()
}

/// How a caller's last call failed.
struct Failed {
    at: Instant,
    thread: String,
    without_a_core: Duration,
    error: CallError,
}

/// Calls until a call fails.
fn call_until_it_fails(client: &TargetClient, caller: usize, calls: &AtomicU64) -> Failed {
    let bytes = [vec![1; 10], vec![2; 60_000], vec![3; 200_000], vec![4; 300]][caller % 4].clone();
    loop {
        let called = match caller % 4 {
            3 => fs::File::open("/dev/null")
                .map_err(|source| CallError::Io { method: "open", source })
                .and_then(|file| client.swallow(&bytes).and_then(|()| client.pass(file.into()).map(drop))),
            _ => client.echo(&bytes).map(|echo| assert_eq!(echo, bytes)),
        };
        match called {
            Ok(()) => calls.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                let (at, thread) = (Instant::now(), gettid().to_string());
                return Failed { at, without_a_core: time_without_a_core(&thread), thread, error };
            }
        };
    }
}

/// The longest waits of the callers of one server.
struct Waits {
    /// From the moment at which the kernel had ended the server, as another thread that waits for it sees.
    from_end: Duration,
    /// The same without the time since the kill for which threads of this process had no core: they wait for each other.
    of_ours: Duration,
    from_kill: Duration,
}

/// Kills the server after so many calls and so many turns of an empty loop.
fn kill_under_calls(after: u64, turns: u64) -> Waits {
    let client = TargetClient::spawn(test_command()).expect("the test runs as a child");
    let pid = client.process().expect("nobody has killed it yet");
    let pid = Pid::from_raw(pid.cast_signed());
    let calls = AtomicU64::new(0);
    let (sender, failures) = mpsc::channel();
    let (before, killed, ended) = thread::scope(|scope| {
        for caller in 0..CALLERS {
            let client = client.clone();
            let (calls, sender) = (&calls, sender.clone());
            scope.spawn(move || sender.send(call_until_it_fails(&client, caller, calls)).is_ok());
        }
        while calls.load(Ordering::Relaxed) < after {
            thread::yield_now();
        }
        (0..turns).for_each(|_| std::hint::spin_loop());
        let before = times_without_a_core();
        kill(pid, Signal::SIGKILL).expect("the server is there");
        let killed = Instant::now();
        // Waits and does not reap, or finds that the client has reaped it.
        let ended = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        assert!(matches!(ended, Ok(_) | Err(Errno::ECHILD)), "{ended:?}");
        (before, killed, Instant::now())
    });
    let mut after = times_without_a_core();
    drop(sender);
    let failed: Vec<_> = failures.iter().collect();
    assert_eq!(failed.len(), CALLERS);
    after.extend(failed.iter().map(|failed| (failed.thread.clone(), failed.without_a_core)));
    let passed = |thread: &String, before| after.get(thread).map(|after| after.saturating_sub(before));
    let without_cores: Duration = before.iter().filter_map(|(thread, before)| passed(thread, *before)).sum();
    for Failed { error, .. } in &failed {
        let died = matches!(error, CallError::PeerDied { exit: PeerExit::Killed(9), .. });
        assert!(died, "{error:?}");
    }
    let last = failed.iter().map(|failed| failed.at).max().unwrap_or(ended);
    let from_end = last.saturating_duration_since(ended);
    Waits {
        from_end,
        of_ours: from_end.saturating_sub(without_cores),
        from_kill: last.saturating_duration_since(killed),
    }
}

fn kill_a_hundred_servers() {
    let _watchdog = Watchdog::after(Duration::from_secs(300));
    let before = Holdings::now();
    let threads = util::threads();
    let waits: Vec<_> = (0..ROUNDS).map(|_| kill_under_calls(random(60), random(20_000))).collect();
    let sorted = |wait: fn(&Waits) -> Duration| {
        let mut waits: Vec<_> = waits.iter().map(wait).collect();
        waits.sort_unstable();
        waits
    };
    let (from_kill, from_end) = (sorted(|waits| waits.from_kill), sorted(|waits| waits.from_end));
    let of_ours = sorted(|waits| waits.of_ours)[ROUNDS - 1];
    eprintln!(
        "{ROUNDS} servers killed: callers waited at most {:?} from the kill ({:?} in the median), {:?} from the server's end, {of_ours:?} \
         of it with cores",
        from_kill[ROUNDS - 1],
        from_kill[ROUNDS / 2],
        from_end[ROUNDS - 1]
    );
    assert!(of_ours <= AT_MOST, "a caller waited {of_ours:?}");
    before.assert_restored();
    assert!(util::wait_until(Duration::from_secs(20), || util::threads() == threads));
}

#[test]
fn callers_of_a_killed_server_have_their_errors_within_100_milliseconds() {
    if is_victim() || !alone_by_turns() {
        return;
    }
    kill_a_hundred_servers();
}

#[test]
fn callers_of_a_killed_server_on_the_same_core_have_them_as_soon() {
    if is_victim() || !alone_by_turns() {
        return;
    }
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).unwrap();
    let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap()).unwrap();
    let mut one = CpuSet::new();
    one.set(first).unwrap();
    // Threads and children have what the thread that makes them has.
    sched_setaffinity(this, &one).unwrap();
    kill_a_hundred_servers();
}

#[test]
fn calls_begun_before_the_kill_fail_with_it() {
    if is_victim() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let client = TargetClient::spawn(test_command()).unwrap();
    let pid = Pid::from_raw(client.process().unwrap().cast_signed());
    let waiting: Vec<_> = (0..100).map(|_| client.begin_never().unwrap()).collect();
    kill(pid, Signal::SIGKILL).unwrap();
    for call in waiting {
        let error = call.wait().unwrap_err();
        assert!(matches!(error, CallError::PeerDied { exit: PeerExit::Killed(9), .. }), "{error:?}");
    }
    drop(client);
    before.assert_restored();
}
