//! What options take away from a child, and code between fork and exec.

use std::fs::{self, File};
use std::io;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Uid, User, getsid, setgid, setsid, setuid};
use unix_ipc::{CallError, Connection, PeerExit, Rlimit, SpawnError, SpawnOptions, test_command};

use crate::util::{self, Holdings, Watchdog};
use crate::worker::{WorkerClient, is_child};

fn spawn(command: &mut Command, options: &SpawnOptions) -> WorkerClient {
    WorkerClient::new(Connection::spawn_with(command, options).expect("the test runs as a child"))
}

/// A file that every program would inherit which this process starts.
fn inheritable() -> File {
    let file = File::open("/dev/zero").expect("there is a /dev");
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).expect("the descriptor is open");
    file
}

#[test]
fn p19_closed_descriptors_are_not_in_the_child_close_on_exec_or_not() {
    if is_child() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let _files: Vec<_> = (0..20).map(|_| inheritable()).collect();
    let closing = SpawnOptions::new().close_descriptors(true);
    let of = |options: &SpawnOptions| spawn(&mut test_command(), options).started_with().unwrap();
    let count =
        |started_with: &[(u32, String)]| started_with.iter().filter(|(_, what)| what == "/dev/zero").count();
    assert_eq!(count(&of(&SpawnOptions::new())), 20, "the test shows something");

    let started_with = of(&closing);
    let numbers: Vec<_> = started_with.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [0, 1, 2], "{started_with:?}");
    assert!(started_with[0].1.starts_with("socket:"), "{started_with:?}");

    let started_with = of(&closing.keep_stdin(true));
    assert!(
        matches!(&started_with[..], [_, _, _, (4.., beside)] if beside.starts_with("socket:")),
        "{started_with:?}"
    );
}

#[test]
fn an_empty_environment_has_what_the_command_was_told() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let variables = |client: &WorkerClient| {
        let text = fs::read_to_string(format!("/proc/{}/environ", client.process().unwrap())).unwrap();
        let mut names: Vec<_> =
            text.split_terminator('\0').map(|line| line.split('=').next().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let mut command = test_command();
    command.env("TOLD", "yes").env_remove("HOME");
    let mut told: Vec<_> = command
        .get_envs()
        .filter(|(_, value)| value.is_some())
        .map(|(name, _)| name.to_str().unwrap().to_owned())
        .collect();
    let inheriting = variables(&spawn(&mut command, &SpawnOptions::new()));
    assert!(inheriting.len() > told.len() + 1, "{inheriting:?}");

    let emptied = variables(&spawn(&mut command, &SpawnOptions::new().empty_environment(true)));
    told.extend(emptied.iter().find(|name| name.starts_with("UNIX_IPC_") && !told.contains(name)).cloned());
    told.sort();
    assert_eq!(emptied, told);
}

#[test]
fn limits_are_set_before_the_first_call_and_cannot_be_raised() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let limits = [
        (Rlimit::AddressSpace, "Max address space", 1 << 30),
        (Rlimit::CpuTime, "Max cpu time", 600),
        (Rlimit::Data, "Max data size", 1 << 29),
        (Rlimit::Descriptors, "Max open files", 64),
        (Rlimit::FileSize, "Max file size", 1 << 20),
        (Rlimit::LockedMemory, "Max locked memory", 4096),
        (Rlimit::Processes, "Max processes", 1000),
        (Rlimit::Stack, "Max stack size", 1 << 20),
    ];
    // Of two for the same resource the later one counts.
    let mut options = SpawnOptions::new().rlimit(Rlimit::CpuTime, 1);
    for (limit, _, value) in limits {
        options = options.rlimit(limit, value);
    }
    let connection = Connection::spawn_with(test_command(), &options).unwrap();
    let pid = connection.peer_credentials().unwrap().pid();
    let shown = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    for (_, name, value) in limits {
        let line = shown.lines().find(|line| line.starts_with(name)).unwrap();
        let numbers: Vec<_> = line[name.len()..].split_whitespace().take(2).collect();
        assert_eq!(numbers, [value.to_string(), value.to_string()], "{shown}");
    }
    assert_eq!(WorkerClient::new(connection).echo(b"in bounds").unwrap(), b"in bounds");
}

#[test]
fn a_child_above_its_processor_time_is_killed() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let client = spawn(&mut test_command(), &SpawnOptions::new().rlimit(Rlimit::CpuTime, 1));
    let error = client.be_busy().unwrap_err();
    assert!(matches!(&error, CallError::PeerDied { exit: PeerExit::Killed(libc::SIGKILL), .. }), "{error:?}");
}

#[test]
fn a_limit_that_cannot_be_set_is_an_error_and_leaves_no_child() {
    if is_child() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    // A privileged process may raise a limit.
    if Uid::effective().is_root() {
        let nobody = User::from_name("nobody").unwrap().expect("there is one");
        setgid(nobody.gid).unwrap();
        setuid(nobody.uid).unwrap();
    }
    setrlimit(Resource::RLIMIT_STACK, 8 << 20, 8 << 20).unwrap();
    let before = Holdings::now();
    let options = SpawnOptions::new().rlimit(Rlimit::Stack, 9 << 20);
    let mut command = Command::new("/bin/sleep");
    let error = Connection::spawn_with(command.arg("1000"), &options).unwrap_err();
    assert_eq!(error.to_string(), "the child's limit on the stack could not be set");
    assert!(
        matches!(&error, SpawnError::Rlimit { limit: Rlimit::Stack, source }
            if source.raw_os_error() == Some(libc::EPERM)),
        "{error:?}"
    );
    before.assert_restored();
    assert_eq!(getrlimit(Resource::RLIMIT_STACK).unwrap().0, 8 << 20, "this process keeps its own");
}

#[test]
fn a_child_that_has_ended_before_its_limit_is_named_by_its_status() {
    let _watchdog = Watchdog::new();
    let options = SpawnOptions::new().rlimit(Rlimit::Descriptors, 32);
    for _ in 0..20 {
        let error = Connection::spawn_with(Command::new("/bin/false"), &options).unwrap_err();
        assert!(matches!(error, SpawnError::Exited(PeerExit::Exited(1))), "{error:?}");
    }
}

#[test]
fn a_hook_runs_in_the_children_of_its_options_and_in_no_other_of_the_command() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let is_leader = |client: &WorkerClient| {
        let pid = nix::unistd::Pid::from_raw(client.process().unwrap().cast_signed());
        getsid(Some(pid)).unwrap() == pid
    };
    // SAFETY: the hook makes one system call.
    let leading = unsafe { SpawnOptions::new().pre_exec(|| Ok(setsid().map(drop)?)) };
    let mut command = test_command();
    for options in [&leading, &leading.clone(), &leading.clone().keep_stdin(true)] {
        assert!(is_leader(&spawn(&mut command, options)));
        command.stdin(std::process::Stdio::null());
        assert!(!is_leader(&spawn(&mut command, &SpawnOptions::new())));
    }
    assert!(format!("{leading:?}").contains("Hook"));
}

#[test]
fn hooks_run_in_the_order_given_behind_the_closing_of_descriptors() {
    if is_child() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (one, other) = (Arc::new(inheritable()), Arc::new(inheritable()));
    let flag = |file: &Arc<File>, flag: FdFlag| {
        let file = Arc::clone(file);
        move || Ok(fcntl(&*file, FcntlArg::F_SETFD(flag)).map(drop)?)
    };
    let options = SpawnOptions::new().close_descriptors(true);
    // SAFETY: each hook makes one system call.
    let options = unsafe {
        options
            .pre_exec(flag(&one, FdFlag::empty()))
            .pre_exec(flag(&other, FdFlag::empty()))
            .pre_exec(flag(&other, FdFlag::FD_CLOEXEC))
    };
    let started_with = spawn(&mut test_command(), &options).started_with().unwrap();
    assert_eq!(started_with.iter().filter(|(_, what)| what == "/dev/zero").count(), 1, "{started_with:?}");
}

#[test]
fn an_error_of_a_hook_is_one_of_the_start_and_leaves_no_child() {
    if is_child() || !util::alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let fails = Arc::new(AtomicBool::new(true));
    let hook = {
        let fails = Arc::clone(&fails);
        move || {
            if fails.load(Ordering::Relaxed) {
                Err(io::Error::from_raw_os_error(libc::EXDEV))
            } else {
                Ok(())
            }
        }
    };
    // SAFETY: the hook reads a number, and its error is one.
    let options = unsafe { SpawnOptions::new().pre_exec(hook) };
    let mut command = test_command();
    let before = Holdings::now();
    for _ in 0..10 {
        let error = Connection::spawn_with(&mut command, &options).unwrap_err();
        assert!(
            matches!(&error, SpawnError::Start(source) if source.raw_os_error() == Some(libc::EXDEV)),
            "{error:?}"
        );
    }
    before.assert_restored();
    fails.store(false, Ordering::Relaxed);
    assert_eq!(spawn(&mut command, &options).echo(b"now").unwrap(), b"now");
}
