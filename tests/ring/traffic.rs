//! What goes through the rings.

use std::fs::File;
use std::io::Read;
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use unix_ipc::{CallError, Limits, PeerExit, SendError, SharedMemoryMut, channel};

use crate::service::{
    Mill, MillClient, Wheel, busy, busy_without_the_childs_rings, bytes, file_of, has_rings, serve_in_child,
};
use crate::util::{Holdings, Watchdog, alone, stay_on_one_core, threads, wait_until};

fn limits(ring_bytes: usize) -> Limits {
    let mut limits = Limits::default();
    limits.ring_bytes = ring_bytes;
    limits
}

#[test]
fn a_busy_connection_has_rings_and_one_that_may_not_has_none() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let with = busy(Limits::default());
    assert!(with.has_rings().unwrap());
    assert!(has_rings(std::process::id()));
    assert!(!busy(limits(0)).has_rings().unwrap(), "the spawner makes none");
    let refused = busy_without_the_childs_rings();
    assert!(!refused.has_rings().unwrap(), "the child takes none");
    assert_eq!(refused.echo(&bytes(300_000)).unwrap(), bytes(300_000));
}

/// A file that grows beyond the limit ends the process with SIGXFSZ, and memory is made as files.
#[test]
fn processes_that_may_have_no_long_files_go_on_over_the_socket() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    if !alone() {
        return;
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, 1000, hard).unwrap();
    let mill = busy(Limits::default());
    assert!(!mill.has_rings().unwrap());
    assert_eq!(mill.echo(&bytes(300_000)).unwrap(), bytes(300_000));

    let (sender, receiver) = channel::<Vec<u8>>().unwrap();
    // So many that there would be a lane.
    (0..150).for_each(|_| sender.send(vec![1]).unwrap());
    assert!(matches!(sender.try_send(bytes(300_000)), Err(SendError::Full(_))));
    assert_eq!(receiver.recv().unwrap(), [1]);
    assert_eq!(SharedMemoryMut::new(1 << 20).unwrap_err().kind(), std::io::ErrorKind::FileTooLarge);
    assert_eq!(SharedMemoryMut::new(1000).unwrap().len(), 1000);
}

#[test]
fn byte_strings_of_every_size_come_back_through_rings_of_every_size() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for ring in [1, 1 << 10, 1 << 14, 1 << 16, 1 << 20] {
        let mill = busy(limits(ring));
        assert!(mill.has_rings().unwrap());
        for len in [
            0,
            1,
            20,
            40,
            41,
            64,
            100,
            127,
            128,
            500,
            4095,
            4096,
            8200,
            32_768,
            65_520,
            65_521,
            200_000,
            3 << 20,
        ] {
            assert_eq!(mill.echo(&bytes(len)).unwrap(), bytes(len), "{len} bytes, ring of {ring}");
        }
    }
}

#[test]
fn long_calls_go_on_when_the_rings_come_in_the_middle_of_one() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for len in [60_000, 100_000, 1 << 20] {
        let sent = bytes(len);
        for _ in 0..10 {
            let mill = MillClient::spawn(unix_ipc::test_command()).unwrap();
            for _ in 0..12 {
                assert!(mill.echo(&sent).unwrap() == sent);
            }
            assert!(mill.has_rings().unwrap());
        }
    }
}

#[test]
fn p14_descriptors_come_with_their_calls_between_those_without() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mill = busy(Limits::default());
    for number in 0..300 {
        let text = format!("file {number}");
        assert_eq!(mill.add(number, 1).unwrap(), number + 1);
        assert_eq!(mill.read(&file_of(&text).unwrap().into()).unwrap(), text);
        let mut given = mill.give(&text).unwrap().into_inner();
        std::io::Seek::rewind(&mut given).unwrap();
        let mut back = String::new();
        given.read_to_string(&mut back).unwrap();
        assert_eq!(back, text);
    }
}

#[test]
fn calls_in_flight_with_descriptors_are_each_answered_for_their_own() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mill = busy(limits(1 << 12));
    let files: Vec<_> = (0..600).map(|number| file_of(&number.to_string()).unwrap().into()).collect();
    let pending: Vec<_> = files.iter().map(|file| mill.begin_read(file).unwrap()).collect();
    for (number, pending) in pending.into_iter().enumerate() {
        assert_eq!(pending.wait().unwrap(), number.to_string());
    }
}

#[test]
fn one_way_calls_keep_their_order_with_and_without_descriptors() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mill = busy(limits(1 << 10));
    for number in 0..3000 {
        if number % 7 == 0 {
            mill.note_file(number, File::open("/dev/null").unwrap().into()).unwrap();
        } else {
            mill.note(number).unwrap();
        }
    }
    assert_eq!(mill.noted().unwrap(), (0..3000).collect::<Vec<_>>());
}

#[test]
fn threads_share_a_ring_and_each_has_its_own_replies() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mill = busy(limits(1 << 12));
    thread::scope(|scope| {
        for caller in 0..8 {
            let mill = mill.clone();
            scope.spawn(move || {
                for number in 0..1000 {
                    assert_eq!(mill.add(caller, number).unwrap(), caller + number);
                    if number % 50 == 0 {
                        let sent = bytes(10_000 + caller as usize);
                        assert_eq!(mill.echo(&sent).unwrap(), sent);
                    }
                }
            });
        }
    });
}

#[test]
fn p28_both_ends_fill_their_rings_at_once_and_go_on() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mill = busy(limits(1 << 10));
    let sent = bytes(20_000);
    let pending: Vec<_> = (0..100).map(|_| mill.begin_echo(&sent).unwrap()).collect();
    for pending in pending {
        assert!(pending.wait().unwrap() == sent);
    }
}

#[test]
fn both_ends_on_one_core_take_turns() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    stay_on_one_core();
    let mill = busy(Limits::default());
    for number in 0..2000 {
        assert_eq!(mill.add(number, 1).unwrap(), number + 1);
    }
    let sent = bytes(1 << 20);
    assert!(mill.echo(&sent).unwrap() == sent);
}

#[test]
fn p41_a_socket_that_somebody_made_non_blocking_serves_through_rings_all_the_same() {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use std::os::fd::AsFd;
    use unix_ipc::Connection;

    let _watchdog = Watchdog::new();
    let flags = nix::sys::socket::SockFlag::SOCK_CLOEXEC;
    let family = nix::sys::socket::AddressFamily::Unix;
    let kind = nix::sys::socket::SockType::SeqPacket;
    let (ours, theirs) = nix::sys::socket::socketpair(family, kind, None, flags).unwrap();
    for end in [&ours, &theirs] {
        fcntl(end.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    }
    let serving = thread::spawn(|| {
        crate::service::MillServer::new(Wheel::default()).serve(Connection::from(theirs)).unwrap();
    });
    let mill = MillClient::from(Connection::from(ours));
    for number in 0..200 {
        assert_eq!(mill.add(number, 1).unwrap(), number + 1);
    }
    assert!(mill.has_rings().unwrap());
    thread::park_timeout(Duration::from_millis(5));
    assert_eq!(mill.add(1, 1).unwrap(), 2);
    drop(mill);
    serving.join().unwrap();
}

#[test]
fn a_channel_beside_the_calls_is_not_held_up() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mill = busy(Limits::default());
    let (sender, receiver) = channel().unwrap();
    let grinding = mill.begin_grind(sender, 1000).unwrap();
    assert_eq!(receiver.iter().map(Result::unwrap).collect::<Vec<u64>>(), (0..1000).collect::<Vec<_>>());
    grinding.wait().unwrap();
}

#[test]
fn a_child_that_ends_with_a_reply_in_its_ring_has_answered() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for _ in 0..50 {
        let mill = busy(Limits::default());
        let answered: Vec<_> = (0..20).map(|number| mill.begin_add(number, 1).unwrap()).collect();
        let ended = mill.begin_exit(3).unwrap();
        for (number, pending) in (0..).zip(answered) {
            assert_eq!(pending.wait().unwrap(), number + 1, "p30: the reply comes before the end");
        }
        let error = ended.wait().unwrap_err();
        assert!(matches!(error, CallError::PeerDied { exit: PeerExit::Exited(3), .. }), "{error:?}");
    }
}

#[test]
fn a_call_that_times_out_leaves_its_place_to_the_next() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let mill = busy(Limits::default());
    let hasty = mill.with_timeout(Duration::ZERO);
    for number in 0..100 {
        assert!(matches!(hasty.add(number, 1), Ok(_) | Err(CallError::Timeout { .. })));
        assert_eq!(mill.add(number, 2).unwrap(), number + 2);
    }
}

#[test]
fn p01_nothing_is_left_of_a_connection_with_rings() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = (Holdings::now(), threads());
    for _ in 0..20 {
        let mill = busy(Limits::default());
        let at_first = mill.descriptors().unwrap();
        for number in 0..100 {
            mill.read(&file_of(&format!("{number}")).unwrap().into()).unwrap();
            mill.give("text").unwrap();
        }
        assert_eq!(mill.descriptors().unwrap(), at_first);
    }
    before.0.assert_restored();
    assert!(wait_until(Duration::from_secs(20), || threads() == before.1));
    assert!(!has_rings(std::process::id()), "the memory is gone as well");
}

#[test]
fn a_local_client_has_rings_too() {
    let _watchdog = Watchdog::new();
    let mill = MillClient::local(Wheel::default()).unwrap();
    for number in 0..10_000 {
        assert_eq!(mill.add(number, 1).unwrap(), Wheel::default().add(number, 1));
    }
    assert!(mill.has_rings().unwrap());
}
