//! Faults on purpose, a file each: no memory, no descriptors, storms of signals, processes that stand still, sockets that are full,
//! a clock that jumps, copies of a process, and a current directory that is gone. After each of them whoever waited has an answer or an
//! error, nothing is left over, and the next call works.
#![cfg(test)]

#[path = "../util/mod.rs"]
mod util;

mod clock;
mod descriptors;
mod directory;
mod fork;
mod full_socket;
mod memory;
mod service;
mod signals;
mod stopped;
mod sys;
