//! The service of the child at the other end, and a child that only knows a path.

use std::path::Path;
use std::process::{self, Child};
use std::{env, fs};

use serde::{Deserialize, Serialize};
use unix_ipc::{Bootstrapper, Connection, Limits, Receiver, SpawnOptions, ipc_service, test_command};

use crate::stream::{Sink, Source, Stream};

#[ipc_service]
pub(crate) trait Yard {
    fn process(&self) -> u32;
    fn send(&self, source: Source, stream: Stream);
    fn receive(&self, sink: Sink, stream: Stream);
    /// The mappings of memory that lanes are in.
    fn mappings(&self) -> usize;
}

pub(crate) struct Worker;

impl Yard for Worker {
    fn process(&self) -> u32 {
        process::id()
    }

    fn send(&self, source: Source, stream: Stream) {
        source.send(stream);
    }

    fn receive(&self, sink: Sink, stream: Stream) {
        sink.receive(stream);
    }

    fn mappings(&self) -> usize {
        mappings()
    }
}

/// The mappings of this process that are shared memory of the library's.
pub(crate) fn mappings() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").expect("there is a list");
    maps.lines().filter(|line| line.contains("memfd:unix-ipc")).count()
}

/// True in a child of either kind, when it has served.
pub(crate) fn serve_in_child() -> bool {
    if let Some(path) = env::var_os(PATH) {
        Receiver::<Order>::connect(path).unwrap().into_iter().for_each(|order| match order.unwrap() {
            Order::Send(source, stream) => source.send(stream),
            Order::Receive(sink, stream) => sink.receive(stream),
        });
        return true;
    }
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    YardServer::new(Worker).workers(4).serve(connection).expect("the test keeps to the protocol");
    true
}

pub(crate) fn yard() -> YardClient {
    YardClient::spawn(test_command()).expect("the test runs as a child")
}

pub(crate) fn yard_without_lanes() -> YardClient {
    let mut limits = Limits::default();
    limits.ring_bytes = 0;
    let options = SpawnOptions::new().limits(limits);
    YardClient::new(Connection::spawn_with(test_command(), &options).expect("the test runs as a child"))
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Order {
    Send(Source, Stream),
    Receive(Sink, Stream),
}

const PATH: &str = "SOCKET_PATH";

/// This test again, in a process that the library did not spawn.
pub(crate) fn stranger() -> (Bootstrapper<Order>, Child) {
    let bootstrapper = Bootstrapper::new().unwrap();
    let child = start(bootstrapper.path());
    (bootstrapper, child)
}

fn start(path: &Path) -> Child {
    test_command().env(PATH, path).spawn().unwrap()
}
