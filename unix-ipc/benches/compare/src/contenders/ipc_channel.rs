//! ipc-channel: channels that are made once, over a one-shot server, as its README describes for two processes.
//!
//! The bytes go through `bytes_channel`, which its documentation calls more efficient where messages are `[u8]`. The
//! stream has a channel of its own, whose sender is part of the request.

use std::process::Stdio;

use ipc_channel::ipc::{
    IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcReceiver, IpcSender, bytes_channel, channel,
};
use serde::{Deserialize, Serialize};

use crate::Outcome;
use crate::contender::{Client, Contender, IN_FLIGHT, Samples, expect, sum_of};
use crate::process::Server;
use crate::versions;

pub(crate) const CONTENDER: Contender =
    Contender { name: NAME, version: || versions::registry(NAME), start, serve };

const NAME: &str = "ipc-channel";

#[derive(Serialize, Deserialize)]
enum Request {
    Add(i64, i64),
    /// The bytes follow in their own channel.
    Sum,
    Stream(u64, IpcSender<u64>),
}

/// The client's ends of all channels: what the server sends first.
#[derive(Serialize, Deserialize)]
struct Ends {
    requests: IpcSender<Request>,
    added: IpcReceiver<i64>,
    bytes: IpcBytesSender,
    summed: IpcReceiver<u64>,
}

struct IpcChannel {
    ends: Ends,
    _server: Server,
}

fn start() -> Outcome<Box<dyn Client>> {
    let (one_shot, name) = IpcOneShotServer::new()?;
    let server = Server::start(NAME, &name, Stdio::null())?;
    let (_, ends) = one_shot.accept()?;
    Ok(Box::new(IpcChannel { ends, _server: server }))
}

impl Client for IpcChannel {
    fn add(&mut self, samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            self.ends.requests.send(Request::Add(1, 2))?;
            let sum = self.ends.added.recv()?;
            samples.end(start);
            expect(sum, 3)?;
        }
        Ok(())
    }

    fn in_flight(&mut self, samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            (0..IN_FLIGHT).try_for_each(|_| self.ends.requests.send(Request::Add(1, 2)))?;
            (0..IN_FLIGHT).try_for_each(|_| expect(self.ends.added.recv()?, 3))?;
            samples.end(start);
        }
        Ok(())
    }

    fn sum(&mut self, bytes: &[u8], samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            self.ends.requests.send(Request::Sum)?;
            self.ends.bytes.send(bytes)?;
            let sum = self.ends.summed.recv()?;
            samples.end(start);
            expect(sum, sum_of(bytes))?;
        }
        Ok(())
    }

    fn stream(&mut self, count: u64, samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            let (sender, receiver) = channel()?;
            self.ends.requests.send(Request::Stream(count, sender))?;
            (0..count).try_for_each(|number| expect(receiver.recv()?, number))?;
            samples.end(start);
        }
        Ok(())
    }
}

fn serve(name: &str) -> Outcome {
    let (requests_of_client, requests) = channel()?;
    let (added, added_of_client) = channel()?;
    let (bytes_of_client, bytes) = bytes_channel()?;
    let (summed, summed_of_client) = channel()?;
    IpcSender::connect(name.to_owned())?.send(Ends {
        requests: requests_of_client,
        added: added_of_client,
        bytes: bytes_of_client,
        summed: summed_of_client,
    })?;
    answer(&requests, &added, &bytes, &summed)
}

fn answer(
    requests: &IpcReceiver<Request>,
    added: &IpcSender<i64>,
    bytes: &IpcBytesReceiver,
    summed: &IpcSender<u64>,
) -> Outcome {
    // The end of the requests is the end of the client.
    while let Ok(request) = requests.recv() {
        match request {
            Request::Add(a, b) => added.send(a.wrapping_add(b))?,
            Request::Sum => summed.send(sum_of(&bytes.recv()?))?,
            Request::Stream(count, to) => (0..count).try_for_each(|number| to.send(number))?,
        }
    }
    Ok(())
}
