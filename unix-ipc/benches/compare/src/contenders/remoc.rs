//! remoc: a trait with `#[rtc::remote]` over a Unix socket, and for the stream a channel that is part of the call.
//!
//! Both sides run on one thread each, because each has one core. The bytes are `Bytes`, as the documentation of its
//! codecs recommends.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::try_join_all;
use remoc::prelude::*;
use remoc::rtc::CallError;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::runtime::{Builder, Runtime};

use crate::Outcome;
use crate::contender::{self, Contender, IN_FLIGHT, Samples, expect, sum_of};
use crate::process::{self, Server};
use crate::versions;

pub(crate) const CONTENDER: Contender =
    Contender { name: NAME, version: || versions::registry(NAME), start, serve };

const NAME: &str = "remoc";

#[rtc::remote]
trait Work {
    async fn add(&self, a: i64, b: i64) -> Result<i64, CallError>;
    async fn sum(&self, bytes: Bytes) -> Result<u64, CallError>;
    async fn stream(&self, count: u64, to: rch::mpsc::Sender<u64>) -> Result<(), CallError>;
}

struct Worker;

impl Work for Worker {
    async fn add(&self, a: i64, b: i64) -> Result<i64, CallError> {
        Ok(a.wrapping_add(b))
    }

    async fn sum(&self, bytes: Bytes) -> Result<u64, CallError> {
        Ok(sum_of(&bytes))
    }

    async fn stream(&self, count: u64, to: rch::mpsc::Sender<u64>) -> Result<(), CallError> {
        for number in 0..count {
            if to.send(number).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// The fields are dropped in this order: the connection ends with the runtime, which is what the server waits for.
struct Remoc {
    client: WorkClient,
    runtime: Runtime,
    _server: Server,
}

fn start() -> Outcome<Box<dyn contender::Client>> {
    let (ours, theirs) = UnixStream::pair()?;
    let server = Server::start(NAME, "", OwnedFd::from(theirs))?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(async {
        let (read, write) = halves(ours)?;
        Outcome::Ok(remoc::Connect::io(remoc::Cfg::default(), read, write).consume().await?)
    })?;
    Ok(Box::new(Remoc { client, runtime, _server: server }))
}

fn halves(socket: UnixStream) -> Outcome<(OwnedReadHalf, OwnedWriteHalf)> {
    socket.set_nonblocking(true)?;
    Ok(tokio::net::UnixStream::from_std(socket)?.into_split())
}

impl contender::Client for Remoc {
    fn add(&mut self, samples: &mut Samples) -> Outcome {
        self.runtime.block_on(async {
            while let Some(start) = samples.begin() {
                let sum = self.client.add(1, 2).await?;
                samples.end(start);
                expect(sum, 3)?;
            }
            Ok(())
        })
    }

    fn in_flight(&mut self, samples: &mut Samples) -> Outcome {
        self.runtime.block_on(async {
            while let Some(start) = samples.begin() {
                let sums = try_join_all((0..IN_FLIGHT).map(|_| self.client.add(1, 2))).await?;
                samples.end(start);
                expect(sums, vec![3; IN_FLIGHT])?;
            }
            Ok(())
        })
    }

    fn sum(&mut self, bytes: &[u8], samples: &mut Samples) -> Outcome {
        let owned = Bytes::copy_from_slice(bytes);
        self.runtime.block_on(async {
            while let Some(start) = samples.begin() {
                let sum = self.client.sum(owned.clone()).await?;
                samples.end(start);
                expect(sum, sum_of(bytes))?;
            }
            Ok(())
        })
    }

    fn stream(&mut self, count: u64, samples: &mut Samples) -> Outcome {
        self.runtime.block_on(async {
            while let Some(start) = samples.begin() {
                let (sender, receiver) = rch::mpsc::channel();
                let (called, received) =
                    tokio::join!(self.client.stream(count, sender), receive(count, receiver));
                samples.end(start);
                called?;
                received?;
            }
            Ok(())
        })
    }
}

async fn receive(count: u64, mut receiver: rch::mpsc::Receiver<u64>) -> Outcome {
    for number in 0..count {
        expect(receiver.recv().await?, Some(number))?;
    }
    Ok(())
}

fn serve(_: &str) -> Outcome {
    let socket = UnixStream::from(process::given()?);
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let (read, write) = halves(socket)?;
        let (server, client) = WorkServerShared::<_, remoc::codec::Default>::new(Arc::new(Worker));
        remoc::Connect::io(remoc::Cfg::default(), read, write).provide(client).await?;
        server.serve().await?;
        Ok(())
    })
}
