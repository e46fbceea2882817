//! A clock that jumps: no wait depends on the time on the wall.
//!
//! The machine's clock is everybody's and has no namespace (time_namespaces(7) has the monotonic ones alone), so it is left as it is. What
//! the program asks is another matter: in this executable the clock on the wall jumps for days each time that it is asked (`sys.rs`), and
//! a filter refuses the system calls that would wait by it in the kernel.

use std::collections::BTreeMap;
use std::env;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::libc;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};
use unix_ipc::{
    Bootstrapper, CallError, Connection, Limits, ReceiverSet, RecvError, SendError, SpawnError, SpawnOptions,
    channel,
};

use crate::service::{serve_in_child, spawn, takes, warm};
use crate::sys;
use crate::util::{Holdings, Watchdog, alone};

/// Of futex(2): the time is one on the wall.
const FUTEX_CLOCK_REALTIME: u64 = 256;

/// Refuses, to this thread and those that it starts, every wait whose end is a time on the wall.
fn refuse_the_clock_on_the_wall() {
    let is = |argument, mask, value| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(mask), value).unwrap()
    };
    let by = |argument, mask, value| vec![SeccompRule::new(vec![is(argument, mask, value)]).unwrap()];
    // The C library names this clock where it waits without an end, too.
    let has_end = SeccompCondition::new(3, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0).unwrap();
    let on_the_wall = is(1, FUTEX_CLOCK_REALTIME, FUTEX_CLOCK_REALTIME);
    let futex = vec![SeccompRule::new(vec![on_the_wall, has_end]).unwrap()];
    let whole = u64::from(u32::MAX);
    let realtime = u64::try_from(libc::CLOCK_REALTIME).unwrap();
    let rules = BTreeMap::from([
        (libc::SYS_futex, futex),
        (libc::SYS_clock_nanosleep, by(0, whole, realtime)),
        (libc::SYS_timerfd_create, by(0, whole, realtime)),
        (libc::SYS_timer_create, by(0, whole, realtime)),
    ]);
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let arch = env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).unwrap();
    apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

/// That what follows proves something: the clock jumps, and waiting by it is refused.
fn assert_jumping() {
    let asked: Vec<_> = (0..4).map(|_| SystemTime::now()).collect();
    let day = Duration::from_secs(80_000);
    assert!(asked[0].duration_since(asked[1]).is_ok_and(|back| back > day), "{asked:?}");
    let nap = Duration::from_millis(1).into();
    let refused = clock_nanosleep(ClockId::CLOCK_REALTIME, ClockNanosleepFlags::empty(), &nap);
    assert_eq!(refused, Err(Errno::EPERM));
}

#[test]
fn waits_are_as_long_as_they_were_asked_for_while_the_clock_on_the_wall_jumps() {
    if env::var_os("UNIX_IPC_CONNECTION").is_some() {
        sys::JUMPS.store(true, Ordering::Relaxed);
        refuse_the_clock_on_the_wall();
        assert_jumping();
        assert!(serve_in_child());
        return;
    }
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    sys::JUMPS.store(true, Ordering::Relaxed);
    refuse_the_clock_on_the_wall();
    assert_jumping();
    wait_in_every_way();
    before.assert_restored();
}

fn wait_in_every_way() {
    let time = Duration::from_millis(100);
    let client = spawn(true);
    warm(&client);
    let (begun, begins) = channel().unwrap();
    let (gate, closed) = channel().unwrap();
    let busy = client.begin_wait(&begun, closed).unwrap();
    begins.recv().unwrap();
    let hasty = client.with_timeout(time);
    let calls = [client.begin_echo(b"waits").unwrap(), client.begin_echo(b"waits").unwrap()];
    // One of them reads, and the others wait for it.
    thread::scope(|scope| {
        for call in calls {
            scope.spawn(move || {
                takes(time, || assert!(matches!(call.wait_timeout(time), Err(CallError::Timeout { .. }))));
            });
        }
        takes(time, || assert!(matches!(hasty.echo(b"waits"), Err(CallError::Timeout { .. }))));
    });
    takes(time, || assert!(matches!(begins.recv_timeout(time), Err(RecvError::Timeout))));
    let mut set = ReceiverSet::new();
    set.add(&begins);
    takes(time, || assert!(set.wait_timeout(time).unwrap().is_empty()));
    let bootstrapper = Bootstrapper::new().unwrap();
    takes(time, || assert!(matches!(bootstrapper.send_timeout(7, time), Err(SendError::Timeout(7)))));
    let mut limits = Limits::default();
    limits.handshake = time;
    // `sleep` waits by the clock on the wall.
    let mut silent = Command::new("/bin/sh");
    silent.args(["-c", "kill -STOP $$"]);
    takes(time, || {
        let spawned = Connection::spawn_with(silent, &SpawnOptions::new().limits(limits));
        assert!(matches!(spawned, Err(SpawnError::TimedOut { .. })));
    });
    drop(gate);
    busy.wait().unwrap();
    warm(&client);
    // One that is busy when its last client goes has its grace, by the reaper's clock.
    let (begun, begins) = channel().unwrap();
    let (_gate, closed) = channel().unwrap();
    let waits = client.begin_wait(&begun, closed).unwrap();
    begins.recv().unwrap();
    drop(waits);
}
