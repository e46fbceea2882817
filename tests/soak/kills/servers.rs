//! Servers that are killed under their client, which is in this process.

use std::fs;
use std::io::{BufRead, BufReader, PipeReader, pipe};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill as send_signal};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use unix_ipc::{CallError, Connection, PeerExit, SpawnError, SpawnOptions, channel};

use super::service::{TELLS, TargetClient, call_until_it_fails, command, limits, warm};
use super::{Moment, Waits};
use crate::settings::BOUND;
use crate::util::wait_until;

/// How the threads that wait are called.
const CALLER: &str = "caller";

/// Kills a server at such a moment.
pub(super) fn kill(moment: Moment, rng: &mut Rng) -> Waits {
    if moment == Moment::Introduction {
        return kill_at_its_introduction(rng);
    }
    let mut limits = limits(moment);
    if rng.u8(..4) == 0 {
        limits.ring_bytes = 0;
    }
    let options = SpawnOptions::new().limits(limits);
    let connection = Connection::spawn_with(command(rng), &options).expect("the test runs as a child");
    let pid = connection.peer_credentials().expect("it has introduced itself").pid();
    let client = TargetClient::new(connection);
    warm(&client);
    kill_under_callers(&client, Pid::from_raw(pid), moment, rng)
}

/// Ends a process: when it was killed, and when it had ended.
fn end(pid: Pid) -> (Instant, Instant) {
    let killed = Instant::now();
    send_signal(pid, Signal::SIGKILL).expect("the process is there");
    // Waits and does not reap, or finds that the client has reaped it.
    let ended = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    assert!(matches!(ended, Ok(_) | Err(Errno::ECHILD)), "{ended:?}");
    (killed, Instant::now())
}

fn kill_under_callers(client: &TargetClient, pid: Pid, moment: Moment, rng: &mut Rng) -> Waits {
    let (sender, failures) = mpsc::channel();
    let (begun, begins) = channel().expect("there is room");
    let (_gate, closed) = channel().expect("there is room");
    let busy = matches!(moment, Moment::Call | Moment::Full | Moment::Sleeping)
        .then(|| client.begin_wait(begun, closed).expect("it serves"));
    if busy.is_some() {
        begins.recv().expect("it begins");
    }
    let callers = if moment == Moment::Spinning { 1 } else { rng.usize(1..4) };
    let (killed, ended) = thread::scope(|scope| {
        for _ in 0..callers {
            let (client, sender, mut rng) = (client.clone(), sender.clone(), rng.fork());
            let call = move || {
                let error = match moment {
                    Moment::Call | Moment::Sleeping => sleep_in_a_call(&client),
                    _ => call_until_it_fails(&client, moment, &mut rng),
                };
                sender.send((Instant::now(), error)).expect("somebody counts");
            };
            let named = thread::Builder::new().name(CALLER.to_owned());
            named.spawn_scoped(scope, call).expect("there is room for a thread");
        }
        if matches!(moment, Moment::Full | Moment::Sleeping) {
            // With two workers one of them takes what comes, so not everything is full.
            let _ = wait_until(Duration::from_millis(200), || sleeping() == callers);
        }
        thread::park_timeout(Duration::from_micros(rng.u64(..3000)));
        end(pid)
    });
    let mut failed: Vec<_> = failures.try_iter().collect();
    if let Some(call) = busy {
        failed.push((Instant::now(), call.wait().expect_err("the server is dead")));
    }
    for (_, error) in &failed {
        let is_named = matches!(error, CallError::PeerDied { exit: PeerExit::Killed(9), .. });
        assert!(is_named, "{moment:?}: {error:?}");
    }
    let last = failed.iter().map(|(at, _)| *at).max().expect("there are callers");
    Waits::until(last, killed, ended)
}

fn sleep_in_a_call(client: &TargetClient) -> CallError {
    let (begun, _begins) = channel().expect("there is room");
    let (_gate, closed) = channel().expect("there is room");
    client.wait(begun, closed).expect_err("the server is killed")
}

/// How many callers sleep (proc(5)).
fn sleeping() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("proc is there").flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    stats.filter(|stat| stat.contains(&format!("({CALLER}) S "))).count()
}

/// The process's first line is its number.
fn number(output: PipeReader) -> Option<Pid> {
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).ok()?;
    line.trim().parse().ok().map(Pid::from_raw)
}

/// Before it says a word, in the middle of one, or just after.
fn kill_at_its_introduction(rng: &mut Rng) -> Waits {
    let (output, input) = pipe().expect("there is room");
    let mut command = command(rng);
    command.env(TELLS, "1").stderr(input);
    let delay = rng.u64(..1500);
    let killer = thread::spawn(move || {
        let pid = number(output).expect("the child says who it is");
        thread::park_timeout(Duration::from_micros(delay));
        end(pid)
    });
    let spawned = TargetClient::spawn(command);
    let exit = match spawned {
        Err(SpawnError::Exited(exit)) => exit,
        Err(error) => panic!("{error:?}"),
        Ok(client) => loop {
            match client.echo(b"hello") {
                Ok(echo) => assert_eq!(echo, b"hello"),
                Err(CallError::PeerDied { exit, .. }) => break exit,
                Err(error) => panic!("{error:?}"),
            }
        },
    };
    let last = Instant::now();
    assert!(matches!(exit, PeerExit::Killed(9)), "{exit:?}");
    let (killed, ended) = killer.join().expect("the child was killed");
    assert!(last < ended + BOUND);
    Waits::until(last, killed, ended)
}
