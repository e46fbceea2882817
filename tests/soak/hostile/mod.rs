//! Lies, in every way there is: over the socket and in the memory that both ends have in common, told to a server, to a
//! listener, to a client that waits for replies, and to both ends of a plain channel.
//!
//! The victim is a process of its own. It may end no connection but the liar's, and holds afterwards what it held before.

mod forgery;
mod liar;
mod lies;
mod memory;
mod values;
mod victim;
#[path = "../../hostile_connection/wire.rs"]
mod wire;

use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::socket::{
    AddressFamily, Shutdown, SockFlag, SockType, UnixAddr, connect, shutdown, socket, socketpair,
};

use unix_ipc::{CallError, Pending};

use crate::settings::{self, BOUND};
use crate::util::{Holdings, Watchdog, wait_until};
use liar::{Counts, Files, Liar, Role};
use victim::{Process, Usage, VictimClient};
use wire::VaultClient;

/// Who is lied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Server,
    ServerWithWorkers,
    Listener,
    Client,
    Receiver,
    Sender,
}

impl Target {
    const ALL: [Self; 6] =
        [Self::Server, Self::ServerWithWorkers, Self::Listener, Self::Client, Self::Receiver, Self::Sender];

    fn role(self) -> Role {
        match self {
            Self::Server | Self::ServerWithWorkers | Self::Listener => Role::Client,
            Self::Client => Role::Server,
            Self::Receiver => Role::Sender,
            Self::Sender => Role::Receiver,
        }
    }
}

/// Names what failed, so that it can be had again.
struct Named(Target, u64);

impl Drop for Named {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("it was a {:?}: SOAK_CONNECTION={} repeats what was said to it", self.0, self.1);
        }
    }
}

/// The victim, and what it held before anybody lied.
struct Den {
    victim: VictimClient,
    before: Usage,
    resident: u64,
    path: PathBuf,
    /// Of the listener.
    honest: VaultClient,
    /// The longest that an honest client has waited beside a liar.
    longest: Cell<Duration>,
    files: Files,
    _process: Process,
    _directory: tempfile::TempDir,
}

impl Den {
    fn open() -> Self {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let (process, victim) = Process::start(&directory.path().join("control"));
        let path = directory.path().join("den");
        victim.listen(&path).expect("nothing is there");
        let honest = VaultClient::connect(&path).expect("it listens");
        for number in 0..30 {
            assert_eq!(honest.double(number).expect("it serves"), victim::doubled(number));
            victim.usage().expect("it is there");
        }
        let files = Files::open().expect("there is room for descriptors");
        let before = victim.usage().expect("it is there");
        let (resident, _) = victim.memory().expect("it is there");
        Self {
            victim,
            before,
            resident,
            path,
            honest,
            longest: Cell::default(),
            files,
            _process: process,
            _directory: directory,
        }
    }

    /// One connection, in which something is said that depends on the seed alone.
    fn lie_to(&self, target: Target, seed: u64, counts: &mut Counts) -> Heard {
        let _named = Named(target, seed);
        if target == Target::Listener {
            return self.lie_beside_an_honest_client(seed, counts);
        }
        let flags = SockFlag::SOCK_CLOEXEC;
        let (end, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).expect("a pair");
        let (liar, theirs) = (Liar::new(target.role(), seed, end, &self.files, counts), theirs.into());
        let victim = &self.victim;
        match target {
            Target::Client => beside(liar, victim.begin_call(theirs)),
            Target::Receiver => beside(liar, victim.begin_receive(theirs)),
            Target::Sender => beside(liar, victim.begin_send(theirs)),
            Target::Server | Target::ServerWithWorkers | Target::Listener => {
                let workers = if target == Target::Server { 1 } else { 3 };
                let serving = victim.begin_serve(theirs, workers).expect("the victim is there");
                let heard = talk(liar);
                match serving.wait_timeout(BOUND) {
                    Ok(()) | Err(CallError::Service(_)) => heard,
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
    }

    /// Lies to a server that has another client, whose calls are answered all the time.
    fn lie_beside_an_honest_client(&self, seed: u64, counts: &mut Counts) -> Heard {
        let end = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None);
        let end = end.expect("there is room for a socket");
        let address = UnixAddr::new(&self.path).expect("a short path");
        connect(end.as_raw_fd(), &address).expect("it listens");
        let (over, client) = (AtomicBool::new(false), &self.honest);
        thread::scope(|scope| {
            let over = &over;
            let honest = scope.spawn(move || {
                let mut longest = Duration::ZERO;
                while !over.load(Ordering::Relaxed) {
                    let start = Instant::now();
                    let doubled = client.double(seed).expect("the others are served");
                    assert_eq!(doubled, victim::doubled(seed));
                    longest = longest.max(start.elapsed());
                }
                longest
            });
            let heard = talk(Liar::new(Role::Client, seed, end, &self.files, counts));
            over.store(true, Ordering::Relaxed);
            let longest = honest.join().expect("an honest client has its answers");
            self.longest.set(self.longest.get().max(longest));
            heard
        })
    }

    /// The victim holds what it held, and has not had more than its limits allow.
    fn assert_restored(&self) -> u64 {
        let restored = wait_until(BOUND, || self.victim.usage().expect("it is there") == self.before);
        assert!(restored, "before: {:?}, after: {:?}", self.before, self.victim.usage());
        assert_eq!(self.honest.double(4).expect("it serves"), 8);
        let (_, peak) = self.victim.memory().expect("it is there");
        let bound = self.resident + victim::bytes_of_a_peer() + SLACK;
        assert!(peak <= bound, "{peak} bytes, where {bound} are allowed");
        peak
    }
}

/// What an allocator keeps, threads come with, and a handler has in its hands.
const SLACK: u64 = 16 << 20;

/// How many messages there were, and how many replies, values or answered calls came of them.
#[derive(Clone, Copy, Default)]
struct Heard {
    said: u64,
    answered: u64,
}

/// Talks while the victim does something that ends when the liar has hung up.
fn beside(liar: Liar<'_>, begun: Result<Pending<u64>, CallError>) -> Heard {
    let pending = begun.expect("the victim is there");
    let heard = talk(liar);
    let answered = pending.wait_timeout(BOUND).expect("whoever waits has an answer, or an error");
    Heard { answered, ..heard }
}

/// Says one thing after another, until the victim has hung up or has heard enough.
fn talk(mut liar: Liar<'_>) -> Heard {
    let before: u64 = liar.counts.values().sum();
    lies::introduce(&mut liar);
    // Until then nothing is so wrong that the connection has to end: what comes later is told to one in full use.
    let grave_from = liar.rng.u32(..300);
    if liar.role == Role::Receiver {
        await_a_lane(&mut liar);
    }
    for number in 0..grave_from + 100 {
        if !liar.is_heard || liar.role == Role::Receiver && liar.memory.is_none() {
            break;
        }
        if liar.role == Role::Server && liar.calls.is_empty() {
            liar.wait(Duration::from_micros(200));
        }
        lies::tell(&mut liar, number >= grave_from);
        if number % 4 == 0 {
            liar.listen();
        }
    }
    // Sometimes it hangs up by halves, and what the victim says is read to its end.
    if liar.rng.u8(..4) == 0 {
        let _ = shutdown(liar.bare.0.as_raw_fd(), Shutdown::Write);
        liar.wait(Duration::from_millis(1));
    }
    Heard { said: liar.counts.values().sum::<u64>() - before, answered: liar.replies }
}

/// A victim that sends much offers a lane, which is not always taken.
fn await_a_lane(liar: &mut Liar<'_>) {
    for _ in 0..50 {
        if liar.memory.is_some() || !liar.is_heard {
            return;
        }
        liar.wait(Duration::from_millis(1));
    }
}

#[test]
fn lies_of_every_kind_end_at_most_the_connection_they_are_told_on() {
    if victim::is_victim() || !settings::alone() {
        return;
    }
    let messages = settings::number("SOAK_MESSAGES", 20_000);
    let seed = settings::seed();
    let only = settings::number("SOAK_CONNECTION", 0);
    eprintln!("seed {seed}");
    let _watchdog = Watchdog::after(BOUND + Duration::from_millis(20 * messages));
    let before = Holdings::with_mappings();
    let den = Den::open();
    let mut rng = Rng::with_seed(seed);
    let mut heard = [Heard::default(); Target::ALL.len()];
    let (mut counts, mut connections, mut peak) = (Counts::new(), 0_u64, 0);
    while heard.iter().map(|heard| heard.said).sum::<u64>() < messages {
        for (target, heard) in Target::ALL.into_iter().zip(&mut heard) {
            // Nothing can be said to one that sends but through a lane.
            if target == Target::Sender && cfg!(unix_ipc_without_rings) {
                continue;
            }
            // Each has as many as the others.
            let share = heard.said + 2000.min(messages / Target::ALL.len() as u64 + 1);
            while heard.said < share {
                let seed = if only > 0 { only } else { rng.u64(..) };
                let Heard { said, answered } = den.lie_to(target, seed, &mut counts);
                heard.said += said.max(1);
                heard.answered += answered;
                connections += 1;
            }
            peak = den.assert_restored();
        }
    }
    let usage = den.victim.usage().expect("it is there");
    let (resident, longest) = (den.resident, den.longest.get());
    drop(den);
    before.assert_restored();
    eprintln!("{connections} hostile connections, seed {seed}");
    for (target, Heard { said, answered }) in Target::ALL.into_iter().zip(heard) {
        eprintln!("  {said:8} messages to a {target:?}, {answered} answered");
        assert!(answered > 0 || said == 0 || only > 0, "nothing that is right gets through");
    }
    counts.iter().for_each(|(kind, count)| eprintln!("  {count:8} × {kind}"));
    eprintln!("  an honest client beside them waited {longest:.1?} at most");
    eprintln!(
        "  the victim has {usage:?}, had {} KiB at first and {} KiB at most",
        resident >> 10,
        peak >> 10
    );
}
