//! iceoryx2: services for requests, and one for publishing the stream, in memory that both processes share.
//!
//! Both sides look for messages without end, so each takes a whole core, as in its own benchmarks. The bytes are copied
//! once, into memory that is lent for the request; a program that makes its data there saves that copy.

use std::io::{Read, stdin};
use std::process::{self, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{hint, thread};

use iceoryx2::port::client::Client as Requests;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::server::Server as Requested;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::service::ipc::Service;
use iceoryx2::service::port_factory::{publish_subscribe, request_response};

use crate::Outcome;
use crate::contender::{Client, Contender, IN_FLIGHT, Samples, expect, sum_of};
use crate::process::Server;
use crate::versions;

pub(crate) const CONTENDER: Contender =
    Contender { name: NAME, version: || versions::registry(NAME), start, serve };

const NAME: &str = "iceoryx2";

/// The longest byte string of a request.
const BYTES: usize = 1 << 20;

/// How many numbers a subscriber may be behind.
const BEHIND: usize = 1024;

/// How often a server looks for frequent requests in vain before it looks for the others.
const LOOKS: u32 = 16;

/// How often a client looks for a response in vain before it looks whether the server is still there.
const PATIENCE: u32 = 1 << 20;

/// The services, which both sides open.
struct Services {
    add: request_response::PortFactory<Service, [i64; 2], (), i64, ()>,
    /// The same with room for many requests at once, which makes each of them slower.
    add_many: request_response::PortFactory<Service, [i64; 2], (), i64, ()>,
    sum: request_response::PortFactory<Service, [u8], (), u64, ()>,
    stream: request_response::PortFactory<Service, u64, (), u64, ()>,
    numbers: publish_subscribe::PortFactory<Service, u64, ()>,
    /// Last, because the services are its.
    _node: Node<Service>,
}

impl Services {
    fn open(prefix: &str) -> Outcome<Self> {
        set_log_level(LogLevel::Error);
        let node =
            NodeBuilder::new().signal_handling_mode(SignalHandlingMode::Disabled).create::<Service>()?;
        let service =
            |name: &str| Outcome::Ok(node.service_builder(&format!("{prefix}/{name}").as_str().try_into()?));
        Ok(Self {
            add: service("add")?.request_response::<[i64; 2], i64>().open_or_create()?,
            add_many: service("add many")?
                .request_response::<[i64; 2], i64>()
                .max_active_requests_per_client(IN_FLIGHT)
                .open_or_create()?,
            sum: service("sum")?.request_response::<[u8], u64>().open_or_create()?,
            stream: service("stream")?.request_response::<u64, u64>().open_or_create()?,
            numbers: service("numbers")?
                .publish_subscribe::<u64>()
                .subscriber_max_buffer_size(BEHIND)
                // None may be lost: the publisher waits.
                .enable_safe_overflow(false)
                .open_or_create()?,
            _node: node,
        })
    }
}

/// The fields are dropped in this order: the server ends when the rest is closed.
struct Iceoryx2 {
    add: Requests<Service, [i64; 2], (), i64, ()>,
    add_many: Requests<Service, [i64; 2], (), i64, ()>,
    sum: Requests<Service, [u8], (), u64, ()>,
    stream: Requests<Service, u64, (), u64, ()>,
    numbers: Subscriber<Service, u64, ()>,
    _services: Services,
    server: Server,
}

fn start() -> Outcome<Box<dyn Client>> {
    // The names are the machine's: two runs at once must not meet.
    let prefix = format!("unix-ipc-compare/{}", process::id());
    let services = Services::open(&prefix)?;
    let numbers = services.numbers.subscriber_builder().create()?;
    let mut server = Server::start(NAME, &prefix, Stdio::piped())?;
    wait(&mut server, || Ok((services.stream.dynamic_config().number_of_servers() == 1).then_some(())))?;
    Ok(Box::new(Iceoryx2 {
        add: services.add.client_builder().create()?,
        add_many: services.add_many.client_builder().create()?,
        sum: services.sum.client_builder().initial_max_slice_len(BYTES).create()?,
        stream: services.stream.client_builder().create()?,
        numbers,
        _services: services,
        server,
    }))
}

/// Looks until there is something, or the server has ended.
fn wait<T>(server: &mut Server, mut look: impl FnMut() -> Outcome<Option<T>>) -> Outcome<T> {
    loop {
        for _ in 0..PATIENCE {
            if let Some(found) = look()? {
                return Ok(found);
            }
            hint::spin_loop();
        }
        server.check()?;
    }
}

impl Client for Iceoryx2 {
    fn add(&mut self, samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            let pending = self.add.loan_uninit()?.write_payload([1, 2]).send()?;
            let sum = *wait(&mut self.server, || Ok(pending.receive()?))?;
            samples.end(start);
            expect(sum, 3)?;
        }
        Ok(())
    }

    fn in_flight(&mut self, samples: &mut Samples) -> Outcome {
        let mut pending = Vec::with_capacity(IN_FLIGHT);
        while let Some(start) = samples.begin() {
            for _ in 0..IN_FLIGHT {
                pending.push(self.add_many.loan_uninit()?.write_payload([1, 2]).send()?);
            }
            for call in pending.drain(..) {
                expect(*wait(&mut self.server, || Ok(call.receive()?))?, 3)?;
            }
            samples.end(start);
        }
        Ok(())
    }

    fn sum(&mut self, bytes: &[u8], samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            let pending = self.sum.loan_slice_uninit(bytes.len())?.write_from_slice(bytes).send()?;
            let sum = *wait(&mut self.server, || Ok(pending.receive()?))?;
            samples.end(start);
            expect(sum, sum_of(bytes))?;
        }
        Ok(())
    }

    fn stream(&mut self, count: u64, samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            let pending = self.stream.send_copy(count)?;
            for number in 0..count {
                expect(*wait(&mut self.server, || Ok(self.numbers.receive()?))?, number)?;
            }
            expect(*wait(&mut self.server, || Ok(pending.receive()?))?, count)?;
            samples.end(start);
        }
        Ok(())
    }
}

fn serve(prefix: &str) -> Outcome {
    let services = Services::open(prefix)?;
    let numbers = services.numbers.publisher_builder().create()?;
    let add = services.add.server_builder().create()?;
    let add_many = services.add_many.server_builder().create()?;
    let sum = services.sum.server_builder().create()?;
    let stream = services.stream.server_builder().create()?;
    let ended = end_of_client();
    while !ended.load(Ordering::Relaxed) {
        for _ in 0..LOOKS {
            answer_adds(&add)?;
            hint::spin_loop();
        }
        answer_adds(&add_many)?;
        answer_sums(&sum)?;
        answer_streams(&stream, &numbers)?;
    }
    Ok(())
}

fn answer_adds(add: &Requested<Service, [i64; 2], (), i64, ()>) -> Outcome {
    while let Some(request) = add.receive()? {
        let [a, b] = *request;
        request.loan_uninit()?.write_payload(a.wrapping_add(b)).send()?;
    }
    Ok(())
}

fn answer_sums(sum: &Requested<Service, [u8], (), u64, ()>) -> Outcome {
    while let Some(request) = sum.receive()? {
        request.loan_uninit()?.write_payload(sum_of(&request)).send()?;
    }
    Ok(())
}

fn answer_streams(
    stream: &Requested<Service, u64, (), u64, ()>,
    numbers: &Publisher<Service, u64, ()>,
) -> Outcome {
    while let Some(request) = stream.receive()? {
        for number in 0..*request {
            numbers.loan_uninit()?.write_payload(number).send()?;
        }
        request.send_copy(*request)?;
    }
    Ok(())
}

/// Turns true when the client closes this process's standard input, because a library without connections has no other
/// sign of it.
fn end_of_client() -> Arc<AtomicBool> {
    let ended = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ended);
    thread::spawn(move || {
        let _ = stdin().read(&mut [0]);
        flag.store(true, Ordering::Relaxed);
    });
    ended
}
