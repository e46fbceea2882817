//! Bytes and descriptors between threads and processes, as they are below every typed channel.
#![cfg(test)]

#[path = "../util/mod.rs"]
mod util;

mod descriptors;
mod ending;
mod limits;
mod long;
mod sharing;
mod signals;
mod small_buffers;
mod waiting;

use std::env;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command};
use std::time::Duration;

use unix_ipc::{RawReceiver, RawSender, test_command};

/// What a child of this test is to do; `None` in the test itself.
fn role() -> Option<String> {
    env::var("ROLE").ok()
}

/// This test again, with an end of a channel as its standard input.
#[track_caller]
fn child(role: &str, end: impl AsFd) -> Command {
    let mut command = test_command();
    command.env("ROLE", role).stdin(end.as_fd().try_clone_to_owned().unwrap());
    command
}

fn start(role: &str, end: impl AsFd) -> Child {
    child(role, end).spawn().unwrap()
}

fn stdin() -> OwnedFd {
    io::stdin().as_fd().try_clone_to_owned().unwrap()
}

/// In a child: the sender that is its standard input.
fn inherited_sender() -> RawSender {
    stdin().into()
}

/// In a child: the receiver that is its standard input.
fn inherited_receiver() -> RawReceiver {
    stdin().into()
}

/// A text of so many bytes. It repeats after a prime number of them, so that no piece of a packet's length can stand
/// in another's place.
fn text(length: usize, seed: u8) -> Vec<u8> {
    const PERIOD: usize = 65_521;
    let mut state = u32::from(seed).wrapping_mul(0x9E37_79B9) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    let period: Vec<u8> = std::iter::repeat_with(next).flatten().take(length.min(PERIOD)).collect();
    let mut text = Vec::with_capacity(length + PERIOD);
    while text.len() < length {
        text.extend_from_slice(&period);
    }
    text.truncate(length);
    text
}

#[track_caller]
fn eventually(is_so: impl FnMut() -> bool) {
    assert!(util::wait_until(Duration::from_secs(20), is_so));
}
