//! Lies, in every way there is: over the socket and in the memory that both ends have in common, told to a server, to a
//! listener, to a client that waits for replies, and to both ends of a plain channel.
//!
//! The victim is a process of its own. It may end no connection but the liar's, and holds afterwards what it held before.

mod liar;
mod lies;
mod memory;
mod values;
mod victim;
#[path = "../../hostile_connection/wire.rs"]
mod wire;

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use nix::sys::socket::{
    AddressFamily, Shutdown, SockFlag, SockType, UnixAddr, connect, shutdown, socket, socketpair,
};

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
        Self { victim, before, resident, path, honest, files, _process: process, _directory: directory }
    }

    /// One connection, in which something is said that depends on the seed alone.
    fn lie_to(&self, target: Target, seed: u64, counts: &mut Counts) -> u64 {
        let _named = Named(target, seed);
        if target == Target::Listener {
            let end = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None);
            let end = end.expect("there is room for a socket");
            let address = UnixAddr::new(&self.path).expect("a short path");
            connect(end.as_raw_fd(), &address).expect("it listens");
            let said = talk(Liar::new(target.role(), seed, end, &self.files, counts));
            assert_eq!(self.honest.double(seed).expect("the others are served"), victim::doubled(seed));
            return said;
        }
        let flags = SockFlag::SOCK_CLOEXEC;
        let (end, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).expect("a pair");
        let theirs = theirs.into();
        let start = Instant::now();
        let said = match target {
            Target::Server | Target::ServerWithWorkers => {
                let workers = if target == Target::Server { 1 } else { 3 };
                let serving = self.victim.begin_serve(theirs, workers).expect("the victim is there");
                let said = talk(Liar::new(target.role(), seed, end, &self.files, counts));
                let _named_by_the_victim: Result<(), String> = match serving.wait_timeout(BOUND) {
                    Err(unix_ipc::CallError::Service(lie)) => Err(lie),
                    ended => ended.map_err(|error| panic!("{error:?}")),
                };
                said
            }
            Target::Client => self.talk_beside(end, target, seed, counts, |victim| victim.begin_call(theirs)),
            Target::Receiver => {
                self.talk_beside(end, target, seed, counts, |victim| victim.begin_receive(theirs))
            }
            Target::Sender => self.talk_beside(end, target, seed, counts, |victim| victim.begin_send(theirs)),
            Target::Listener => unreachable!("has a socket of its own"),
        };
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
        said
    }

    /// Talks while the victim does something that ends when the liar has hung up.
    fn talk_beside(
        &self,
        end: OwnedFd,
        target: Target,
        seed: u64,
        counts: &mut Counts,
        begin: impl FnOnce(&VictimClient) -> Result<unix_ipc::Pending<u64>, unix_ipc::CallError>,
    ) -> u64 {
        let pending = begin(&self.victim).expect("the victim is there");
        let said = talk(Liar::new(target.role(), seed, end, &self.files, counts));
        pending.wait_timeout(BOUND).expect("whoever waits has an answer, or an error");
        said
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

/// Says one thing after another, until the victim has hung up or has heard enough: how many there were.
fn talk(mut liar: Liar<'_>) -> u64 {
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
    liar.counts.values().sum::<u64>() - before
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
    let before = Holdings::now();
    let den = Den::open();
    let mut rng = Rng::with_seed(seed);
    let (mut said, mut connections, mut peak) = ([0; Target::ALL.len()], 0_u64, 0);
    let mut counts = Counts::new();
    while said.iter().sum::<u64>() < messages {
        for (target, said) in Target::ALL.into_iter().zip(&mut said) {
            // Each has as many as the others.
            let share = *said + 2000.min(messages / Target::ALL.len() as u64 + 1);
            while *said < share {
                let seed = if only > 0 { only } else { rng.u64(..) };
                *said += den.lie_to(target, seed, &mut counts).max(1);
                connections += 1;
            }
            peak = den.assert_restored();
        }
    }
    let usage = den.victim.usage().expect("it is there");
    let resident = den.resident;
    drop(den);
    before.assert_restored();
    let sum: u64 = said.iter().sum();
    eprintln!("{sum} messages in {connections} connections, seed {seed}");
    Target::ALL.iter().zip(said).for_each(|(target, said)| eprintln!("  {said:8} to a {target:?}"));
    counts.iter().for_each(|(kind, count)| eprintln!("  {count:8} × {kind}"));
    eprintln!(
        "  the victim has {usage:?}, had {} KiB at first and {} KiB at most",
        resident >> 10,
        peak >> 10
    );
}
