//! Wrong input on plain channels: each an error that names it, nothing left open, and the next message is right.
#![cfg(test)]

#[path = "../packets/mod.rs"]
mod packets;
#[path = "../util/mod.rs"]
mod util;

mod fragments;
mod frames;
mod memory_files;
mod values;

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

use unix_ipc::{ProtocolError, RawReceiver, RawSender, RecvError, raw_channel};
use util::wait_until;

/// A channel whose sending end writes packets by hand, and a file that shows whether what was sent is closed.
struct Hostile {
    sender: RawSender,
    receiver: RawReceiver,
}

/// The writing end travels; the reading end is at its end once every copy of the other is closed.
struct Canary {
    reader: io::PipeReader,
    writer: io::PipeWriter,
}

impl Canary {
    fn new() -> Self {
        let (reader, writer) = io::pipe().unwrap();
        Self { reader, writer }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }

    /// Blocks for ever, under the test's watchdog, where a copy of the writing end stays open.
    fn assert_closed_by_receiver(mut self) {
        drop(self.writer);
        assert_eq!(self.reader.read(&mut [0]).unwrap(), 0);
    }
}

impl Hostile {
    fn new() -> Self {
        let (sender, receiver) = raw_channel().unwrap();
        Self { sender, receiver }
    }

    fn write(&self, packet: &[u8], descriptors: &[BorrowedFd<'_>]) {
        packets::write(&self.sender, packet, descriptors);
    }

    #[track_caller]
    fn expect(&self, expected: &ProtocolError) {
        match self.receiver.recv() {
            Err(RecvError::Protocol(found)) => assert_eq!(&found, expected),
            other => panic!("expected {expected:?}, found {other:?}"),
        }
    }

    /// The packet is refused with an error that names it, what rode on it is closed, and the next message is right.
    #[track_caller]
    fn refuses(&self, packet: &[u8], expected: &ProtocolError) {
        self.write(packet, &[]);
        self.expect(expected);
        self.is_well();
    }

    #[track_caller]
    fn is_well(&self) {
        self.sender.send(b"next", &[]).unwrap();
        let (bytes, descriptors) = self.receiver.recv().unwrap();
        assert_eq!((bytes.as_slice(), descriptors.len()), (b"next".as_slice(), 0));
        assert!(self.receiver.try_recv().unwrap().is_none(), "nothing is left of what was refused");
    }
}

/// The most bytes that receiving held at once.
fn most_allocated(receive: impl FnOnce()) -> u64 {
    allocation_counter::measure(receive).bytes_max
}

/// Waits for something that happens in another process.
#[track_caller]
fn eventually(is_so: impl FnMut() -> bool) {
    assert!(wait_until(std::time::Duration::from_secs(20), is_so));
}
