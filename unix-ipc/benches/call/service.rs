//! The service that is measured.

use std::env;
use std::error::Error;
use std::fs::File;
use std::io;
use std::process::Command;

use unix_ipc::{Connection, Handle, Limits, Sender, SpawnOptions, channel, ipc_service};

use crate::measure::{Placement, pin};

/// Says on which core the child runs.
const CORE: &str = "UNIX_IPC_BENCH_CORE";
/// Says how many threads serve.
const WORKERS: &str = "UNIX_IPC_BENCH_WORKERS";

#[ipc_service]
pub(crate) trait Bench {
    fn add(&self, a: i64, b: i64) -> i64;
    fn sum(&self, bytes: &[u8]) -> u64;
    fn fill(&self, len: u64) -> Vec<u8>;
    fn take(&self, file: Handle<File>);
    #[oneway]
    fn note(&self, number: u64);
    /// Numbers from a sender of this process.
    fn stream(&self, count: u64, to: Sender<u64>);
    /// Processor time of this process, in nanoseconds.
    fn cpu(&self) -> u64;
}

struct Worker;

impl Bench for Worker {
    fn add(&self, a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }

    fn sum(&self, bytes: &[u8]) -> u64 {
        sum(bytes)
    }

    fn fill(&self, len: u64) -> Vec<u8> {
        vec![1; len as usize]
    }

    fn take(&self, _: Handle<File>) {}

    fn note(&self, _: u64) {}

    fn stream(&self, count: u64, to: Sender<u64>) {
        (0..count).all(|number| to.send(number).is_ok());
    }

    fn cpu(&self) -> u64 {
        crate::measure::cpu()
    }
}

/// What both sides of a row do with bytes: it reads them all.
pub(crate) fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let words = words.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_le_bytes(*word)));
    rest.iter().fold(words, |sum, byte| sum.wrapping_add(u64::from(*byte)))
}

/// True in a child, when it has served.
pub(crate) fn serve() -> Result<bool, Box<dyn Error>> {
    let Some(connection) = Connection::inherited()? else { return Ok(false) };
    if let Ok(core) = env::var(CORE) {
        pin(core.parse()?);
    }
    let server = BenchServer::new(Worker);
    match env::var(WORKERS) {
        Ok(workers) => server.workers(workers.parse()?).serve(connection)?,
        Err(_) => BenchServer::new(Worker).serve(connection)?,
    }
    Ok(true)
}

/// A child, on its core.
pub(crate) fn spawn(placement: Placement) -> Result<BenchClient, Box<dyn Error>> {
    spawn_with(placement, 1, Limits::default())
}

pub(crate) fn spawn_with(
    placement: Placement,
    workers: usize,
    limits: Limits,
) -> Result<BenchClient, Box<dyn Error>> {
    let options = SpawnOptions::new().limits(limits);
    Ok(BenchClient::new(Connection::spawn_with(command(placement, workers)?, &options)?))
}

pub(crate) fn command(placement: Placement, workers: usize) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    if let Some(core) = placement.servers() {
        command.env(CORE, core.to_string());
    }
    if workers > 1 {
        command.env(WORKERS, workers.to_string());
    }
    Ok(command)
}

/// So many numbers through a channel from the child.
pub(crate) fn receive_stream(client: &BenchClient, count: u64) -> Result<(), Box<dyn Error>> {
    let (sender, receiver) = channel()?;
    let sending = client.begin_stream(count, sender)?;
    let mut next = 0;
    while next < count {
        assert_eq!(receiver.recv()?, next);
        next += 1;
    }
    Ok(sending.wait()?)
}
