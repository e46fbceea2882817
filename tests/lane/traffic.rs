//! Values of every kind through lanes and around them, with pauses of either end, in every direction.

use std::thread;

use crate::stream::{Stream, ends};
use crate::util::{Watchdog, alone, stay_on_one_core};
use crate::yard::{Order, YardClient, serve_in_child, stranger, yard, yard_without_lanes};

const COUNT: u64 = 4000;

fn from_child(yard: &YardClient, seed: u64) {
    let stream = Stream { seed, count: COUNT };
    let (source, sink) = ends();
    let sending = yard.begin_send(source, stream).unwrap();
    sink.receive(stream);
    sending.wait().unwrap();
}

fn to_child(yard: &YardClient, seed: u64) {
    let stream = Stream { seed, count: COUNT };
    let (source, sink) = ends();
    let receiving = yard.begin_receive(sink, stream).unwrap();
    source.send(stream);
    drop(source);
    receiving.wait().unwrap();
}

#[test]
fn values_of_every_kind_come_in_order_from_a_child() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let yard = yard();
    (1..=5).for_each(|seed| from_child(&yard, seed));
}

#[test]
fn values_of_every_kind_come_in_order_to_a_child() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let yard = yard();
    (1..=5).for_each(|seed| to_child(&yard, seed));
}

#[test]
fn streams_both_ways_at_once_do_not_disturb_each_other() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let yard = yard();
    thread::scope(|scope| {
        scope.spawn(|| (1..=3).for_each(|seed| from_child(&yard, seed)));
        scope.spawn(|| (4..=6).for_each(|seed| to_child(&yard, seed)));
    });
}

#[test]
fn values_of_every_kind_come_in_order_between_processes_that_met_at_a_path() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let (orders, mut child) = stranger();
    for seed in 1..=3 {
        let stream = Stream { seed, count: COUNT };
        let (source, sink) = ends();
        orders.send(Order::Send(source, stream)).unwrap();
        sink.receive(stream);
        let (source, sink) = ends();
        orders.send(Order::Receive(sink, stream)).unwrap();
        source.send(stream);
    }
    drop(orders);
    assert!(child.wait().unwrap().success());
}

#[test]
fn values_of_every_kind_come_in_order_between_threads() {
    let _watchdog = Watchdog::new();
    for seed in 1..=5 {
        let stream = Stream { seed, count: COUNT };
        let (source, sink) = ends();
        thread::scope(|scope| {
            scope.spawn(move || source.send(stream));
            sink.receive(stream);
        });
    }
}

#[test]
fn values_come_in_order_where_both_ends_share_a_core() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    stay_on_one_core();
    let yard = yard();
    for seed in 1..=2 {
        from_child(&yard, seed);
        to_child(&yard, seed);
    }
}

#[test]
fn the_same_comes_over_sockets_where_a_child_has_no_memory_for_lanes() {
    if serve_in_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let yard = yard_without_lanes();
    assert_eq!(yard.mappings().unwrap(), 0);
    (1..=2).for_each(|seed| from_child(&yard, seed));
    assert_eq!(yard.mappings().unwrap(), 0);
}
