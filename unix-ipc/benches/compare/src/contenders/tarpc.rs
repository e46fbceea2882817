//! tarpc: a trait with `#[tarpc::service]`, over its transport for Unix sockets and with bincode.
//!
//! Both sides run on one thread each, because each has one core. It has no streams.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use futures::future::try_join_all;
use futures::prelude::*;
use tarpc::client;
use tarpc::context::{self, Context};
use tarpc::serde_transport::unix;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tokio::runtime::{Builder, Runtime};

use crate::Outcome;
use crate::contender::{Client, Contender, IN_FLIGHT, Samples, expect, sum_of};
use crate::process::{self, Server};
use crate::versions;

pub(crate) const CONTENDER: Contender =
    Contender { name: NAME, version: || versions::registry(NAME), start, serve };

const NAME: &str = "tarpc";

#[tarpc::service]
trait Work {
    async fn add(a: i64, b: i64) -> i64;
    async fn sum(bytes: Vec<u8>) -> u64;
}

#[derive(Clone)]
struct Worker;

impl Work for Worker {
    async fn add(self, _: Context, a: i64, b: i64) -> i64 {
        a.wrapping_add(b)
    }

    async fn sum(self, _: Context, bytes: Vec<u8>) -> u64 {
        sum_of(&bytes)
    }
}

/// The fields are dropped in this order: the connection ends with the runtime, which is what the server waits for.
struct Tarpc {
    client: WorkClient,
    runtime: Runtime,
    _server: Server,
}

fn start() -> Outcome<Box<dyn Client>> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path)?;
    let server = Server::start(NAME, "", OwnedFd::from(listener))?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let client = runtime.block_on(async {
        let transport = unix::connect(&path, Bincode::default).await?;
        Outcome::Ok(WorkClient::new(client::Config::default(), transport).spawn())
    })?;
    Ok(Box::new(Tarpc { client, runtime, _server: server }))
}

impl Client for Tarpc {
    fn add(&mut self, samples: &mut Samples) -> Outcome {
        self.runtime.block_on(async {
            while let Some(start) = samples.begin() {
                let sum = self.client.add(context::current(), 1, 2).await?;
                samples.end(start);
                expect(sum, 3)?;
            }
            Ok(())
        })
    }

    fn in_flight(&mut self, samples: &mut Samples) -> Outcome {
        self.runtime.block_on(async {
            while let Some(start) = samples.begin() {
                let calls = (0..IN_FLIGHT).map(|_| self.client.add(context::current(), 1, 2));
                let sums = try_join_all(calls).await?;
                samples.end(start);
                expect(sums, vec![3; IN_FLIGHT])?;
            }
            Ok(())
        })
    }

    fn sum(&mut self, bytes: &[u8], samples: &mut Samples) -> Outcome {
        self.runtime.block_on(async {
            loop {
                let owned = bytes.to_vec();
                let Some(start) = samples.begin() else { return Ok(()) };
                let sum = self.client.sum(context::current(), owned).await?;
                samples.end(start);
                expect(sum, sum_of(bytes))?;
            }
        })
    }
}

fn serve(_: &str) -> Outcome {
    let listener = UnixListener::from(process::given()?);
    listener.set_nonblocking(true)?;
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let mut incoming = unix::listen_on(listener, Bincode::default).await?;
        let transport = incoming.next().await.ok_or("nobody to serve")??;
        let handle = |response| async {
            tokio::spawn(response);
        };
        BaseChannel::with_defaults(transport).execute(Worker.serve()).for_each(handle).await;
        Ok(())
    })
}
