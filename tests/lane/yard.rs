//! The service of the child at the other end, and a child that only knows a path.

use std::path::Path;
use std::process::{self, Child};
use std::{env, fs};

use serde::{Deserialize, Serialize};
use unix_ipc::{Bootstrapper, Connection, Limits, Receiver, Sender, SpawnOptions, ipc_service, test_command};

use crate::senders::send_as;
use crate::stream::{Sink, Source, Stream};
use crate::util::Holdings;
use crate::values::Value;

#[ipc_service]
pub(crate) trait Yard {
    fn process(&self) -> u32;
    fn send(&self, source: Source, stream: Stream);
    fn receive(&self, sink: Sink, stream: Stream);
    /// Sends a part of a stream, and gives the end back.
    fn send_some(&self, source: Source, stream: Stream, from: u64, to: u64) -> Source;
    /// Receives a part of a stream, and gives the end back.
    fn relay(&self, sink: Sink, stream: Stream, from: u64, to: u64) -> Sink;
    fn send_as(&self, who: u64, sender: Sender<Value>, count: u64);
    /// Sends small values of which every tenth has a file.
    fn send_few(&self, sender: Sender<Value>, count: u64);
    /// Sends small values for as long as somebody receives.
    fn flood(&self, sender: Sender<Value>);
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

    fn send_some(&self, source: Source, stream: Stream, from: u64, to: u64) -> Source {
        source.send_some(stream, from, to);
        source
    }

    fn relay(&self, sink: Sink, stream: Stream, from: u64, to: u64) -> Sink {
        sink.receive_some(stream, from, to);
        sink
    }

    fn send_as(&self, who: u64, sender: Sender<Value>, count: u64) {
        send_as(who, &sender, count);
    }

    fn send_few(&self, sender: Sender<Value>, count: u64) {
        for number in 0..count {
            sender.send(Value::of(number, 0, number.is_multiple_of(10))).expect("the test receives");
        }
    }

    fn flood(&self, sender: Sender<Value>) {
        (0..).all(|number| sender.send(Value::small(number)).is_ok());
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
            Order::Report(to) => to.send((Holdings::now().descriptor_count(), mappings())).unwrap(),
            Order::Listen(values, answers) => {
                values.iter().for_each(|value| answers.send(value.unwrap().number).unwrap_or_default());
            }
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
    /// Answer each value with its number.
    Listen(Receiver<Value>, Sender<u64>),
    /// Say how many descriptors and mappings there are.
    Report(Sender<(usize, usize)>),
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
