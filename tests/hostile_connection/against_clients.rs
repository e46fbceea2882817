//! A hostile server against a client.

use std::os::fd::AsRawFd;
use std::thread;

use nix::sys::socket::MsgFlags;
use unix_ipc::{CallError, Connection, ProtocolError};

use crate::util::{Holdings, Watchdog, alone};
use crate::wire::*;

/// Three calls to a server that sends these packets once it has them.
fn call(packets: &[Packet]) -> ([Result<u64, CallError>; 3], Received) {
    let (bare, connection) = Bare::pair();
    let client = VaultClient::from(connection);
    let pending = [1, 2, 3].map(|number| client.begin_double(number).expect("there is room"));
    let kinds: Vec<_> = (0..4).map(|_| bare.receive().expect("three calls").0).collect();
    assert_eq!(kinds, [HELLO, CALL, CALL, CALL]);
    packets.iter().for_each(|packet| _ = bare.send(packet));
    // Each caller waits in its own thread.
    let results = thread::scope(|scope| {
        let waiting = pending.map(|call| scope.spawn(move || call.wait()));
        waiting.map(|thread| thread.join().expect("no panic"))
    });
    bare.finish();
    let left = client.double(4).map(drop).expect_err("the server is gone");
    assert!(matches!(left, CallError::Protocol { .. } | CallError::Disconnected { .. }), "{left}");
    drop(client);
    (results, bare.rest())
}

/// These packets end the connection: every caller has this error, and the server is told in words.
#[track_caller]
fn assert_hung_up(packets: &[Packet], expected: &ProtocolError) {
    let (results, received) = call(packets);
    for result in results {
        let Err(CallError::Protocol { method: "double", source }) = result else { panic!("{result:?}") };
        assert_eq!(&source, expected);
    }
    let fault = received.iter().find(|(kind, ..)| *kind == FAULT).map(|(.., text)| text.clone());
    if !matches!(expected, ProtocolError::Accused(_)) {
        assert_eq!(
            String::from_utf8(fault.unwrap_or_default()).as_deref(),
            Ok(expected.to_string().as_str())
        );
    }
}

fn reply(id: u64, value: u64) -> Packet {
    packet(REPLY, id, value.to_le_bytes())
}

#[test]
fn a_packet_that_is_none_reaches_every_waiting_caller_by_name() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let good = reply(1, 2);
    for kind in [0, 16, 255] {
        assert_hung_up(&[hello(SERVER), Packet { kind, ..good.clone() }.with(2)], &ProtocolError::Kind(kind));
    }
    assert_hung_up(&[hello(SERVER), Packet { form: 4, ..good.clone() }], &ProtocolError::Flags(4));
    let error = ProtocolError::Length { declared: u32::MAX.into(), actual: 8 };
    assert_hung_up(&[Packet { declared_length: Some(u32::MAX), ..good.clone() }], &error);
    let error = ProtocolError::DescriptorCount { declared: 1, actual: 7 };
    assert_hung_up(&[Packet { declared_descriptors: Some(1), ..good.clone() }.with(7)], &error);
    assert_hung_up(&[packet(REPLY, 1, vec![0; 66_000])], &ProtocolError::LongPacket);
    let misplaced = ProtocolError::Fragment { offset: 9, expected: 0 };
    assert_hung_up(&[piece(REPLY, 1, 9, 100, &[0; 50])], &misplaced);
    for kind in [VALUE, 3, 4, CALL, ONE_WAY] {
        assert_hung_up(&[hello(SERVER), packet(kind, 1, double(1)).with(1)], &ProtocolError::Kind(kind));
    }
    for id in [0, 1, 4, u64::MAX] {
        assert_hung_up(&[hello(SERVER), packet(MARK, id, [])], &ProtocolError::Mark(id));
    }
    assert_hung_up(&[hello(SERVER), packet(MARK, 1, [0])], &ProtocolError::Kind(MARK));
    assert_hung_up(&[hello(SERVER), packet(MARK, 1, []).with(1)], &ProtocolError::Kind(MARK));
    assert_hung_up(&[packet(FAULT, 0, "nonsense")], &ProtocolError::Accused("nonsense".to_owned()));
    before.assert_restored();
}

#[test]
fn an_introduction_that_does_not_fit_reaches_every_waiting_caller_by_name() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    assert_hung_up(&[hello(SERVER), hello(SERVER)], &ProtocolError::Order("a second introduction"));
    let counted = ProtocolError::DescriptorCount { declared: 0, actual: 2 };
    assert_hung_up(&[hello(SERVER).with(2)], &counted);
    assert_hung_up(&[hello(CLIENT)], &ProtocolError::Role);
    let version = ProtocolError::Version { ours: 1, theirs: 7 };
    assert_hung_up(&[packet(HELLO, 0, introduction(7, SERVER, "Vault"))], &version);
    let whole = introduction(1, SERVER, "Vault");
    for length in [0, 7, 8, 11, 12, 15, 16, 30, whole.len() - 1] {
        let (results, _) = call(&[packet(HELLO, 0, &whole[..length])]);
        assert!(
            results.iter().all(|result| matches!(result, Err(CallError::Protocol { .. }))),
            "{results:?}"
        );
    }
    before.assert_restored();
}

#[test]
fn messages_about_calls_that_do_not_exist_reach_every_waiting_caller_by_name() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    for id in [0, 4, u64::MAX] {
        assert_hung_up(&[hello(SERVER), reply(id, 2).with(1)], &ProtocolError::Call(id));
        assert_hung_up(&[packet(FAILURE, id, 0u32.to_le_bytes())], &ProtocolError::Call(id));
        assert_hung_up(&[packet(FORWARDED, id, []).with(1)], &ProtocolError::Call(id));
    }
    for descriptors in [0, 2, 253] {
        let counted = ProtocolError::DescriptorCount { declared: 1, actual: descriptors };
        assert_hung_up(&[packet(FORWARDED, 2, []).with(descriptors)], &counted);
    }
    for body in [&[][..], &[9, 0, 0, 0], &[1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255], &[0; 5]] {
        let (results, _) = call(&[packet(FAILURE, 1, body)]);
        for result in results {
            let named = matches!(&result, Err(CallError::Protocol { source: ProtocolError::Body(_), .. }));
            assert!(named, "{result:?}");
        }
    }
    before.assert_restored();
}

#[test]
fn p18_thousands_of_forwarded_sockets_are_refused_by_name_and_closed() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let (bare, connection) = Bare::pair();
    let client = VaultClient::from(connection);
    let waiting = client.begin_double(1).unwrap();
    let over = client.begin_double(2).unwrap();
    drop(over);
    // Those for a call that is over are closed one by one, the others are limited.
    let server = thread::spawn(move || {
        // Somebody holds the other end, so that none of them is over.
        let (one, _other) = std::os::unix::net::UnixDatagram::pair().unwrap();
        for id in [2, 1] {
            let forwarded = packet(FORWARDED, id, []).with(1).bytes();
            (0..1000).for_each(|_| _ = bare.send_with(&forwarded, &[one.as_raw_fd()], MsgFlags::empty()));
        }
        bare.rest().len()
    });
    let error = waiting.wait().unwrap_err();
    assert!(matches!(error, CallError::Protocol { source: ProtocolError::Call(1), .. }), "{error:?}");
    drop(client);
    server.join().unwrap();
    before.assert_restored();
}

#[test]
fn p39_a_reply_with_a_wrong_body_fails_its_call_alone() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    let no_memory = Packet { form: MEMORY, ..packet(REPLY, 1, 8u64.to_le_bytes()) };
    for wrong in [
        packet(REPLY, 1, []),
        packet(REPLY, 1, [0; 7]),
        packet(REPLY, 1, [0; 9]),
        reply(1, 2).with(100),
        no_memory.with(1),
        piece(REPLY, 1, 0, u32::MAX, &[0; 100]),
    ] {
        // The others are answered, one of them twice; the first counts.
        let ([first, second, third], _) =
            call(&[hello(SERVER), wrong, reply(3, 6), reply(3, 7), reply(2, 4)]);
        assert!(matches!(first, Err(CallError::Protocol { .. } | CallError::Refused { .. })), "{first:?}");
        assert_eq!((second.unwrap(), third.unwrap()), (4, 6));
    }
    before.assert_restored();
}

#[test]
fn half_a_reply_then_silence_then_a_hang_up_is_a_disconnection() {
    let _watchdog = Watchdog::new();
    let (bare, connection) = Bare::pair();
    let client = VaultClient::from(connection);
    let calls = [1, 2].map(|number| client.begin_double(number).unwrap());
    bare.send(&hello(SERVER));
    bare.send(&piece(REPLY, 1, 0, 50 << 20, &[0; 1000]));
    bare.send(&reply(2, 4));
    let [half, whole] = calls;
    assert_eq!(whole.wait().unwrap(), 4);
    assert!(!half.is_ready());
    drop(bare);
    let error = half.wait().unwrap_err();
    assert!(matches!(error, CallError::Disconnected { .. }), "{error}");
}

#[test]
fn a_server_that_answers_nothing_is_a_matter_of_the_timeout() {
    let _watchdog = Watchdog::new();
    let (bare, connection): (Bare, Connection) = Bare::pair();
    let client = VaultClient::from(connection).with_timeout(std::time::Duration::from_millis(5));
    assert!(matches!(client.double(1), Err(CallError::Timeout { .. })));
    assert!(matches!(client.count(Vec::new()), Err(CallError::Timeout { .. })));
    drop(bare);
}
