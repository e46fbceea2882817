//! No library: packets over a `SOCK_SEQPACKET` socket, written by hand. What a library on sockets can at best reach.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};

use crate::Outcome;
use crate::contender::{Client, Contender, IN_FLIGHT, Samples, expect, sum_of};
use crate::process::{self, Server};

pub(crate) const CONTENDER: Contender = Contender { name: NAME, version: || None, start, serve };

const NAME: &str = "SOCK_SEQPACKET by hand";

/// The first word of a request.
const ADD: u64 = 0;
const SUM: u64 = 1;
const STREAM: u64 = 2;

/// Bytes that are sent at once: larger packets are slower.
const CHUNK: usize = 1 << 16;

struct Floor {
    socket: Socket,
    _server: Server,
}

struct Socket(OwnedFd);

fn start() -> Outcome<Box<dyn Client>> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    Ok(Box::new(Floor { socket: Socket(ours), _server: Server::start(NAME, "", theirs)? }))
}

impl Client for Floor {
    fn add(&mut self, samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            self.socket.send_words([ADD, 1, 2])?;
            let sum = self.socket.word()?;
            samples.end(start);
            expect(sum, 3)?;
        }
        Ok(())
    }

    fn in_flight(&mut self, samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            (0..IN_FLIGHT).try_for_each(|_| self.socket.send_words([ADD, 1, 2]))?;
            (0..IN_FLIGHT).try_for_each(|_| expect(self.socket.word()?, 3))?;
            samples.end(start);
        }
        Ok(())
    }

    fn sum(&mut self, bytes: &[u8], samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            self.socket.send_words([SUM, bytes.len() as u64, 0])?;
            bytes.chunks(CHUNK).try_for_each(|chunk| self.socket.send(chunk))?;
            let sum = self.socket.word()?;
            samples.end(start);
            expect(sum, sum_of(bytes))?;
        }
        Ok(())
    }

    fn stream(&mut self, count: u64, samples: &mut Samples) -> Outcome {
        while let Some(start) = samples.begin() {
            self.socket.send_words([STREAM, count, 0])?;
            (0..count).try_for_each(|number| expect(self.socket.word()?, number))?;
            samples.end(start);
        }
        Ok(())
    }
}

fn serve(_: &str) -> Outcome {
    let socket = Socket(process::given()?);
    let mut room = Vec::new();
    while let Some(request) = socket.words()? {
        match request {
            [ADD, a, b] => socket.send(&a.wrapping_add(b).to_le_bytes())?,
            [SUM, len, _] => {
                room.resize(usize::try_from(len)?, 0);
                room.chunks_mut(CHUNK).try_for_each(|chunk| socket.receive(chunk).map(drop))?;
                socket.send(&sum_of(&room).to_le_bytes())?;
            }
            [STREAM, count, _] => (0..count).try_for_each(|number| socket.send(&number.to_le_bytes()))?,
            [other, ..] => return Err(format!("no request {other}").into()),
        }
    }
    Ok(())
}

impl Socket {
    fn send(&self, packet: &[u8]) -> Outcome {
        send(self.0.as_raw_fd(), packet, MsgFlags::MSG_NOSIGNAL)?;
        Ok(())
    }

    /// A packet of this very length, or false when the other side is gone.
    fn receive(&self, packet: &mut [u8]) -> Outcome<bool> {
        match recv(self.0.as_raw_fd(), packet, MsgFlags::empty())? {
            0 => Ok(false),
            len => expect(len, packet.len()).map(|()| true),
        }
    }

    fn send_words(&self, words: [u64; 3]) -> Outcome {
        let mut packet = [0; 24];
        for (bytes, word) in packet.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        self.send(&packet)
    }

    fn words(&self) -> Outcome<Option<[u64; 3]>> {
        let mut packet = [0; 24];
        if !self.receive(&mut packet)? {
            return Ok(None);
        }
        let mut words = [0; 3];
        for (word, bytes) in words.iter_mut().zip(packet.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Ok(Some(words))
    }

    fn word(&self) -> Outcome<u64> {
        let mut packet = [0; 8];
        if !self.receive(&mut packet)? {
            return Err("the server is gone".into());
        }
        Ok(u64::from_le_bytes(packet))
    }
}
