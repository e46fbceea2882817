//! Typed channels: values, and channels inside of values, between threads and processes.
#![cfg(test)]

#[path = "../util/mod.rs"]
mod util;

mod carried;
mod given_back;
mod processes;
mod values;

use std::env;
use std::path::PathBuf;
use std::process::Child;

use unix_ipc::test_command;

const PATH: &str = "SOCKET_PATH";

/// In a child: where to connect to.
fn path_to_connect_to() -> Option<PathBuf> {
    env::var_os(PATH).map(PathBuf::from)
}

/// This test again, in a process that knows a path.
#[track_caller]
fn start(path: &std::path::Path) -> Child {
    test_command().env(PATH, path).spawn().unwrap()
}
