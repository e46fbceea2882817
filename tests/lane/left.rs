//! What is left of lanes: nothing.

use unix_ipc::channel;

use crate::stream::{Stream, ends};
use crate::util::{Holdings, Watchdog, alone, threads, wait_until};
use crate::values::{HOT, Value, hot_channel};
use crate::yard::{Order, mappings, serve_in_child, stranger, yard};

const COUNT: u64 = 2 * HOT;

#[test]
fn p01_nothing_is_left_of_200_streams_in_either_process() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let yard = yard();
    let pid = yard.process().unwrap();
    let pass = |seed| {
        let stream = Stream { seed, count: COUNT };
        let (source, sink) = ends();
        let sending = yard.begin_send(source, stream).unwrap();
        sink.receive(stream);
        sending.wait().unwrap();
        drop(sink);
        let (source, sink) = ends();
        let receiving = yard.begin_receive(sink, stream).unwrap();
        source.send(stream);
        drop(source);
        receiving.wait().unwrap();
    };
    // The connection itself has rings from some call on.
    (0..20).for_each(|_| assert_eq!(yard.process().unwrap(), pid));
    pass(1);
    let (here, there) = (Holdings::now(), Holdings::of(pid));
    let mapped = (mappings(), yard.mappings().unwrap(), threads());
    assert_eq!(mapped.0, 2, "the connection's rings, and what the child has in common with this process");
    (2..=100).for_each(pass);
    here.assert_restored();
    there.assert_restored_in(pid);
    assert!(wait_until(std::time::Duration::from_secs(20), || {
        (mappings(), yard.mappings().unwrap(), threads()) == mapped
    }));
    drop(yard);
    assert!(wait_until(std::time::Duration::from_secs(20), || mappings() == 0));
}

#[test]
fn p01_nothing_is_left_of_streams_between_strangers_however_they_end() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (orders, mut child) = stranger();
    let pass = || {
        let (sender, receiver) = channel().unwrap();
        let (answers, answered) = channel().unwrap();
        orders.send(Order::Listen(receiver, answers)).unwrap();
        for number in 0..COUNT {
            sender.send(Value::of(number, 0, number.is_multiple_of(10))).unwrap();
            assert_eq!(answered.recv().unwrap(), number);
        }
    };
    let report = || {
        let (to, reported) = channel().unwrap();
        orders.send(Order::Report(to)).unwrap();
        reported.recv().unwrap()
    };
    pass();
    let (here, there) = (Holdings::now(), report());
    (0..30).for_each(|_| pass());
    assert_eq!(report(), there);
    here.assert_restored();
    assert_eq!(mappings(), 0);
    drop(orders);
    assert!(child.wait().unwrap().success());
}

#[test]
fn p01_nothing_is_left_of_a_lane_in_one_process_whichever_end_goes_first() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let here = Holdings::now();
    for number in 0..100 {
        let (sender, receiver) = hot_channel();
        (0..10).for_each(|number| sender.send(Value::small(number)).unwrap());
        assert_eq!(mappings(), 2, "one of each end");
        if number % 2 == 0 {
            drop(sender);
            drop(receiver);
        } else {
            drop(receiver);
            drop(sender);
        }
        assert_eq!(mappings(), 0);
    }
    assert_eq!(Holdings::now(), here);
}
