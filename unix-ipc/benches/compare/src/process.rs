//! The server's process, and the core that each of the two runs on.

use std::env;
use std::io::{self, stdin};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::Outcome;

pub(crate) const CLIENT_CORE: usize = 0;
pub(crate) const SERVER_CORE: usize = 1;

/// How long a server may take to see that its client is gone.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs this thread, and those it starts, on one core.
pub(crate) fn pin(core: usize) -> Outcome {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &cores)
        .map_err(|error| format!("this process cannot run on core {core}, and two are needed: {error}"))?;
    Ok(())
}

/// This program as the server of a library, which is given an address of the library's kind, or none.
pub(crate) fn command(name: &str, address: &str) -> io::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["serve", name, address]);
    Ok(command)
}

/// A server's process. It ends by itself when its client is gone, and is ended here when it does not.
pub(crate) struct Server(Child);

impl Server {
    /// Starts one that is given a descriptor as its standard input.
    pub(crate) fn start(name: &str, address: &str, stdin: impl Into<Stdio>) -> io::Result<Self> {
        Ok(Self(command(name, address)?.stdin(stdin).spawn()?))
    }

    /// An error when the server is gone: for clients whose library does not say so.
    pub(crate) fn check(&mut self) -> Outcome {
        match self.0.try_wait()? {
            Some(status) => Err(format!("the server ended: {status}").into()),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let start = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) {
            if start.elapsed() > PATIENCE {
                eprintln!("a server did not end by itself");
                let _ = self.0.kill();
                let _ = self.0.wait();
                return;
            }
            thread::park_timeout(Duration::from_micros(200));
        }
    }
}

/// What [`Server::start`] gave to this process.
pub(crate) fn given() -> io::Result<OwnedFd> {
    stdin().as_fd().try_clone_to_owned()
}
