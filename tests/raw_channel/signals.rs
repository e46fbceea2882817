//! Signals: they interrupt nothing, and none is raised.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::Signal;
use signal_hook::flag;
use unix_ipc::{RecvError, SendError, raw_channel};

use crate::util::{Watchdog, alone};
use crate::{eventually, text};

/// Runs something under a storm of signals, each of which interrupts a poll.
fn in_a_storm<T>(act: impl FnOnce() -> T) -> T {
    flag::register(libc::SIGUSR1, Arc::new(AtomicBool::new(false))).unwrap();
    let (over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let storm = |target: Pthread| {
        while !over.load(Ordering::Relaxed) {
            pthread_kill(target, Signal::SIGUSR1).unwrap();
            sent.fetch_add(1, Ordering::Relaxed);
            thread::park_timeout(Duration::from_micros(100));
        }
    };
    let target = pthread_self();
    thread::scope(|scope| {
        scope.spawn(|| storm(target));
        eventually(|| sent.load(Ordering::Relaxed) > 0);
        let value = act();
        over.store(true, Ordering::Relaxed);
        value
    })
}

#[test]
fn p23_recv_waits_on_through_a_storm_of_signals() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    in_a_storm(|| {
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::park_timeout(Duration::from_millis(50));
                sender.send(&text(5 << 20, 1), &[]).unwrap();
            });
            assert!(receiver.recv().unwrap().0 == text(5 << 20, 1));
        });
    });
}

#[test]
fn p23_recv_timeout_takes_its_time_and_no_more_in_a_storm_of_signals() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (_sender, receiver) = raw_channel().unwrap();
    let timeout = Duration::from_millis(100);
    let waited = in_a_storm(|| {
        let start = Instant::now();
        assert!(matches!(receiver.recv_timeout(timeout), Err(RecvError::Timeout)));
        start.elapsed()
    });
    assert!(waited >= timeout, "{waited:?}");
    // That it ends at all, under the watchdog, is that the time left was looked at.
}

#[test]
fn p23_send_waits_on_through_a_storm_of_signals() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let reader = thread::spawn(move || {
        // The sender has long been waiting for room when reading begins.
        thread::park_timeout(Duration::from_millis(50));
        (0..3).map(|_| receiver.recv().unwrap().0).collect::<Vec<_>>()
    });
    in_a_storm(|| (0..3).for_each(|number| sender.send(&text(5 << 20, number), &[]).unwrap()));
    let received = reader.join().unwrap();
    assert!((0..3).all(|number| received[usize::from(number)] == text(5 << 20, number)));
}

#[test]
fn p24_a_send_to_nobody_is_an_error_and_raises_no_sigpipe() {
    if !alone() {
        return;
    }
    // Rust programs ignore the signal; one that does not must not die of it. The handler stands for its death.
    let raised = Arc::new(AtomicBool::new(false));
    flag::register(libc::SIGPIPE, Arc::clone(&raised)).unwrap();
    let (sender, receiver) = raw_channel().unwrap();
    drop(receiver);
    assert!(matches!(sender.send(b"x", &[]), Err(SendError::Disconnected(()))));
    assert!(matches!(sender.send(&text(1 << 20, 0), &[]), Err(SendError::Disconnected(()))));
    assert!(matches!(sender.try_send(b"x", &[sender.as_fd()]), Err(SendError::Disconnected(()))));
    assert!(!raised.load(Ordering::Relaxed));

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    nix::unistd::write(&writer, b"x").unwrap_err();
    assert!(raised.load(Ordering::Relaxed), "a pipe does raise it");
}
