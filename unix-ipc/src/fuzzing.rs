//! What hostile bytes come to: one function for each fuzz target, which panics where something is wrong.
//!
//! It is there for cargo-fuzz (`fuzz/`), and for the test below, which replays what is kept there: a corpus of inputs that reach
//! different code, and every input that was ever found to be wrong (`fuzz/seeds`). Each function is beside what it looks at.
//!
//! An input is a list of steps. Numbers that it does not have any more are 0, so that every input is one.

use std::io::{PipeReader, PipeWriter, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use arbitrary::Unstructured;
use nix::poll::PollFlags;

pub use crate::codec::fuzzing::codec;
use crate::deadline::Deadline;
use crate::frame::HEADER_BYTES;
pub use crate::raw_channel::fuzzing::frame;
pub use crate::ring::fuzzing::ring;
pub use crate::service::fuzzing::handshake;
use crate::socket::Socket;
use crate::sys::memory;
use crate::sys::wait::ready;

/// What may take long on a machine with other work, and never does unless something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The longest packet of an input, in bytes.
const MOST_PACKET_BYTES: usize = 1024;

/// Descriptors to be sent, of which none is to be left open.
#[derive(Debug)]
pub(crate) struct Descriptors {
    reader: PipeReader,
    writer: PipeWriter,
    /// The other ends of sockets, for as long as anybody may answer through one.
    ends: Vec<Socket>,
}

impl Descriptors {
    pub(crate) fn new() -> Self {
        let (reader, writer) = pipe().expect("a pipe");
        Self { reader, writer, ends: Vec::new() }
    }

    /// One more.
    pub(crate) fn next(&mut self, input: &mut Unstructured<'_>) -> OwnedFd {
        match number(input, 4) {
            0 => self.marked(),
            1 => memory::sealed_copy(&[packet(input)]).expect("a memory file"),
            2 => std::fs::File::open("/dev/null").expect("a device").into(),
            _ => {
                let (one, other) = Socket::pair().expect("a pair");
                self.ends.push(one);
                other.into_descriptor().expect("nobody else has it")
            }
        }
    }

    /// A few more.
    pub(crate) fn some(&mut self, input: &mut Unstructured<'_>) -> Vec<OwnedFd> {
        (0..number(input, 4)).map(|_| self.next(input)).collect()
    }

    /// One whose end is noticed.
    pub(crate) fn marked(&self) -> OwnedFd {
        self.writer.try_clone().expect("a descriptor").into()
    }

    /// Nobody answers any more through a socket that was sent.
    pub(crate) fn hang_up(&mut self) {
        self.ends.clear();
    }

    /// All of them are closed. (Where tests fork, a copy of this process may have one for a moment longer.)
    pub(crate) fn assert_closed(self) {
        assert!(self.are_closed(PATIENCE), "a descriptor that came is left open");
    }

    fn are_closed(self, patience: Duration) -> bool {
        drop(self.writer);
        let hung_up = ready(self.reader.as_fd(), PollFlags::empty(), Deadline::after(patience));
        hung_up.expect("a pipe can be waited for")
    }
}

/// A number below another.
pub(crate) fn number(input: &mut Unstructured<'_>, below: u8) -> u8 {
    input.arbitrary::<u8>().unwrap_or(0) % below
}

/// So many bytes, or those that are left.
pub(crate) fn bytes<'a>(input: &mut Unstructured<'a>, most: usize) -> &'a [u8] {
    let len = input.len().min(most);
    input.bytes(len).unwrap_or_default()
}

/// The bytes of one packet: how many there are comes first.
pub(crate) fn packet<'a>(input: &mut Unstructured<'a>) -> &'a [u8] {
    let len = usize::from(input.arbitrary::<u16>().unwrap_or(0)) % (MOST_PACKET_BYTES + 1);
    bytes(input, len)
}

/// Has a packet's header say how many bytes and descriptors there are with it, which a fuzzer would seldom guess.
pub(crate) fn set_counts(packet: &mut [u8], descriptors: usize) {
    let length = packet.len().saturating_sub(HEADER_BYTES) as u32;
    if let Some(header) = packet.first_chunk_mut::<HEADER_BYTES>() {
        header[2..4].copy_from_slice(&(descriptors as u16).to_le_bytes());
        header[4..8].copy_from_slice(&length.to_le_bytes());
    }
}

/// Counts this process's descriptors now and then, which are as many as after the first inputs.
#[cfg(fuzzing)]
pub(crate) fn count_descriptors() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// What a thread keeps for its next message, and the fuzzer's own files, are there after so many inputs.
    const FIRST: usize = 1000;
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);

    let runs = RUNS.fetch_add(1, Ordering::Relaxed);
    if !runs.is_multiple_of(FIRST) {
        return;
    }
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    if runs <= FIRST {
        MOST.store(open, Ordering::Relaxed);
    }
    let most = MOST.load(Ordering::Relaxed);
    assert!(open <= most + 8, "{open} descriptors are open, and there were {most}");
}

/// Tests have more than one thread, so that nobody can tell whose descriptors there are.
#[cfg(not(fuzzing))]
pub(crate) fn count_descriptors() {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::mpsc::{self, RecvTimeoutError};
    use std::thread;

    use super::*;

    /// Runs a target with each input that is kept.
    fn replay(target: &str, run: fn(&[u8])) {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        let mut count = 0;
        for kept in ["corpus", "seeds"] {
            for file in fs::read_dir(fuzz.join(kept).join(target)).unwrap() {
                let path = file.unwrap().path();
                let input = fs::read(&path).unwrap();
                within_patience(&path, move || run(&input));
                count += 1;
            }
        }
        assert!(count > 10, "{target} has {count} inputs");
    }

    /// Runs it in a thread of its own, and says which input it is that panics or hangs.
    fn within_patience(input: &Path, run: impl FnOnce() + Send + 'static) {
        let (done, is_done) = mpsc::channel();
        let running = thread::spawn(move || {
            run();
            let _ = done.send(());
        });
        let ended = is_done.recv_timeout(3 * PATIENCE);
        assert_ne!(ended, Err(RecvTimeoutError::Timeout), "{} hangs", input.display());
        assert!(running.join().is_ok(), "{} panics", input.display());
    }

    #[test]
    fn kept_packets_are_messages_or_errors() {
        replay("frame", frame);
    }

    #[test]
    fn kept_messages_are_values_or_errors() {
        replay("codec", codec);
    }

    #[test]
    fn kept_peers_are_served_or_hung_up_on() {
        replay("handshake", handshake);
    }

    #[test]
    fn kept_rings_hold_packets_or_lies() {
        replay("ring", ring);
    }

    #[test]
    fn a_descriptor_that_is_left_open_is_noticed() {
        let descriptors = Descriptors::new();
        let left = descriptors.marked();
        assert!(!descriptors.are_closed(Duration::ZERO));
        drop(left);
    }
}
