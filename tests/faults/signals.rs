//! Storms of signals: a timer interrupts every wait, on both sides, and nothing is begun anew by the system. What waits with a
//! time takes that time, and everything else goes on as if nothing had happened.

use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigEvent, SigevNotify, Signal};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use nix::unistd::gettid;
use unix_ipc::{
    Bootstrapper, CallError, Connection, Limits, Listener, ReceiverSet, RecvError, SendError, SpawnError,
    SpawnOptions, channel,
};

use crate::service::{
    Hand, STORM, WorkerClient, WorkerServer, null, serve_in_child, spawn_with, takes, warm,
};
use crate::sys;
use crate::util::{Holdings, Watchdog, alone};

/// Interrupts the thread that began it, every 200 microseconds.
pub(crate) struct Storm(#[expect(dead_code, reason = "stops when it is dropped")] Timer);

impl Storm {
    pub(crate) fn on_this_thread() -> Self {
        sys::interrupt_at(Signal::SIGALRM);
        let this =
            SigevNotify::SigevThreadId { signal: Signal::SIGALRM, thread_id: gettid().as_raw(), si_value: 0 };
        let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(this)).expect("there is a timer");
        let often = Expiration::Interval(Duration::from_micros(200).into());
        timer.set(often, TimerSetTimeFlags::empty()).expect("the timer starts");
        Self(timer)
    }
}

#[test]
fn a_storm_does_interrupt() {
    let _storm = Storm::on_this_thread();
    let mut none = [];
    let waited = nix::poll::poll(&mut none, 5000_u16);
    assert_eq!(waited, Err(nix::errno::Errno::EINTR));
}

#[test]
fn p23_calls_of_every_size_go_on_in_storms_on_both_sides() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    for rings in [true, false] {
        // The child is spawned, and ends, in the storm as well.
        let _storm = Storm::on_this_thread();
        let client = spawn_with(rings, &[(STORM, "1")]);
        warm(&client);
        for number in 0..300_usize {
            let len = if number % 50 == 0 { 2 << 20 } else { [10, 1000, 70_000][number % 3] };
            let bytes = vec![number as u8; len];
            assert!(client.echo(&bytes).unwrap() == bytes);
        }
        for _ in 0..50 {
            assert_eq!(client.pass((0..5).map(|_| null()).collect()).unwrap().len(), 5);
        }
        let calls: Vec<_> = (0..200_u8).map(|number| client.begin_echo(&[number; 20_000]).unwrap()).collect();
        for (number, call) in (0..).zip(calls) {
            assert_eq!(call.wait().unwrap(), [number; 20_000]);
        }
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let _storm = Storm::on_this_thread();
                    (0..200).for_each(|_| warm_once(&client));
                });
            }
        });
    }
    before.assert_restored();
}

fn warm_once(client: &WorkerClient) {
    assert_eq!(client.echo(b"again").unwrap(), b"again");
}

#[test]
fn p23_waits_with_a_time_take_that_time_in_a_storm() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    let time = Duration::from_millis(150);
    {
        let _storm = Storm::on_this_thread();
        let client = spawn_with(true, &[(STORM, "1")]);
        warm(&client);
        let (begun, begins) = channel().unwrap();
        let (gate, closed) = channel().unwrap();
        let busy = client.begin_wait(&begun, closed).unwrap();
        begins.recv().unwrap();
        let call = client.begin_echo(b"waits").unwrap();
        takes(time, || {
            let error = call.wait_timeout(time).unwrap_err();
            assert!(matches!(error, CallError::Timeout { after, .. } if after == time), "{error:?}");
        });
        let hasty = client.with_timeout(time);
        takes(time, || assert!(matches!(hasty.echo(b"waits"), Err(CallError::Timeout { .. }))));
        takes(time, || assert!(matches!(begins.recv_timeout(time), Err(RecvError::Timeout))));
        let mut set = ReceiverSet::new();
        set.add(&begins);
        takes(time, || assert!(set.wait_timeout(time).unwrap().is_empty()));
        drop(set);
        let bootstrapper = Bootstrapper::new().unwrap();
        takes(time, || assert!(matches!(bootstrapper.send_timeout(7, time), Err(SendError::Timeout(7)))));
        let mut limits = Limits::default();
        limits.handshake = time;
        let mut silent = std::process::Command::new("sleep");
        silent.arg("3600");
        takes(time, || {
            let spawned = Connection::spawn_with(silent, &SpawnOptions::new().limits(limits));
            assert!(matches!(spawned, Err(SpawnError::TimedOut { after }) if after == time));
        });
        drop(gate);
        busy.wait().unwrap();
        warm(&client);
    }
    before.assert_restored();
}

#[test]
fn p23_accepting_connecting_and_channels_go_on_in_a_storm() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("worker");
    let listener = Listener::bind(&path).unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let _storm = Storm::on_this_thread();
            WorkerServer::new(Hand).listen(&listener)
        });
        scope.spawn(|| connect_often(&path)).join().unwrap();
        listener.close().unwrap();
        server.join().unwrap().unwrap();
    });
    drop(listener);
    let (sender, receiver) = channel::<Vec<u8>>().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _storm = Storm::on_this_thread();
            (0..200_usize).for_each(|number| sender.send(vec![number as u8; number * 3000]).unwrap());
        });
        let _storm = Storm::on_this_thread();
        for number in 0..200_usize {
            assert!(receiver.recv().unwrap() == vec![number as u8; number * 3000]);
        }
    });
    drop((sender, receiver));
    before.assert_restored();
}

fn connect_often(path: &Path) {
    let _storm = Storm::on_this_thread();
    for _ in 0..50 {
        warm_once(&WorkerClient::connect(path).unwrap());
    }
}
