//! Who holds up whom, and what nobody costs.

use std::thread;
use std::time::Duration;

use unix_ipc::channel;

use crate::service::{HallClient, House, busy, bytes, serve_in_child, warm};
use crate::util::{Watchdog, wait_until};

const USUAL: usize = 1 << 16;

#[test]
fn calls_that_wait_for_each_other_run_at_once_however_brief_those_before_were() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let house = House::open(3, USUAL);
    let alone = busy(3, USUAL);
    let others: Vec<HallClient> = (0..3).map(|_| house.busy_client()).collect();
    let halls: [&[&HallClient]; 3] = [&[&alone; 3], &[&others[0]; 3], &[&others[0], &others[1], &others[2]]];
    for meeting in 0..100 {
        for halls in halls {
            // Sometimes the server is on its way to sleep, sometimes its handlers have been brief for long.
            for number in 0..meeting % 40 {
                assert_eq!(halls[0].add(number as i64, 1).unwrap(), number as i64 + 1);
            }
            let calls: Vec<_> = halls.iter().map(|hall| hall.begin_meet(meeting, 3).unwrap()).collect();
            calls.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), meeting));
        }
    }
}

#[test]
fn a_call_that_takes_long_holds_up_nobody_while_there_is_another_worker() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let house = House::open(3, USUAL);
    let halls = [busy(3, USUAL), house.busy_client(), house.busy_client()];
    for hall in &halls {
        for _ in 0..20 {
            let (gate, closed) = channel::<()>().unwrap();
            let (other_gate, other_closed) = channel::<()>().unwrap();
            // The second comes with others behind it while the first runs.
            let waits = hall.begin_wait(closed).unwrap();
            let behind: Vec<_> = (0..10).map(|number| hall.begin_add(number, 1).unwrap()).collect();
            let also_waits = hall.begin_wait(other_closed).unwrap();
            for (number, call) in (0..).zip(behind) {
                assert_eq!(call.wait().unwrap(), number + 1);
            }
            warm(hall.clone());
            if !std::ptr::eq(hall, &halls[0]) {
                halls[1..].iter().for_each(|hall| drop(warm(hall.clone())));
            }
            drop(gate);
            assert_eq!(waits.wait().unwrap(), 7);
            drop(other_gate);
            assert_eq!(also_waits.wait().unwrap(), 7);
        }
    }
}

#[test]
fn p28_a_client_that_does_not_read_stalls_itself_alone() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for workers in [1, 3] {
        let house = House::open(workers, USUAL);
        let lazy: Vec<_> = (0..3).map(|_| house.busy_client()).collect();
        let sent = bytes(20_000);
        let unread: Vec<_> = lazy
            .iter()
            .flat_map(|hall| (0..100).map(|_| hall.begin_echo(&sent).unwrap()).collect::<Vec<_>>())
            .collect();
        let hall = house.busy_client();
        for _ in 0..5 {
            warm(hall.clone());
        }
        // Read after all, every byte is there.
        unread.into_iter().for_each(|call| assert!(call.wait().unwrap() == sent));
        lazy.into_iter().for_each(|hall| drop(warm(hall)));
    }
}

#[test]
fn p28_rings_that_are_full_both_ways_go_on() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for workers in [1, 3] {
        let house = House::open(workers, 1 << 10);
        let halls = [house.busy_client(), house.busy_client(), busy(workers, 1 << 10)];
        thread::scope(|scope| {
            for hall in &halls {
                scope.spawn(move || {
                    let sent = bytes(20_000);
                    let calls: Vec<_> = (0..50).map(|_| hall.begin_echo(&sent).unwrap()).collect();
                    calls.into_iter().for_each(|call| assert!(call.wait().unwrap() == sent));
                });
            }
        });
    }
}

#[test]
fn calls_after_pauses_are_heard() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for workers in [1, 3] {
        let house = House::open(workers, USUAL);
        let halls = [house.busy_client(), house.busy_client(), busy(workers, USUAL)];
        // The pauses are about as long as a server looks before it sleeps.
        for pause in 0..400 {
            for (number, hall) in halls.iter().enumerate() {
                thread::park_timeout(Duration::from_micros(pause % 80));
                assert_eq!(hall.add(number as i64, 1).unwrap(), number as i64 + 1);
            }
        }
    }
}

#[test]
fn nobody_who_calls_costs_no_processor_time() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    for workers in [1, 3] {
        let house = House::open(workers, USUAL);
        let halls = [house.busy_client(), house.busy_client(), busy(workers, USUAL)];
        let before = halls.each_ref().map(|hall| hall.used().unwrap());
        wait_until(Duration::from_millis(500), || false);
        for (hall, before) in halls.iter().zip(before) {
            // A loop that spins would use all of the time.
            let spent = hall.used().unwrap() - before;
            assert!(spent < 250_000, "{spent} µs of 500 ms");
        }
    }
}
