//! Each client of many, and each call of one, for itself.

use std::fs::File;
use std::thread;
use std::time::Duration;

use unix_ipc::{Connection, channel, ipc_service, test_command};

use crate::service::{HallClient, House, busy, bytes, file_of, has_rings, serve_in_child, warm};
use crate::util::{Holdings, Watchdog, alone, stay_on_one_core, threads, wait_until};

const USUAL: usize = 1 << 16;

fn call_everything(hall: &HallClient, caller: i64) {
    for number in 0..300 {
        assert_eq!(hall.add(caller, number).expect("the server lives"), caller + number);
        if number % 20 == 0 {
            let sent = bytes(100 * number as usize + caller as usize);
            assert!(hall.echo(&sent).expect("the server lives") == sent);
            let text = format!("{caller} {number}");
            assert_eq!(hall.read(&file_of(&text)).expect("the server lives"), text);
        }
    }
    let sent = bytes(1 << 20);
    assert!(hall.echo(&sent).expect("the server lives") == sent);
}

fn clients_and_threads_of_clients() {
    for workers in [1, 4] {
        let house = House::open(workers, USUAL);
        thread::scope(|scope| {
            for caller in 0..6 {
                let hall = house.busy_client();
                assert!(hall.has_rings().expect("the server lives"));
                if caller == 0 {
                    let shared = hall.clone();
                    scope.spawn(move || call_everything(&shared, 1000));
                }
                scope.spawn(move || call_everything(&hall, caller));
            }
        });
    }
}

#[test]
fn each_client_has_its_own_answers() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    clients_and_threads_of_clients();
    assert!(wait_until(Duration::from_secs(20), || !has_rings(std::process::id())), "the memory is gone");
}

#[test]
fn threads_of_one_client_have_their_own_answers_of_workers() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let hall = busy(3, 1 << 12);
    assert_eq!(hall.has_rings().unwrap(), !cfg!(unix_ipc_without_rings));
    thread::scope(|scope| {
        for caller in 0..8 {
            let hall = hall.clone();
            scope.spawn(move || call_everything(&hall, caller));
        }
    });
}

/// The bell for room lies in the socket between the files of calls that are read meanwhile.
#[test]
fn p28_replies_without_room_are_sent_while_calls_with_files_are_read() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let hall = busy(4, 1 << 10);
    thread::scope(|scope| {
        for caller in 0..4 {
            let (reads, hall) = (hall.clone(), hall.clone());
            scope.spawn(move || {
                let text = format!("{caller}");
                let file = file_of(&text);
                for _ in 0..500 {
                    assert_eq!(reads.read(&file).unwrap(), text);
                }
            });
            scope.spawn(move || {
                for _ in 0..500 {
                    assert_eq!(hall.fill(2000).unwrap().len(), 2000);
                }
            });
        }
    });
}

#[test]
fn all_on_one_core_take_turns() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    stay_on_one_core();
    clients_and_threads_of_clients();
    let hall = busy(3, USUAL);
    call_everything(&hall, 1);
    let meeting: Vec<_> = (0..3).map(|_| hall.begin_meet(1, 3).unwrap()).collect();
    meeting.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), 1));
}

#[test]
fn one_thread_keeps_the_order_of_each_clients_one_way_calls() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let house = House::open(1, 1 << 10);
    thread::scope(|scope| {
        for who in 0..4 {
            let hall = house.client();
            scope.spawn(move || {
                for number in 0..2000 {
                    if number % 50 == 7 {
                        hall.note_file(who, number, File::open("/dev/null").unwrap().into()).unwrap();
                    } else {
                        hall.note(who, number).unwrap();
                    }
                    if number == 20 {
                        warm(hall.clone());
                    }
                }
                assert_eq!(hall.noted(who).unwrap(), (0..2000).collect::<Vec<_>>());
            });
        }
    });
}

#[test]
fn a_client_that_sends_without_end_does_not_starve_the_others() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for workers in [1, 2] {
        let house = House::open(workers, USUAL);
        let (endless, new) = (house.busy_client(), house.busy_client());
        let (gate, closed) = channel::<()>().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                while matches!(closed.try_recv(), Ok(None)) {
                    endless.note(0, 1).unwrap();
                }
            });
            // One that has a ring, one without, and many that are new.
            for number in 0..200 {
                assert_eq!(new.add(number, 1).unwrap(), number + 1);
            }
            for number in 0..20 {
                assert_eq!(house.client().add(number, 2).unwrap(), number + 2);
            }
            drop(gate);
        });
    }
}

#[ipc_service]
trait Hand {
    /// Works with the client and gives it back.
    fn work(&self, hall: HallClient) -> (u32, HallClient);
}

struct Worker;

impl Hand for Worker {
    fn work(&self, hall: HallClient) -> (u32, HallClient) {
        call_everything(&hall, 5);
        (std::process::id(), hall)
    }
}

const ROLE: &str = "UNIX_IPC_TEST_HAND";

/// True in a child that is another process's hand, when it has served.
fn serve_as_hand() -> bool {
    let is_hand = std::env::var_os(ROLE).is_some();
    if is_hand {
        let connection = Connection::inherited().expect("the socket is there").expect("it was spawned");
        HandServer::new(Worker).serve(connection).expect("it serves until nobody needs it");
    }
    is_hand
}

/// A child to which clients can move.
fn hand() -> HandClient {
    let mut command = test_command();
    command.env(ROLE, "1");
    HandClient::spawn(command).expect("the test runs again")
}

#[test]
fn a_client_moves_to_another_process_and_back() {
    if serve_as_hand() || serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let hand = hand();
    for workers in [1, 3] {
        let house = House::open(workers, USUAL);
        let other = house.busy_client();
        let mut halls = [house.busy_client(), busy(workers, USUAL)];
        for round in 0..5 {
            for hall in &mut halls {
                let (elsewhere, back) = hand.work(std::mem::replace(hall, house.client())).unwrap();
                assert_ne!(elsewhere, std::process::id());
                call_everything(&back, round);
                *hall = back;
                assert_eq!(other.add(round, 1).unwrap(), round + 1);
            }
        }
    }
}

#[test]
fn a_client_moves_although_replies_wait_that_nobody_wants() {
    if serve_as_hand() || serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let hand = hand();
    let house = House::open(1, 1 << 10);
    for mut hall in [house.busy_client(), busy(3, 1 << 10), busy(1, 1 << 10)] {
        for _ in 0..5 {
            // Short ones, because a client does not move in the middle of a reply, and more than its ring has room for.
            for _ in 0..12 {
                drop(hall.begin_fill(200).unwrap());
            }
            (_, hall) = hand.work(hall).unwrap();
        }
    }
}

#[test]
fn p01_nothing_is_left_of_clients_that_were() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = (Holdings::now(), threads());
    for workers in [1, 3] {
        let house = House::open(workers, USUAL);
        // One more thread runs the test, and one serves the keeper.
        let is_open = || house.keeper.threads().unwrap() == workers + 2;
        let stays = house.busy_client();
        assert!(wait_until(Duration::from_secs(20), is_open));
        let at_first = (house.keeper.descriptors().unwrap(), house.keeper.threads().unwrap());
        for number in 0..20 {
            let hall = house.busy_client();
            let unread: Vec<_> = (0..number).map(|_| hall.begin_echo(&bytes(10_000)).unwrap()).collect();
            call_everything(&hall, 1);
            drop(unread);
        }
        let is_as_before =
            || (house.keeper.descriptors().unwrap(), house.keeper.threads().unwrap()) == at_first;
        assert!(wait_until(Duration::from_secs(20), is_as_before), "{at_first:?}");
        drop(warm(stays));
    }
    before.0.assert_restored();
    assert!(wait_until(Duration::from_secs(20), || threads() == before.1));
    assert!(!has_rings(std::process::id()), "the memory is gone as well");
}
