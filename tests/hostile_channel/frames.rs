//! Headers that lie.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg, setsockopt, sockopt};
use unix_ipc::{LimitExceeded, Limits, ProtocolError, RecvError, raw_channel};

use crate::packets::{FRAGMENT, HEAD, Header, MEMORY, VALUE, WHOLE, packet};
use crate::util::Watchdog;
use crate::{Canary, Hostile, most_allocated};

#[test]
fn every_unknown_kind_is_named_and_passed_over() {
    let hostile = Hostile::new();
    for kind in (0..=u8::MAX).filter(|kind| *kind != VALUE) {
        let packet = Header { kind, ..Header::of(WHOLE, 1) }.packet(b"x");
        hostile.refuses(&packet, &ProtocolError::Kind(kind));
    }
}

#[test]
fn every_unknown_flag_is_named_and_passed_over() {
    let hostile = Hostile::new();
    for form in (0..=u8::MAX).filter(|form| ![WHOLE, FRAGMENT, MEMORY, HEAD].contains(form)) {
        hostile.refuses(&Header::of(form, 1).packet(b"x"), &ProtocolError::Flags(form));
    }
}

#[test]
fn p32_every_wrong_length_is_named_and_allocates_nothing() {
    let hostile = Hostile::new();
    for declared in [0, 2, 4, 65_536, 1 << 31, u32::MAX] {
        let packet = Header::of(WHOLE, declared).packet(b"abc");
        hostile.write(&packet, &[]);
        let expected = ProtocolError::Length { declared: declared.into(), actual: 3 };
        let most = most_allocated(|| hostile.expect(&expected));
        assert!(most < 128 << 10, "{most} bytes were allocated");
        hostile.is_well();
    }
}

#[test]
fn p21_every_cut_header_is_named_and_passed_over() {
    let hostile = Hostile::new();
    let whole = packet(WHOLE, 0, b"");
    for length in 1..whole.len() {
        let expected = ProtocolError::ShortHeader { actual: length, expected: whole.len() };
        hostile.refuses(&whole[..length], &expected);
    }
}

#[test]
fn p22_a_header_without_its_body_does_not_make_try_recv_wait() {
    let _watchdog = Watchdog::new();
    let hostile = Hostile::new();
    hostile.write(&Header::of(WHOLE, 1000).packet(b""), &[]);
    let expected = ProtocolError::Length { declared: 1000, actual: 0 };
    assert!(matches!(hostile.receiver.try_recv(), Err(RecvError::Protocol(found)) if found == expected));
    hostile.is_well();
}

#[test]
fn p33_every_wrong_count_of_descriptors_is_named_and_all_are_closed() {
    let _watchdog = Watchdog::new();
    let hostile = Hostile::new();
    for (declared, actual) in [(0, 1), (1, 0), (1, 2), (3, 2), (253, 1), (254, 1), (u16::MAX, 3), (0, 253)] {
        let canary = Canary::new();
        let riding = vec![canary.fd(); actual];
        hostile.write(&packet(WHOLE, declared, b"x"), &riding);
        hostile.expect(&ProtocolError::DescriptorCount { declared: declared.into(), actual });
        canary.assert_closed_by_receiver();
        hostile.is_well();
    }
}

#[test]
fn p17_descriptors_of_two_control_headers_all_arrive_or_are_all_closed() {
    let _watchdog = Watchdog::new();
    let hostile = Hostile::new();
    let canary = Canary::new();
    let number = [canary.fd().as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&number), ControlMessage::ScmRights(&number)];
    for declared in [2, 1] {
        let packet = packet(WHOLE, declared, b"two");
        let socket = hostile.sender.as_fd().as_raw_fd();
        sendmsg::<()>(socket, &[IoSlice::new(&packet)], &rights, MsgFlags::MSG_NOSIGNAL, None).unwrap();
    }
    let (bytes, descriptors) = hostile.receiver.recv().unwrap();
    assert_eq!((bytes.as_slice(), descriptors.len()), (b"two".as_slice(), 2));
    drop(descriptors);
    hostile.expect(&ProtocolError::DescriptorCount { declared: 1, actual: 2 });
    canary.assert_closed_by_receiver();
    hostile.is_well();
}

#[test]
fn p18_descriptors_on_a_broken_header_are_closed() {
    let _watchdog = Watchdog::new();
    let hostile = Hostile::new();
    for (packet, expected) in [
        (Header { kind: 77, ..Header::of(WHOLE, 1) }.packet(b"x"), ProtocolError::Kind(77)),
        (Header::of(9, 1).packet(b"x"), ProtocolError::Flags(9)),
        (Header::of(WHOLE, 9).packet(b"x"), ProtocolError::Length { declared: 9, actual: 1 }),
        (vec![1, 0, 0], ProtocolError::ShortHeader { actual: 3, expected: 16 }),
    ] {
        let canary = Canary::new();
        hostile.write(&packet, &[canary.fd(), canary.fd()]);
        hostile.expect(&expected);
        canary.assert_closed_by_receiver();
        hostile.is_well();
    }
}

#[test]
fn p18_descriptors_above_the_receivers_limit_are_refused_with_the_number_and_closed() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let mut limits = Limits::default();
    limits.descriptors = 2;
    let hostile = Hostile { sender, receiver: receiver.with_limits(limits) };
    let canary = Canary::new();
    hostile.sender.send(b"three", &[canary.fd(), canary.fd(), canary.fd()]).unwrap();
    let refusal = LimitExceeded::Descriptors { actual: 3, limit: 2 };
    assert!(matches!(hostile.receiver.recv(), Err(RecvError::Refused(found)) if found == refusal));
    canary.assert_closed_by_receiver();
    hostile.is_well();
}

#[test]
fn p35_an_empty_packet_is_an_error_and_not_the_end() {
    let _watchdog = Watchdog::new();
    let hostile = Hostile::new();
    hostile.refuses(&[], &ProtocolError::EmptyPacket);
    hostile.write(&[], &[]);
    assert!(matches!(hostile.receiver.try_recv(), Err(RecvError::Protocol(ProtocolError::EmptyPacket))));
    hostile.is_well();
}

#[test]
fn p35_an_empty_packet_is_not_the_end_even_when_the_sender_is_gone() {
    let _watchdog = Watchdog::new();
    let Hostile { sender, receiver } = Hostile::new();
    let canary = Canary::new();
    crate::packets::write(&sender, &[], &[]);
    crate::packets::write(&sender, &[], &[canary.fd()]);
    sender.send(b"after it", &[]).unwrap();
    drop(sender);
    for _ in 0..2 {
        assert!(matches!(receiver.recv(), Err(RecvError::Protocol(ProtocolError::EmptyPacket))));
    }
    canary.assert_closed_by_receiver();
    assert_eq!(receiver.recv().unwrap().0, b"after it");
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
}

#[test]
fn p35_an_empty_packet_with_a_descriptor_is_an_error_and_the_descriptor_is_closed() {
    let _watchdog = Watchdog::new();
    let hostile = Hostile::new();
    let canary = Canary::new();
    hostile.write(&[], &[canary.fd()]);
    hostile.expect(&ProtocolError::EmptyPacket);
    canary.assert_closed_by_receiver();
    hostile.is_well();
}

#[test]
fn a_packet_over_64_kib_is_named_and_what_rode_on_it_is_closed() {
    let _watchdog = Watchdog::new();
    let hostile = Hostile::new();
    setsockopt(&hostile.sender, sockopt::SndBuf, &(1 << 20)).unwrap();
    for body in [(64 << 10) - 16 + 1, 80 << 10] {
        let canary = Canary::new();
        hostile.write(&packet(WHOLE, 1, &vec![7; body]), &[canary.fd()]);
        hostile.expect(&ProtocolError::LongPacket);
        canary.assert_closed_by_receiver();
        hostile.is_well();
    }
    hostile.write(&packet(WHOLE, 0, &vec![7; (64 << 10) - 16]), &[]);
    assert_eq!(hostile.receiver.recv().unwrap().0.len(), (64 << 10) - 16, "one that just fits is received");
}

#[test]
fn the_receivers_own_limit_holds_whatever_the_sender_believes() {
    let (sender, receiver) = raw_channel().unwrap();
    let mut limits = Limits::default();
    limits.message_bytes = 10;
    let receiver = receiver.with_limits(limits);
    sender.send(&[1; 11], &[]).unwrap();
    sender.send(&[1; 10], &[]).unwrap();
    let refusal = LimitExceeded::MessageBytes { actual: 11, limit: 10 };
    assert!(matches!(receiver.recv(), Err(RecvError::Refused(found)) if found == refusal));
    assert_eq!(receiver.recv().unwrap().0, [1; 10]);
}
