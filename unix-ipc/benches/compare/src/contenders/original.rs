//! The original unix-ipc: a `Bootstrapper`, tasks, and in each task the sender of a channel for its result, as in the
//! example on its page.

use std::process::Stdio;

use original_unix_ipc::{Bootstrapper, Receiver, Sender, channel};
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::contender::{Client, Contender, IN_FLIGHT, Samples, expect, sum_of};
use crate::process::Server;
use crate::versions;

pub(crate) const CONTENDER: Contender =
    Contender { name: NAME, version: || versions::registry("unix-ipc"), start, serve };

const NAME: &str = "original unix-ipc";

#[derive(Serialize, Deserialize)]
enum Task {
    Add(i64, i64, Sender<i64>),
    Sum(Vec<u8>, Sender<u64>),
    Stream(u64, Sender<u64>),
    Shutdown,
}

struct Original {
    bootstrapper: Bootstrapper<Task>,
    _server: Server,
}

fn start() -> Outcome<Box<dyn Client>> {
    let bootstrapper = Bootstrapper::new()?;
    let path = bootstrapper.path().to_str().ok_or("a path that is no text")?;
    let server = Server::start(NAME, path, Stdio::null())?;
    Ok(Box::new(Original { bootstrapper, _server: server }))
}

impl Client for Original {
    fn add(&mut self, samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            let (sender, receiver) = channel()?;
            self.bootstrapper.send(Task::Add(1, 2, sender))?;
            let sum = receiver.recv()?;
            samples.end(start);
            expect(sum, 3)?;
        }
        Ok(())
    }

    fn in_flight(&mut self, samples: &mut Samples) -> Outcome {
        let mut pending = Vec::with_capacity(IN_FLIGHT);
        while let Some(start) = samples.begin() {
            for _ in 0..IN_FLIGHT {
                let (sender, receiver) = channel()?;
                self.bootstrapper.send(Task::Add(1, 2, sender))?;
                pending.push(receiver);
            }
            pending.drain(..).try_for_each(|receiver| expect(receiver.recv()?, 3))?;
            samples.end(start);
        }
        Ok(())
    }

    fn sum(&mut self, bytes: &[u8], samples: &mut Samples) -> Outcome {
        loop {
            let owned = bytes.to_vec();
            let Some(start) = samples.begin() else { return Ok(()) };
            let (sender, receiver) = channel()?;
            self.bootstrapper.send(Task::Sum(owned, sender))?;
            let sum = receiver.recv()?;
            samples.end(start);
            expect(sum, sum_of(bytes))?;
        }
    }

    fn stream(&mut self, count: u64, samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            let (sender, receiver) = channel()?;
            self.bootstrapper.send(Task::Stream(count, sender))?;
            (0..count).try_for_each(|number| expect(receiver.recv()?, number))?;
            samples.end(start);
        }
        Ok(())
    }
}

impl Drop for Original {
    fn drop(&mut self) {
        // A server that is gone already needs no message.
        let _ = self.bootstrapper.send(Task::Shutdown);
    }
}

fn serve(path: &str) -> Outcome {
    let receiver = Receiver::<Task>::connect(path)?;
    loop {
        match receiver.recv()? {
            Task::Add(a, b, to) => to.send(a.wrapping_add(b))?,
            Task::Sum(bytes, to) => to.send(sum_of(&bytes))?,
            Task::Stream(count, to) => (0..count).try_for_each(|number| to.send(number))?,
            Task::Shutdown => return Ok(()),
        }
    }
}
