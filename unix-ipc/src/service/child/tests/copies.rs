use std::time::Duration;

use super::reaper::{has_no_child, reaper_thread, reaper_thread_now};
use super::*;
use crate::service::child::reaper::desk;
use crate::sys::fork::in_a_copy;

/// A child that lives until it is hung up on, dropped in a copy of its parent.
#[test]
fn a_copy_of_the_parent_only_closes_descriptors() {
    match role().as_deref() {
        Some("child") => return liveness::armed_echo(),
        Some(_) => {}
        None => return succeeds(&mut rerun("parent")),
    }
    let options = SpawnOptions::new().grace(Duration::ZERO);
    let (child, socket) = liveness::start_armed(&mut rerun("child"), &options);
    let mut child = Some(child);
    assert!(in_a_copy(|| {
        drop(child.take());
        // Nobody was started who could kill it.
        threads().len() == 1
    }));
    assert!(answers(&socket));
    assert_eq!(child.unwrap().exit(Duration::ZERO), None);
}

#[test]
fn a_copy_has_a_reaper_of_its_own() {
    if role().is_none() {
        return succeeds(&mut rerun("parent"));
    }
    let (child, socket) = start_cat();
    drop(child);
    reaper_thread_now();
    assert!(in_a_copy(|| {
        drop(start_cat());
        eventually("the reaping in the copy", has_no_child);
        eventually("the end of the copy's thread", || reaper_thread().is_none());
        true
    }));
    drop(socket);
    eventually("the reaping in the original", has_no_child);
}

#[test]
fn a_copy_made_while_the_reaper_was_busy_kills_and_waits() {
    if role().is_none() {
        return succeeds(&mut rerun("parent"));
    }
    let busy = desk();
    assert!(in_a_copy(|| {
        let (child, _socket) = start_cat();
        drop(child);
        has_no_child() && threads().len() == 1
    }));
    drop(busy);
}

/// With a grace that no test waits for.
fn start_cat() -> (Child, OwnedFd) {
    start_with(&mut Command::new("/bin/cat"), &SpawnOptions::new().grace(Duration::from_secs(3600)))
}
