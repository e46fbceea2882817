use std::fs::File;
use std::io::{self, Read, Write};
use std::process;
use std::sync::Barrier;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::stat::fstat;

use super::*;
use crate::deadline::Deadline;
use crate::service::child::claim::CONNECTION_VARIABLE;
use crate::sys::inherit::{Announcement, Unreadable};

#[test]
fn the_socket_is_claimed_once_and_moved_away_from_standard_input() {
    if role().is_none() {
        let (child, socket) = start_default(&mut rerun("child"));
        assert_eq!(hear(&socket).as_deref(), Some("claimed"));
        assert_eq!(child.exit(WATCHDOG), Some(PeerExit::Exited(0)));
        return;
    }
    let socket = claimed();
    assert!(claim().unwrap().is_none());
    assert!(socket.as_raw_fd() > 2);
    assert_ne!(fcntl(&socket, FcntlArg::F_GETFD).unwrap() & FdFlag::FD_CLOEXEC.bits(), 0);
    assert_eq!(name_of(io::stdin().as_fd()).as_os_str(), "/dev/null");
    assert!(env::var_os(CONNECTION_VARIABLE).is_some());
    say(&socket, "claimed");
}

#[test]
fn one_of_many_threads_claims_the_socket() {
    if role().is_none() {
        return succeeds(&mut rerun("child"));
    }
    let together = Barrier::new(8);
    let attempt = || {
        together.wait();
        claim().unwrap()
    };
    let claimed = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(attempt)).collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).count()
    });
    assert_eq!(claimed, 1);
}

#[test]
fn a_grandchild_cannot_claim_its_parents_socket() {
    match role().as_deref() {
        None => succeeds(&mut rerun("child")),
        Some("child") => {
            // It has the variable and the socket itself, and then the variable alone.
            assert!(rerun("grandchild").status().unwrap().success());
            let _socket = claimed();
            assert!(rerun("grandchild").status().unwrap().success());
        }
        Some(_) => {
            assert!(env::var_os(CONNECTION_VARIABLE).is_some());
            let before = name_of(io::stdin().as_fd());
            assert!(claim().unwrap().is_none());
            assert_eq!(name_of(io::stdin().as_fd()), before);
        }
    }
}

#[test]
fn a_child_that_keeps_its_standard_input_can_read_it() {
    if role().is_none() {
        let (input, mut writer) = io::pipe().unwrap();
        writer.write_all(b"read me").unwrap();
        drop(writer);
        let (child, socket) = start_with(rerun("child").stdin(input), &SpawnOptions::new().keep_stdin(true));
        assert_eq!(hear(&socket).as_deref(), Some("read me"));
        assert_eq!(child.exit(WATCHDOG), Some(PeerExit::Exited(0)));
        return;
    }
    let came_at = announced().split(':').next().unwrap().parse::<i32>().unwrap();
    let socket = claimed();
    let numbers: BTreeSet<_> = descriptors_of(process::id()).into_iter().map(|(number, _)| number).collect();
    assert!(!numbers.contains(&came_at), "the number it came at stayed open");
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).unwrap();
    say(&socket, &text);
}

fn announced() -> String {
    env::var(CONNECTION_VARIABLE).unwrap()
}

#[test]
fn the_spawner_itself_claims_nothing() {
    let (ours, theirs) = pair();
    let name = name_of(theirs.as_fd());
    let announcement = Announcement::in_place(theirs.as_fd()).unwrap();
    assert!(announcement.take().unwrap().is_none());
    drop(ours);
    assert!(wait::ready(theirs.as_fd(), PollFlags::empty(), Deadline::after(WATCHDOG)).unwrap());
    assert!(announcement.take().unwrap().is_none());
    assert_eq!(name_of(theirs.as_fd()), name);
    assert!(claim().unwrap().is_none());
}

const CLAIMED: i32 = 10;
const NOTHING: i32 = 11;

/// What a child claims that has `stdin` and is told `announcement`.
fn claim_of(stdin: impl Into<Stdio>, announcement: &str) -> i32 {
    let mut command = rerun("child");
    command.stdin(stdin).env(CONNECTION_VARIABLE, announcement);
    command.status().unwrap().code().unwrap()
}

fn answer_with_the_claim() {
    let before = name_of(io::stdin().as_fd());
    let claimed = claim().unwrap();
    if claimed.is_none() {
        assert_eq!(name_of(io::stdin().as_fd()), before);
    }
    process::exit(if claimed.is_some() { CLAIMED } else { NOTHING });
}

/// As the spawner writes it, but for the number.
fn announce(number: i32, fd: BorrowedFd<'_>, spawner: u32) -> String {
    let stat = fstat(fd).unwrap();
    format!("{number}:{}:{}:{spawner}", stat.st_dev, stat.st_ino)
}

#[test]
fn what_was_announced_is_claimed() {
    if role().is_some() {
        return answer_with_the_claim();
    }
    let (_ours, theirs) = pair();
    let announcement = announce(0, theirs.as_fd(), process::id());
    assert_eq!(claim_of(theirs, &announcement), CLAIMED);
}

#[test]
fn another_socket_than_the_one_announced_is_not_claimed() {
    if role().is_some() {
        return answer_with_the_claim();
    }
    let (ours, theirs) = pair();
    let announcement = announce(0, ours.as_fd(), process::id());
    assert_eq!(claim_of(theirs, &announcement), NOTHING);
}

#[test]
fn a_stream_and_a_file_are_not_claimed() {
    if role().is_some() {
        return answer_with_the_claim();
    }
    let (_ours, stream) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let announcement = announce(0, stream.as_fd(), process::id());
    assert_eq!(claim_of(stream, &announcement), NOTHING);
    let file = File::open("/dev/null").unwrap();
    let announcement = announce(0, file.as_fd(), process::id());
    assert_eq!(claim_of(file, &announcement), NOTHING);
}

#[test]
fn a_descriptor_that_is_not_there_is_not_claimed() {
    if role().is_some() {
        return answer_with_the_claim();
    }
    for number in [-1, 1, 2, 777, i32::MAX] {
        let (_ours, theirs) = pair();
        let announcement = announce(number, theirs.as_fd(), process::id());
        assert_eq!(claim_of(theirs, &announcement), NOTHING, "{number}");
    }
}

#[test]
fn p48_a_child_whose_parent_is_gone_finds_a_connection_that_has_ended() {
    if role().is_some() {
        return answer_with_the_claim();
    }
    let not_the_parent = 1;
    let (ours, theirs) = pair();
    let announcement = announce(0, theirs.as_fd(), not_the_parent);
    assert_eq!(claim_of(theirs.try_clone().unwrap(), &announcement), NOTHING);
    drop(ours);
    // A process that another test is about to start may still have a copy of it.
    assert!(wait::ready(theirs.as_fd(), PollFlags::empty(), Deadline::after(WATCHDOG)).unwrap());
    assert_eq!(claim_of(theirs, &announcement), CLAIMED);
}

#[test]
fn a_variable_that_says_nothing_is_ignored() {
    if role().is_some() {
        return answer_with_the_claim();
    }
    for text in ["", "0", "0:1:2", "x:1:2:3", "0:1:2:3:4"] {
        let (_ours, theirs) = pair();
        assert_eq!(claim_of(theirs, text), NOTHING, "{text}");
    }
}

#[test]
fn an_announcement_reads_as_it_was_written() {
    let (_ours, theirs) = pair();
    let written = Announcement::at_stdin(theirs.as_fd()).unwrap();
    assert_eq!(written.to_string(), announce(0, theirs.as_fd(), process::id()));
    assert_eq!(written.to_string().parse(), Ok(written));
    for text in ["", "0:1:2", "0:1:2:3:", "0:1:2:-3", "0::2:3", "99999999999:1:2:3"] {
        assert_eq!(text.parse::<Announcement>(), Err(Unreadable), "{text}");
    }
}
