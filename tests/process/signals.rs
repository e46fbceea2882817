//! Signal actions of the host program that the library must not depend on.

use std::fs;
use std::io;
use std::process::Command;

use nix::sys::signal::Signal;
use unix_ipc::{CallError, PeerExit, SpawnError, test_command};

use crate::util::{Holdings, Watchdog};
use crate::worker::{WorkerClient, again, behind_a_shell, is_child, role};

/// A host that ignores SIGCHLD has its children reaped by the kernel.
#[test]
fn a_host_that_ignores_sigchld_has_no_error_and_at_worst_no_status() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    if role().is_none() {
        let mut host = behind_a_shell("exec env --ignore-signal=CHLD \"$@\"", &again("host"));
        assert!(host.status().unwrap().success());
        return;
    }
    assert!(
        ignores(Signal::SIGCHLD).unwrap(),
        "`env --ignore-signal` (coreutils 8.31) left the signal as it was"
    );
    let before = Holdings::now();
    for _ in 0..20 {
        let client = WorkerClient::spawn(test_command()).unwrap();
        assert_eq!(client.echo(b"hello").unwrap(), b"hello");
        let exit = match client.exit(3).unwrap_err() {
            CallError::PeerDied { exit, .. } => exit,
            other => panic!("{other:?}"),
        };
        assert!(matches!(exit, PeerExit::Exited(3) | PeerExit::Unknown), "{exit:?}");
    }
    match WorkerClient::spawn(Command::new("/bin/false")).unwrap_err() {
        SpawnError::Exited(PeerExit::Exited(1) | PeerExit::Unknown) => {}
        other => panic!("{other:?}"),
    }
    drop((0..20).map(|_| WorkerClient::spawn(test_command()).unwrap()).collect::<Vec<_>>());
    before.assert_restored();
}

fn ignores(signal: Signal) -> io::Result<bool> {
    let status = fs::read_to_string("/proc/self/status")?;
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap_or_default();
    Ok(ignored & (1 << (signal as i32 - 1)) != 0)
}
