//! A generated call against its floor: a ping-pong of the same size written by hand over the same kind of socket,
//! between two processes, with neither side spinning.
//!
//!     cargo bench --bench call
//!
//! Where two processes run decides more than what they do, so each figure names its placement. The ratio is taken
//! in rounds that alternate between the two, because the machine's speed drifts; the median of the rounds counts.

use std::env;
use std::error::Error;
use std::hint::black_box;
use std::io::{self, stdin};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use criterion::Criterion;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::unistd::Pid;
use unix_ipc::{Connection, ipc_service};

/// Says that this process is the other end of the floor, and on which core it runs.
const FLOOR: &str = "UNIX_IPC_BENCH_FLOOR";
/// Says on which core a child runs.
const CORE: &str = "UNIX_IPC_BENCH_CORE";
/// The bytes of a packet of the floor, each way: those of `add` and its header.
const PACKET: usize = 40;
const ROUNDS: usize = 101;
const CALLS: u32 = 500;

#[ipc_service]
trait Adder {
    fn add(&self, a: i64, b: i64) -> i64;
}

struct Sum;

impl Adder for Sum {
    fn add(&self, a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if env::var_os(FLOOR).is_some() {
        return answer_floor();
    }
    if let Some(connection) = Connection::inherited()? {
        pin_to_named_core()?;
        return Ok(AdderServer::new(Sum).serve(connection)?);
    }

    let mut criterion = Criterion::default().configure_from_args();
    for (placement, core) in [("one core", 0), ("a core each", 1)] {
        pin(0)?;
        let client = AdderClient::spawn(command(core)?)?;
        let mut floor = Floor::start(core)?;
        let mut group = criterion.benchmark_group(format!("call, {placement}"));
        group.bench_function("floor", |bencher| bencher.iter(|| floor.ping()));
        group.bench_function("add", |bencher| bencher.iter(|| client.add(black_box(1), 2)));
        group.finish();
        compare(placement, &client, &mut floor)?;
    }
    criterion.final_summary();
    Ok(())
}

/// The ratio of the two, round by round.
fn compare(placement: &str, client: &AdderClient, floor: &mut Floor) -> Result<(), Box<dyn Error>> {
    let mut rounds = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..CALLS {
            floor.ping()?;
        }
        let middle = Instant::now();
        for _ in 0..CALLS {
            black_box(client.add(black_box(1), 2)?);
        }
        rounds.push((middle - start, middle.elapsed()));
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let microseconds = |time: &Duration| time.as_secs_f64() * 1e6 / f64::from(CALLS);
    let floor = median(rounds.iter().map(|(floor, _)| microseconds(floor)).collect());
    let call = median(rounds.iter().map(|(_, call)| microseconds(call)).collect());
    let ratio = median(rounds.iter().map(|(floor, call)| call.as_secs_f64() / floor.as_secs_f64()).collect());
    println!(
        "{placement}: floor {floor:.2} µs, add {call:.2} µs, ratio {ratio:.3} (medians of {ROUNDS} rounds)"
    );
    Ok(())
}

fn command(core: usize) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.env(CORE, core.to_string());
    Ok(command)
}

fn pin(core: usize) -> Result<(), Box<dyn Error>> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    // A machine with one core has one placement.
    match sched_setaffinity(Pid::from_raw(0), &cores) {
        Ok(()) | Err(nix::errno::Errno::EINVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn pin_to_named_core() -> Result<(), Box<dyn Error>> {
    pin(env::var(CORE)?.parse()?)
}

/// A process that sends back what it receives.
struct Floor {
    socket: Option<OwnedFd>,
    child: Child,
}

impl Floor {
    fn start(core: usize) -> Result<Self, Box<dyn Error>> {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        let child = command(core)?.env(FLOOR, "1").stdin(theirs).spawn()?;
        let mut floor = Self { socket: Some(ours), child };
        floor.ping()?;
        Ok(floor)
    }

    fn ping(&mut self) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let mut packet = [1; PACKET];
        send(socket.as_raw_fd(), black_box(&packet), MsgFlags::MSG_NOSIGNAL)?;
        recv(socket.as_raw_fd(), &mut packet, MsgFlags::empty())?;
        black_box(packet);
        Ok(())
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.socket = None;
        let _ = self.child.wait();
    }
}

fn answer_floor() -> Result<(), Box<dyn Error>> {
    pin_to_named_core()?;
    let socket = stdin().as_fd().as_raw_fd();
    let mut packet = [0; PACKET];
    while recv(socket, &mut packet, MsgFlags::empty())? > 0 {
        send(socket, &packet, MsgFlags::MSG_NOSIGNAL)?;
    }
    Ok(())
}
