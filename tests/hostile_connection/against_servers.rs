//! A hostile client against a server.

use std::thread;

use unix_ipc::{ProtocolError, ServeError};

use crate::util::{Holdings, Watchdog, alone};
use crate::wire::*;

/// Serves a bare client that sends these packets, with and without workers: how serving ended, and what the client
/// got.
fn serve(packets: &[Packet], workers: usize) -> (Result<(), ServeError>, Received) {
    let (bare, connection) = Bare::pair();
    let server = thread::spawn(move || {
        let server = VaultServer::new(Door);
        if workers > 1 { server.workers(workers).serve(connection) } else { { server }.serve(connection) }
    });
    for packet in packets {
        bare.send(packet);
    }
    bare.finish();
    let received = bare.rest();
    (server.join().expect("no panic"), received)
}

/// These packets end the connection with this error, which the client is told in words.
#[track_caller]
fn assert_hung_up(packets: &[Packet], expected: &ProtocolError) {
    for workers in [1, 2] {
        let (served, received) = serve(packets, workers);
        let Err(ServeError::Protocol(error)) = served else { panic!("{served:?}, expected {expected:?}") };
        assert_eq!(&error, expected);
        let fault = received.iter().find(|(kind, ..)| *kind == FAULT).map(|(.., text)| text.clone());
        assert_eq!(
            String::from_utf8(fault.unwrap_or_default()).as_deref(),
            Ok(expected.to_string().as_str())
        );
    }
}

#[test]
fn a_packet_that_is_none_is_named_and_hung_up_on() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let call = packet(CALL, 1, double(1));
    for kind in [0, 16, 255] {
        assert_hung_up(&[hello(CLIENT), Packet { kind, ..call.clone() }], &ProtocolError::Kind(kind));
    }
    for form in [4, 0x80, 255] {
        assert_hung_up(&[hello(CLIENT), Packet { form, ..call.clone() }], &ProtocolError::Flags(form));
    }
    for length in [0, 15, 17, u32::MAX] {
        let error = ProtocolError::Length { declared: length.into(), actual: 16 };
        assert_hung_up(&[hello(CLIENT), Packet { declared_length: Some(length), ..call.clone() }], &error);
    }
    for (declared, actual) in [(1, 0), (0, 1), (u16::MAX, 3), (2, 253)] {
        let wrong = Packet { declared_descriptors: Some(declared), ..call.clone() }.with(actual);
        let error = ProtocolError::DescriptorCount { declared: declared.into(), actual };
        assert_hung_up(&[hello(CLIENT), wrong], &error);
    }
    assert_hung_up(&[hello(CLIENT), packet(CALL, 1, vec![0; 66_000])], &ProtocolError::LongPacket);
    before.assert_restored();
}

#[test]
fn a_packet_without_a_header_is_named_and_hung_up_on() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    for (bytes, descriptors, expected) in [
        (&[][..], 0, ProtocolError::EmptyPacket),
        (&[][..], 2, ProtocolError::EmptyPacket),
        (&[5][..], 0, ProtocolError::ShortHeader { actual: 1, expected: 16 }),
        (&[5; 15][..], 3, ProtocolError::ShortHeader { actual: 15, expected: 16 }),
    ] {
        let (bare, connection) = Bare::pair();
        let server = thread::spawn(move || VaultServer::new(Door).serve(connection));
        bare.send(&hello(CLIENT));
        bare.send_bytes(bytes, descriptors);
        let Err(ServeError::Protocol(error)) = server.join().unwrap() else {
            panic!("expected {expected:?}")
        };
        assert_eq!(error, expected);
        assert_eq!(bare.rest().last().map(|(kind, ..)| *kind), Some(FAULT));
    }
    before.assert_restored();
}

#[test]
fn a_message_that_has_no_place_is_named_and_hung_up_on() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    for kind in [VALUE, 3, 4, REPLY, FAILURE, FORWARDED] {
        assert_hung_up(&[hello(CLIENT), packet(kind, 1, double(1)).with(2)], &ProtocolError::Kind(kind));
        assert_hung_up(&[packet(kind, 0, [])], &ProtocolError::Kind(kind));
    }
    let early = ProtocolError::Order("a call before the introduction");
    assert_hung_up(&[packet(CALL, 1, double(1)).with(3)], &early);
    assert_hung_up(&[packet(ONE_WAY, 0, double(1))], &early);
    assert_hung_up(&[packet(MARK, 1, [])], &ProtocolError::Order("a mark before the introduction"));
    assert_hung_up(&[hello(CLIENT), packet(MARK, 1, [0])], &ProtocolError::Kind(MARK));
    assert_hung_up(&[hello(CLIENT), packet(MARK, 1, []).with(1)], &ProtocolError::Kind(MARK));
    assert_hung_up(&[hello(CLIENT), hello(CLIENT)], &ProtocolError::Order("a second introduction"));
    let accused = ProtocolError::Accused("something".to_owned());
    assert_hung_up(&[hello(CLIENT), packet(FAULT, 0, "something")], &accused);
    before.assert_restored();
}

#[test]
fn an_introduction_that_does_not_fit_is_named_and_hung_up_on() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let whole = introduction(1, CLIENT, "Vault");
    for length in 0..whole.len() {
        let (served, _) = serve(&[packet(HELLO, 0, &whole[..length])], 1);
        assert!(matches!(served, Err(ServeError::Protocol(_))), "{length} bytes: {served:?}");
    }
    let trailing = [whole.clone(), vec![0]].concat();
    assert!(matches!(
        serve(&[packet(HELLO, 0, trailing)], 1).0,
        Err(ServeError::Protocol(ProtocolError::Body(_)))
    ));
    let counted = ProtocolError::DescriptorCount { declared: 0, actual: 2 };
    assert_hung_up(&[hello(CLIENT).with(2)], &counted);
    let other_first = [b"unix-ipd".as_slice(), &whole[8..]].concat();
    assert_hung_up(
        &[packet(HELLO, 0, other_first)],
        &ProtocolError::Order("an introduction with other first bytes"),
    );
    for version in [0, 2, u32::MAX] {
        let error = ProtocolError::Version { ours: 1, theirs: version };
        assert_hung_up(&[packet(HELLO, 0, introduction(version, CLIENT, "Vault"))], &error);
    }
    assert_hung_up(&[hello(SERVER)], &ProtocolError::Role);
    let error = ProtocolError::Service { ours: "Vault".to_owned(), theirs: "Välut".to_owned() };
    assert_hung_up(&[packet(HELLO, 0, introduction(1, CLIENT, "Välut"))], &error);
    // Of a name without end the beginning is told.
    let name = "ä".repeat(5000);
    let (_, received) = serve(&[packet(HELLO, 0, introduction(1, CLIENT, &name))], 1);
    let (.., told) = received.last().unwrap();
    assert!(told.len() > 1000 && String::from_utf8_lossy(told).contains("ää"), "{received:?}");
    before.assert_restored();
}

#[test]
fn p32_pieces_that_do_not_fit_are_named_and_hung_up_on() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let first = piece(CALL, 1, 0, 100, &[0; 50]);
    let assert = |packets: &[Packet], error| assert_hung_up(&[&[hello(CLIENT)], packets].concat(), &error);
    let misplaced = |offset, expected| ProtocolError::Fragment { offset, expected };
    assert(&[piece(CALL, 1, 50, 100, &[0; 50])], misplaced(50, 0));
    assert(&[first.clone(), piece(CALL, 1, 60, 100, &[0; 40])], misplaced(60, 50));
    assert(&[first.clone(), piece(CALL, 1, 40, 100, &[0; 40])], misplaced(40, 50));
    assert(&[first.clone(), piece(CALL, 2, 50, 100, &[0; 50])], ProtocolError::Call(2));
    assert(&[first.clone(), piece(CALL, 1, 50, 101, &[0; 50])], ProtocolError::Call(1));
    assert(&[first.clone(), piece(ONE_WAY, 1, 50, 100, &[0; 50])], ProtocolError::Call(1));
    assert(&[piece(CALL, 1, 90, 100, &[0; 50])], ProtocolError::Length { declared: 100, actual: 140 });
    assert(&[piece(CALL, 1, 0, 100, &[])], ProtocolError::Length { declared: 100, actual: 0 });
    assert(&[first.with(2)], ProtocolError::DescriptorCount { declared: 0, actual: 2 });
    let no_file = Packet { form: MEMORY, ..packet(CALL, 1, 5u64.to_le_bytes()) };
    assert(&[no_file], ProtocolError::MemoryFile);
    before.assert_restored();
}

#[test]
fn p39_a_call_with_a_wrong_body_fails_alone() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let good = double(4);
    let no_memory = Packet { form: MEMORY, ..packet(CALL, 1, 5u64.to_le_bytes()) };
    let wrong = [
        packet(CALL, 1, []),
        packet(CALL, 1, [0, 0, 0]),
        packet(CALL, 1, 3u32.to_le_bytes()),
        packet(CALL, 1, [255; 16]),
        packet(CALL, 1, &good[..12]),
        packet(CALL, 1, [good.as_slice(), &[0]].concat()),
        // The place of the reply is not where it should be, or there twice.
        packet(CALL, 1, [&good[..12], &0u32.to_le_bytes()].concat()),
        // P2 to P5: surplus, missing and repeated descriptors.
        packet(CALL, 1, good.clone()).with(253),
        packet(CALL, 1, count(&[0, 1])).with(3),
        packet(CALL, 1, count(&[0, 2])).with(2),
        packet(CALL, 1, count(&[0, 0])).with(2),
        packet(CALL, 1, count(&[u32::MAX])).with(1),
        packet(CALL, 1, [1u32.to_le_bytes().as_slice(), &u64::MAX.to_le_bytes()].concat()).with(1),
        // /dev/null is no memory; a length above the limit is not even looked at.
        no_memory.clone().with(1),
        Packet { body: u64::MAX.to_le_bytes().to_vec(), ..no_memory }.with(1),
        piece(CALL, 1, 0, u32::MAX, &[0; 1000]),
    ];
    for packet in wrong {
        for workers in [1, 2] {
            let (bare, connection) = Bare::pair();
            let server = thread::spawn(move || {
                let server = VaultServer::new(Door);
                if workers > 1 {
                    server.workers(workers).serve(connection)
                } else {
                    { server }.serve(connection)
                }
            });
            bare.send(&hello(CLIENT));
            // One-way calls with the same bytes are dropped.
            if packet.kind == CALL && packet.form == 0 {
                bare.send(&Packet { kind: ONE_WAY, id: 0, ..packet.clone() });
            }
            bare.send(&packet);
            bare.send(&crate::wire::packet(CALL, 2, good.clone()));
            let received: Vec<_> = (0..3).map(|_| bare.receive().expect("it lives on")).collect();
            let kinds: Vec<_> = received.iter().map(|(kind, id, _)| (*kind, *id)).collect();
            assert_eq!(kinds, [(HELLO, 0), (FAILURE, 1), (REPLY, 2)], "{packet:?}");
            assert_eq!(received[2].2, 8u64.to_le_bytes());
            drop(bare);
            server.join().unwrap().unwrap();
        }
    }
    before.assert_restored();
}

#[test]
fn ids_that_are_used_twice_or_not_at_all_are_answered_as_they_come() {
    let _watchdog = Watchdog::new();
    let calls = [7, 7, 0, u64::MAX].map(|id| packet(CALL, id, double(id)));
    let (served, received) = serve(&[&[hello(CLIENT)], calls.as_slice()].concat(), 1);
    served.unwrap();
    let ids: Vec<_> = received.iter().map(|(kind, id, _)| (*kind, *id)).collect();
    assert_eq!(ids, [(HELLO, 0), (REPLY, 7), (REPLY, 7), (REPLY, 0), (REPLY, u64::MAX)]);
}
