//! The list of the system calls that a server needs is long enough, and no longer than that.

use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use unix_ipc::sandbox::{self, SystemCall};
use unix_ipc::{
    Connection, Gone, Handle, Limits, SharedMemory, SharedMemoryMut, SpawnOptions, channel, test_command,
};

use crate::locked::{ALLOWED, LISTEN, LockedClient, REFUSED, SERVED, TERMINATES, WORKERS, is_locked};
use crate::prisoner::{AdderServer, Plus};
use crate::util::Watchdog;

type Outcome = Result<(), Box<dyn Error>>;

/// What is asked of a child, and whether the child is there afterwards.
type Shape = (fn(&LockedClient) -> Outcome, bool);

/// A child: what it is started with, what it may do, and what is asked of such.
struct Prison {
    name: &'static str,
    workers: usize,
    rings: bool,
    listens: bool,
    /// Whether SIGTERM ends it in order.
    terminates: bool,
    /// Whether all of its threads take memory from one heap, as the first thread of a program does.
    one_heap: bool,
    /// Beside those of every server.
    lists: &'static [&'static [SystemCall]],
    shapes: &'static [Shape],
}

/// What every child has.
const EVERY_SERVER: [&[SystemCall]; 4] =
    [sandbox::SERVING, sandbox::MEMORY, sandbox::ENDING, sandbox::REFUSABLE];

const PRISONS: [Prison; 12] = [
    Prison::new("a server", &[], &EVERY_SHAPE),
    Prison { one_heap: true, ..Prison::new("a server in the first thread", &[], &EVERY_SHAPE) },
    Prison { rings: false, ..Prison::new("a server without rings", &[], &EVERY_SHAPE) },
    Prison { workers: 3, ..Prison::new("workers", &[sandbox::THREADS, sandbox::WORKERS], &EVERY_SHAPE) },
    Prison {
        workers: 3,
        rings: false,
        ..Prison::new("workers without rings", &[sandbox::THREADS, sandbox::WORKERS], &EVERY_SHAPE)
    },
    Prison::new("threads", &[sandbox::THREADS], &[(in_threads, true)]),
    Prison::new(
        "channels",
        &[sandbox::CHANNELS],
        &[(sent_into, true), (tried_long, true), (made_there, true), (called_back, true)],
    ),
    Prison::new("shared memory", &[sandbox::SHARED_MEMORY], &[(filled, true)]),
    Prison {
        listens: true,
        ..Prison::new(
            "a listener",
            &[sandbox::WORKERS, sandbox::LISTENING],
            &[(values, false), (handles, false)],
        )
    },
    Prison {
        terminates: true,
        ..Prison::new(
            "a server that SIGTERM ends",
            &[sandbox::STOPPING, sandbox::ABORTING],
            &[(terminated, false)],
        )
    },
    Prison::new("panics", &[sandbox::PANICS], &[(panicking, true)]),
    Prison::new("aborts", &[sandbox::ABORTING], &[(aborting, false), (starving, false)]),
];

const EVERY_SHAPE: [Shape; 9] = [
    (values, true),
    (long_messages, true),
    (one_way, true),
    (queued_replies, true),
    (handles, true),
    (received, true),
    (read_memory, true),
    (stopped, true),
    (exiting, false),
];

fn values(client: &LockedClient) -> Outcome {
    for number in 0..300 {
        assert_eq!(client.add(number, 1)?, number + 1);
    }
    client.allocate(32 << 20)?;
    Ok(())
}

fn long_messages(client: &LockedClient) -> Outcome {
    for length in [60_000, 70_000, 1 << 20, 4 << 20] {
        let bytes = vec![7; length];
        for _ in 0..3 {
            assert!(client.echo(&bytes)? == bytes);
        }
    }
    Ok(())
}

fn one_way(client: &LockedClient) -> Outcome {
    for number in 0..1000 {
        client.note(number)?;
    }
    // Workers may take notes in any order, and a moment later than what came after.
    while client.noted()? != 499_500 {}
    Ok(())
}

fn queued_replies(client: &LockedClient) -> Outcome {
    let bytes = vec![1; 200_000];
    let calls = (0..40).map(|_| client.begin_echo(&bytes)).collect::<Result<Vec<_>, _>>()?;
    for call in calls {
        assert!(call.wait()? == bytes);
    }
    Ok(())
}

fn handles(client: &LockedClient) -> Outcome {
    let mut file: Handle<File> = File::open("/dev/null")?.into();
    for _ in 0..20 {
        assert!(client.lend(&file)?);
        file = client.pass(file)?;
    }
    Ok(())
}

fn received(client: &LockedClient) -> Outcome {
    let (sender, receiver) = channel()?;
    let sum = client.begin_sum(receiver)?;
    (0..10_000).try_for_each(|number| sender.send(number % 2))?;
    drop(sender);
    assert_eq!(sum.wait()?, 5_000);
    Ok(())
}

fn read_memory(client: &LockedClient) -> Outcome {
    assert_eq!(client.length(SharedMemory::new(&[1; 5000])?)?, 5000);
    Ok(())
}

/// A stop in the middle of a wait with a time: the kernel takes the wait up again by a call of its own.
fn stopped(client: &LockedClient) -> Outcome {
    let pid = Pid::from_raw(client.process()?.cast_signed());
    let rest = client.begin_rest(100)?;
    while !rest.is_ready() {
        // A process that a filter has killed is a zombie for a moment, which may be signalled.
        kill(pid, Signal::SIGSTOP).and_then(|()| kill(pid, Signal::SIGCONT))?;
    }
    Ok(rest.wait()?)
}

fn in_threads(client: &LockedClient) -> Outcome {
    for number in 0..5 {
        assert_eq!(client.in_a_thread(number)?, number + 1);
    }
    Ok(())
}

fn sent_into(client: &LockedClient) -> Outcome {
    let (sender, receiver) = channel()?;
    let counting = thread::spawn(move || receiver.iter().map_while(Result::ok).count());
    assert!(client.count_into(10_000, sender)?);
    assert_eq!(counting.join().map_err(|_| "the thread panicked")?, 10_000);
    Ok(())
}

/// What goes at once in a file of its own, if the child may make one.
fn tried_long(client: &LockedClient) -> Outcome {
    let (sender, _receiver) = channel()?;
    assert!(client.try_long(sender, 200_000)?);
    Ok(())
}

fn made_there(client: &LockedClient) -> Outcome {
    let receiver = client.count(20)?;
    assert_eq!(receiver.iter().map_while(Result::ok).count(), 20);
    Ok(())
}

fn called_back(client: &LockedClient) -> Outcome {
    let (ours, theirs) = Connection::pair()?;
    let adding = thread::spawn(move || AdderServer::new(Plus).serve(ours));
    assert_eq!(client.ask(theirs.into(), 20, 22)?, 42);
    adding.join().map_err(|_| "the thread panicked")??;
    Ok(())
}

fn filled(client: &LockedClient) -> Outcome {
    assert_eq!(&client.fill(SharedMemoryMut::new(6)?, "filled")?[..], b"filled");
    Ok(())
}

fn panicking(client: &LockedClient) -> Outcome {
    for _ in 0..3 {
        ends_with(client.fail("as it should"), "as it should")?;
    }
    Ok(())
}

fn exiting(client: &LockedClient) -> Outcome {
    ends_with(client.exit(7), "exited with status 7")
}

fn terminated(client: &LockedClient) -> Outcome {
    values(client)?;
    client.terminate()?;
    match client.wait_gone(Duration::from_secs(30)) {
        Some(Gone::ShutDown) => Ok(()),
        other => Err(format!("{other:?}").into()),
    }
}

fn aborting(client: &LockedClient) -> Outcome {
    ends_with(client.abort(), "killed by signal 6 (SIGABRT)")
}

fn starving(client: &LockedClient) -> Outcome {
    ends_with(client.starve(), "killed by signal 6 (SIGABRT)")
}

fn ends_with(result: Result<(), impl Error>, end: &str) -> Outcome {
    let text = result.err().map(|error| error.to_string()).unwrap_or_default();
    if text.ends_with(end) { Ok(()) } else { Err(text.into()) }
}

fn numbers<'a>(calls: impl IntoIterator<Item = &'a SystemCall>) -> String {
    calls.into_iter().map(|call| format!("{},", call.number())).collect()
}

impl Prison {
    const fn new(
        name: &'static str,
        lists: &'static [&'static [SystemCall]],
        shapes: &'static [Shape],
    ) -> Self {
        let (rings, listens, terminates, one_heap) = (true, false, false, false);
        Self { name, workers: 1, rings, listens, terminates, one_heap, lists, shapes }
    }

    fn has(&self, list: &[SystemCall]) -> bool {
        EVERY_SERVER.contains(&list) || self.lists.contains(&list)
    }

    fn calls(&self) -> impl Iterator<Item = &'static SystemCall> {
        EVERY_SERVER.iter().chain(self.lists).copied().flatten()
    }

    /// Asks all that is asked of such a child, of one for each shape, without one of its calls.
    fn hold(&self, without: Option<&SystemCall>) -> Outcome {
        self.shapes.iter().try_for_each(|shape| self.ask(shape, without))
    }

    fn ask(&self, (shape, is_there): &Shape, without: Option<&SystemCall>) -> Outcome {
        let kept = |call: &&SystemCall| without.is_none_or(|without| without.name() != call.name());
        let (mut printed, stdout) = UnixStream::pair()?;
        let mut command = test_command();
        command
            .env(ALLOWED, numbers(self.calls().filter(kept)))
            .env(REFUSED, numbers(sandbox::REFUSABLE))
            .env(WORKERS, self.workers.to_string())
            .env_remove("RUST_BACKTRACE")
            .stdout(OwnedFd::from(stdout));
        if self.terminates {
            command.env(TERMINATES, "");
        }
        if self.one_heap {
            command.env("MALLOC_ARENA_MAX", "1");
        }
        let mut limits = Limits::default();
        limits.ring_bytes = if self.rings { 64 << 10 } else { 0 };
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("locked");
        if self.listens {
            command.env(LISTEN, &path);
        }
        // A listener does not see that its spawner has hung up; the others are to end by themselves.
        let grace = if self.listens { Duration::ZERO } else { Duration::from_secs(30) };
        let options = SpawnOptions::new().limits(limits).grace(grace);
        let connection = Connection::spawn_with(&mut command, &options)?;
        // Else this process would have the other end as well.
        drop(command);
        if self.listens {
            return shape(&LockedClient::connect(path)?);
        }
        let client = connection.into();
        shape(&client)?;
        drop(client);
        let mut text = String::new();
        printed.read_to_string(&mut text)?;
        if *is_there && !text.ends_with(SERVED) {
            return Err("the child died when its client hung up".into());
        }
        Ok(())
    }
}

#[test]
fn p51_what_is_on_the_list_is_enough_for_every_shape() {
    if is_locked() {
        return;
    }
    let _watchdog = Watchdog::after(Duration::from_secs(300));
    for prison in &PRISONS {
        prison.hold(None).unwrap_or_else(|error| panic!("{}: {error}", prison.name));
    }
}

/// What no test can show to be needed: `sandbox.md` says why.
const NOT_SEEN: [&str; 3] = ["clock_gettime", "clone", "getcpu"];

#[test]
fn p51_without_any_call_of_the_list_something_fails() {
    if is_locked() {
        return;
    }
    // It starts some hundred children.
    let _watchdog = Watchdog::after(Duration::from_secs(600));
    let mut lists: Vec<_> =
        PRISONS.iter().flat_map(|prison| EVERY_SERVER.iter().chain(prison.lists)).collect();
    lists.sort();
    lists.dedup();
    for list in lists {
        for call in list.iter().filter(|call| !NOT_SEEN.contains(&call.name())) {
            let mut having = PRISONS.iter().filter(|prison| prison.has(list));
            assert!(having.any(|prison| prison.hold(Some(call)).is_err()), "nobody needs {call} of {list:?}");
        }
    }
}
