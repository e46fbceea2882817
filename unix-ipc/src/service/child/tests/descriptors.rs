use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::service::child::claim::CONNECTION_VARIABLE;

fn numbers_of(pid: u32) -> BTreeSet<i32> {
    descriptors_of(pid).into_iter().map(|(number, _)| number).collect()
}

/// The program loader has files of its own open for a moment, so this looks until they are gone.
fn expect_numbers(child: &Child, expected: &BTreeSet<i32>) {
    eventually("nothing but what the child should have", || numbers_of(child.pid()) == *expected);
}

#[test]
fn p19_a_child_has_the_standard_streams_and_nothing_else() {
    let _opened_before = pair();
    let (child, socket) = start_default(&mut Command::new("/bin/cat"));
    expect_numbers(&child, &inherited_by_all());
    drop(socket);
    assert_eq!(child.exit(WATCHDOG), Some(PeerExit::Exited(0)));
}

#[test]
fn p19_a_child_that_keeps_its_standard_input_has_the_socket_beside_it() {
    let (ours, theirs) = pair();
    let (number, name) = (theirs.as_raw_fd(), name_of(theirs.as_fd()));
    let (input, _keeps_it_running) = std::io::pipe().unwrap();
    let options = SpawnOptions::new().keep_stdin(true);
    let child = start(Command::new("/bin/cat").stdin(input), theirs, None, &options).unwrap();
    let mut expected = inherited_by_all();
    expected.insert(number);
    expect_numbers(&child, &expected);
    assert!(descriptors_of(child.pid()).contains(&(number, name)));
    drop(ours);
    child.kill().unwrap();
}

#[test]
fn p20_children_started_at_once_have_each_their_own_socket() {
    let expected = inherited_by_all();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..10).for_each(|round| start_and_compare(round % 5 == 0, &expected)));
        }
    });
}

/// Starts a child, the one way or the other, and sees that it has its own socket and no other.
fn start_and_compare(keep_stdin: bool, expected: &BTreeSet<i32>) {
    let (ours, theirs) = pair();
    let name = name_of(theirs.as_fd());
    let number = if keep_stdin { theirs.as_raw_fd() } else { 0 };
    let (input, keeps_it_running) = std::io::pipe().unwrap();
    let options = SpawnOptions::new().keep_stdin(keep_stdin);
    let child = start(Command::new("/bin/cat").stdin(input), theirs, None, &options).unwrap();
    let mut expected = expected.clone();
    expected.insert(number);
    expect_numbers(&child, &expected);
    let named: BTreeMap<_, _> = descriptors_of(child.pid()).into_iter().collect();
    assert_eq!(named.get(&number), Some(&name));
    drop((ours, keeps_it_running));
    assert_eq!(child.exit(WATCHDOG), Some(PeerExit::Exited(0)));
}

#[test]
fn the_end_is_seen_while_the_command_is_kept() {
    for keep_stdin in [false, true] {
        let mut command = Command::new("/bin/true");
        let (child, socket) = start_with(&mut command, &SpawnOptions::new().keep_stdin(keep_stdin));
        assert_eq!(hear(&socket), None);
        assert_eq!(child.exit(WATCHDOG), Some(PeerExit::Exited(0)));
        drop(command);
    }
}

#[test]
fn the_end_is_seen_after_a_start_that_failed() {
    for keep_stdin in [false, true] {
        let (ours, theirs) = pair();
        let mut command = Command::new("/nowhere/at/all");
        start(&mut command, theirs, None, &SpawnOptions::new().keep_stdin(keep_stdin)).unwrap_err();
        assert_eq!(hear(&ours), None);
        drop(command);
    }
}

#[test]
fn a_command_can_be_started_from_again() {
    let announced = format!("[ -n \"${CONNECTION_VARIABLE}\" ]");
    let mut command = shell(&announced);
    for keep_stdin in [false, true, false, true] {
        let (child, _socket) = start_with(&mut command, &SpawnOptions::new().keep_stdin(keep_stdin));
        assert_eq!(child.exit(WATCHDOG), Some(PeerExit::Exited(0)));
        assert_eq!(command.status().unwrap().code(), Some(1), "the variable stayed in the command");
    }
}

#[test]
fn a_command_started_elsewhere_reads_nothing_of_ours() {
    let mut command = shell("readlink /proc/self/fd/0");
    let (child, _socket) = start_default(command.stdout(Stdio::null()));
    child.exit(WATCHDOG).unwrap();
    let output = command.stdout(Stdio::piped()).output().unwrap();
    assert_eq!(output.stdout, b"/dev/null\n");
}

#[test]
fn a_child_dumps_no_core_unless_it_is_asked_to() {
    if role().is_none() {
        let mut parent = rerun_after("ulimit -S -c $(ulimit -H -c)", "parent");
        // Its own limit is the shell's to set.
        let (parent, _socket) = start_with(&mut parent, &SpawnOptions::new().core_dumps(true));
        assert_eq!(parent.exit(WATCHDOG), Some(PeerExit::Exited(0)));
        return;
    }
    let own = core_limits("self");
    assert_eq!(core_limits_of_child(false), ["0", own[1].as_str()]);
    assert_eq!(core_limits_of_child(true), own);
}

fn core_limits_of_child(allowed: bool) -> [String; 2] {
    let options = SpawnOptions::new().core_dumps(allowed);
    let (child, _socket) = start_with(&mut Command::new("/bin/cat"), &options);
    core_limits(&child.pid().to_string())
}

/// The soft limit and the hard one.
fn core_limits(process: &str) -> [String; 2] {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    let mut words = line.split_whitespace().map(str::to_owned);
    [words.next().unwrap(), words.next().unwrap()]
}
