//! This library: a trait with `#[ipc_service]`, a child that serves it, and a channel for the stream.

use unix_ipc::{Connection, Sender, channel, ipc_service};

use crate::Outcome;
use crate::contender::{Client, Contender, IN_FLIGHT, Samples, expect, sum_of};
use crate::process;
use crate::versions;

pub(crate) const CONTENDER: Contender =
    Contender { name: NAME, version: || versions::path(NAME), start, serve };

const NAME: &str = "unix-ipc";

#[ipc_service]
trait Work {
    fn add(&self, a: i64, b: i64) -> i64;
    fn sum(&self, bytes: &[u8]) -> u64;
    fn stream(&self, count: u64, to: Sender<u64>);
}

struct Worker;

impl Work for Worker {
    fn add(&self, a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }

    fn sum(&self, bytes: &[u8]) -> u64 {
        sum_of(bytes)
    }

    fn stream(&self, count: u64, to: Sender<u64>) {
        // A client that has gone away wants no more of them.
        let _ = (0..count).all(|number| to.send(number).is_ok());
    }
}

struct This(WorkClient);

fn start() -> Outcome<Box<dyn Client>> {
    Ok(Box::new(This(WorkClient::spawn(process::command(NAME, "")?)?)))
}

impl Client for This {
    fn add(&mut self, samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            let sum = self.0.add(1, 2)?;
            samples.end(start);
            expect(sum, 3)?;
        }
        Ok(())
    }

    fn in_flight(&mut self, samples: &mut Samples) -> Outcome {
        let mut pending = Vec::with_capacity(IN_FLIGHT);
        while let Some(start) = samples.begin() {
            for _ in 0..IN_FLIGHT {
                pending.push(self.0.begin_add(1, 2)?);
            }
            pending.drain(..).try_for_each(|call| expect(call.wait()?, 3))?;
            samples.end(start);
        }
        Ok(())
    }

    fn sum(&mut self, bytes: &[u8], samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            let sum = self.0.sum(bytes)?;
            samples.end(start);
            expect(sum, sum_of(bytes))?;
        }
        Ok(())
    }

    fn stream(&mut self, count: u64, samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            let (sender, receiver) = channel()?;
            let sending = self.0.begin_stream(count, sender)?;
            (0..count).try_for_each(|number| expect(receiver.recv()?, number))?;
            sending.wait()?;
            samples.end(start);
        }
        Ok(())
    }
}

fn serve(_: &str) -> Outcome {
    let connection = Connection::inherited()?.ok_or("nobody to serve")?;
    Ok(WorkServer::new(Worker).serve(connection)?)
}
