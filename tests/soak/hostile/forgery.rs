//! How each message is written: right, and wrong in one way.

use std::os::fd::{AsRawFd, RawFd};

use fastrand::Rng;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};

use super::liar::{BELL, DESCRIPTORS, Liar, RING, Role, SIZED, SWITCH, VALUE, memory};
use super::memory::Memory;
use super::values::Value;
use super::wire::{
    CALL, FAILURE, FORWARDED, FRAGMENT, HELLO, MEMORY, ONE_WAY, Packet, REPLY, count, double, introduction,
    packet,
};

const HEAD: u8 = 3;
/// The longest body of one packet.
const LONGEST: usize = (1 << 16) - 16;

pub(super) fn any_u32(rng: &mut Rng) -> u32 {
    match rng.u8(..4) {
        0 => u32::MAX,
        1 => rng.u32(..) >> rng.u32(..32),
        2 => rng.u32(..70_000),
        _ => rng.u32(..),
    }
}

pub(super) fn set_word32(bytes: &mut [u8], at: usize, word: u32) {
    bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
}

/// A message in which nothing is wrong, with what rides on it.
pub(super) fn sound(liar: &mut Liar<'_>) -> Packet {
    let number = liar.rng.u64(..);
    match liar.role {
        Role::Client => {
            liar.next_call += 1;
            match liar.rng.u8(..4) {
                0 => packet(CALL, liar.next_call, count(&[0, 1, 2])).with(3),
                1 => packet(ONE_WAY, 0, [&2_u32.to_le_bytes()[..], &2_u64.to_le_bytes(), b"hi"].concat()),
                _ => packet(CALL, liar.next_call, double(number)),
            }
        }
        Role::Server => {
            let id = liar.calls.pop().unwrap_or(1);
            match liar.rng.u8(..8) {
                0 => packet(FAILURE, id, 0_u32.to_le_bytes()),
                1 => packet(FORWARDED, id, []).with(1),
                _ => packet(REPLY, id, number.to_le_bytes()),
            }
        }
        Role::Sender | Role::Receiver => {
            packet(VALUE, 0, [&0_u32.to_le_bytes()[..], &number.to_le_bytes()].concat())
        }
    }
}

pub(super) fn truth(liar: &mut Liar<'_>) {
    if liar.role != Role::Sender {
        let packet = sound(liar);
        return liar.send(&packet);
    }
    let value = Value::random(&mut liar.rng, 3);
    let Ok((bytes, descriptors)) = unix_ipc::serialize(value) else { return };
    let riding: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let mut packet = packet(VALUE, 0, bytes);
    packet.declared_descriptors = u16::try_from(riding.len()).ok();
    if packet.body.len() <= LONGEST {
        liar.send_bytes(&packet.bytes(), &riding);
    }
}

pub(super) fn wrong_body(liar: &mut Liar<'_>) {
    let packet = body_of_another(liar);
    liar.send(&packet);
}

/// A body that does not decode, or claims what is not there.
pub(super) fn body_of_another(liar: &mut Liar<'_>) -> Packet {
    let mut packet = sound(liar);
    let rng = &mut liar.rng;
    match rng.u8(..6) {
        0 => packet.body.truncate(rng.usize(..=packet.body.len())),
        1 => packet.body.extend((0..rng.usize(1..300)).map(|_| rng.u8(..))),
        2 => change_bits(&mut packet.body, rng),
        3 => {
            packet.body = (0..rng.usize(..200)).map(|_| rng.u8(..)).collect();
            let variant = rng.u32(..13).to_le_bytes();
            packet.body.splice(0..0, variant);
        }
        4 => {
            // A length or a count that is not there.
            packet.body = rng.u32(..13).to_le_bytes().to_vec();
            packet.body.extend((rng.u64(..) >> rng.u32(..64)).to_le_bytes());
        }
        // Nested as deep as it goes.
        _ => packet.body = [3_u8, 0, 0, 0].repeat(rng.usize(1..16_000)),
    }
    packet
}

pub(super) fn wrong_index(liar: &mut Liar<'_>) {
    let rng = &mut liar.rng;
    let index = |rng: &mut Rng| rng.choice([0, 1, 2, 9, 0x8000_0000, u32::MAX, u32::MAX - 1]).unwrap_or(0);
    let packet = match liar.role {
        Role::Client => packet(CALL, 1, count(&(0..rng.usize(..5)).map(|_| index(rng)).collect::<Vec<_>>())),
        Role::Server => packet(REPLY, liar.calls.pop().unwrap_or(1), index(rng).to_le_bytes()),
        Role::Sender | Role::Receiver => {
            let mut body = rng.u32(7..12).to_le_bytes().to_vec();
            body.extend(index(rng).to_le_bytes());
            // Behind a receiver's index: what was read ahead.
            body.extend((0..rng.usize(..4)).flat_map(|_| rng.u64(..4).to_le_bytes()));
            packet(VALUE, 0, body)
        }
    };
    let riding = liar.rng.usize(..4);
    liar.send(&packet.with(riding));
}

pub(super) fn uninvited(liar: &mut Liar<'_>) {
    let riding = liar.rng.choice([1, 2, 5, 64, 253]).unwrap_or(1);
    let packet = sound(liar).with(riding);
    liar.send(&packet);
}

pub(super) fn in_memory(liar: &mut Liar<'_>) {
    let mut packet = sound(liar);
    packet.form = MEMORY;
    let lengths = [0, 1, 5000, 1 << 16, 1 << 21, u64::MAX, liar.rng.u64(..)];
    packet.body = liar.rng.choice(lengths).unwrap_or(0).to_le_bytes().to_vec();
    let riding = liar.rng.usize(..4);
    liar.send(&packet.with(riding));
}

/// A call's id that was not given out, or has its answer already.
pub(super) fn wrong_call(liar: &mut Liar<'_>) {
    changed(liar, |packet, rng| {
        let any = rng.u64(..);
        packet.id = rng.choice([0, 1, packet.id.wrapping_add(1000), u64::MAX, any]).unwrap_or(0);
    });
}

/// A long message in order, perhaps without its end.
pub(super) fn pieces(liar: &mut Liar<'_>) {
    let kind = sound(liar);
    let total = liar.rng.u32(65_521..200_000);
    let stream = if liar.role == Role::Sender { liar.rng.u64(..6) } else { 0 };
    let mut offset = 0;
    while offset < total && liar.is_heard && liar.rng.u8(..16) != 0 {
        let len = (total - offset).min(liar.rng.u32(1..60_000));
        liar.send(&piece(
            &kind,
            FRAGMENT,
            [stream, u64::from(offset) | u64::from(total) << 32],
            len as usize,
        ));
        offset += len;
    }
}

pub(super) fn piece(message: &Packet, form: u8, [stream, place]: [u64; 2], len: usize) -> Packet {
    let body = [&stream.to_le_bytes()[..], &place.to_le_bytes(), &vec![0; len]].concat();
    Packet { form, ..packet(message.kind, message.id, body) }
}

pub(super) fn wrong_piece(liar: &mut Liar<'_>) {
    let kind = sound(liar);
    let rng = &mut liar.rng;
    let place = u64::from(any_u32(rng)) | u64::from(any_u32(rng)) << 32;
    let (stream, len) = (rng.u64(..3), rng.choice([0, 1, 100, 60_000]).unwrap_or(0));
    let riding = rng.usize(..3);
    liar.send(&piece(&kind, FRAGMENT, [stream, place], len).with(riding));
}

/// The first piece of a message with a long byte string, whose length is a claim.
pub(super) fn wrong_head(liar: &mut Liar<'_>) {
    let kind = sound(liar);
    let rng = &mut liar.rng;
    let total = u64::from(any_u32(rng));
    let mut head = piece(&kind, HEAD, [0, total << 32], rng.usize(..30));
    let any = rng.u64(..);
    let claim = rng.choice([0, 65_536, total, total.wrapping_sub(24), u64::MAX, any]).unwrap_or(0);
    head.body.extend(claim.to_le_bytes());
    liar.send(&head);
}

pub(super) fn wrong_kind(liar: &mut Liar<'_>) {
    changed(liar, |packet, rng| packet.kind = if rng.bool() { rng.u8(..16) } else { rng.u8(..) });
}

pub(super) fn changed(liar: &mut Liar<'_>, change: fn(&mut Packet, &mut Rng)) {
    let mut packet = sound(liar);
    change(&mut packet, &mut liar.rng);
    liar.send(&packet);
}

pub(super) fn wrong_hello(liar: &mut Liar<'_>) {
    let rng = &mut liar.rng;
    let service = rng.choice(["Vault", "", "Safe"]).unwrap_or("");
    let mut body = introduction(rng.u32(..3), rng.u32(..3), service);
    if rng.bool() {
        change_bits(&mut body, rng);
    }
    if rng.u8(..4) == 0 {
        body.truncate(rng.usize(..body.len()));
    }
    liar.send(&packet(HELLO, 0, body));
}

/// A message without a body, with something that does not belong there now and then.
pub(super) fn control(liar: &mut Liar<'_>, kind: u8) {
    let rng = &mut liar.rng;
    let len = if rng.u8(..4) == 0 { rng.usize(..2000) } else { 0 };
    let riding = if rng.u8(..4) == 0 { rng.usize(..4) } else { 0 };
    send_control(liar, kind, len, riding);
}

pub(super) fn send_control(liar: &mut Liar<'_>, kind: u8, len: usize, riding: usize) {
    let rng = &mut liar.rng;
    let id = if rng.u8(..4) == 0 { rng.u64(..) } else { rng.u64(..3) };
    liar.send(&packet(kind, id, vec![0; len]).with(riding));
}

/// Memory of another size, or no memory.
pub(super) fn wrong_offer(liar: &mut Liar<'_>) {
    let rng = &mut liar.rng;
    let sizes = [any_u32(rng), any_u32(rng), any_u32(rng), 0, 0, 0];
    let body: Vec<u8> = sizes.iter().take(rng.usize(..7)).flat_map(|size| size.to_le_bytes()).collect();
    let (riding, id) = (rng.usize(..3), rng.u64(..));
    liar.send(&packet(RING, id, body).with(riding));
}

/// Memory in order, as rings or a lane.
pub(super) fn offer(liar: &mut Liar<'_>) {
    let rng = &mut liar.rng;
    let bytes: u32 = rng.choice([256, 1024, 4096, 1 << 16]).unwrap_or(256);
    let most = bytes << rng.u32(..3);
    let is_lane = liar.role == Role::Sender;
    let len = if is_lane { 512 + u64::from(bytes) } else { 2 * (512 + u64::from(most)) };
    let id = if is_lane { rng.u64(..) & !3 } else { 0 };
    let file = memory(0, SealFlag::empty()).expect("memory can be made");
    file.set_len(len).expect("memory can be longer");
    fcntl(&file, FcntlArg::F_ADD_SEALS(SIZED)).expect("memory can be sealed");
    let body = if is_lane {
        [&u64::from(bytes).to_le_bytes()[..], &[0; 16]].concat()
    } else {
        [bytes.to_le_bytes(), most.to_le_bytes()].concat()
    };
    let mut packet = packet(RING, id, body);
    packet.declared_descriptors = Some(1);
    let riding = [file.as_raw_fd()];
    if is_lane {
        offer_lane(liar, &packet, &riding, file, id);
    } else {
        liar.send_bytes(&packet.bytes(), &riding);
        liar.offered = Some(Memory::rings(file, bytes.into(), most.into(), true));
    }
}

/// The victim answers in the memory when it next receives.
pub(super) fn offer_lane(
    liar: &mut Liar<'_>,
    packet: &Packet,
    riding: &[RawFd],
    file: std::fs::File,
    id: u64,
) {
    let lane = Memory::lane(file, id);
    lane.answer(id);
    liar.send_bytes(&packet.bytes(), riding);
    for _ in 0..100 {
        if lane.is_taken() {
            liar.send(&super::wire::packet(SWITCH, id, []));
            liar.memory = Some(lane);
            return;
        }
        liar.wait(std::time::Duration::from_millis(1));
    }
}

pub(super) fn raw_bytes(liar: &mut Liar<'_>, lengths: std::ops::Range<usize>) {
    let mut bytes = vec![0; liar.rng.usize(lengths)];
    liar.rng.fill(&mut bytes);
    let count = liar.rng.usize(..3);
    let riding = liar.files.some(&mut liar.rng, count);
    liar.send_bytes(&bytes, &riding);
}

pub(super) fn change_bits(bytes: &mut [u8], rng: &mut Rng) {
    for _ in 0..rng.usize(1..5) {
        if bytes.is_empty() {
            return;
        }
        let at = rng.usize(..bytes.len());
        bytes[at] ^= 1 << rng.u8(..8);
    }
}

pub(super) fn changed_bits(liar: &mut Liar<'_>) {
    let packet = sound(liar);
    let mut bytes = packet.bytes();
    change_bits(&mut bytes, &mut liar.rng);
    liar.send_bytes(&bytes, &[]);
}

/// A message in the memory, changed, and a bell.
pub(super) fn record(
    liar: &mut Liar<'_>,
    message: fn(&mut Liar<'_>) -> Packet,
    change: fn(&mut [u8], &mut Rng),
) {
    let mut message = message(liar);
    if liar.rng.u8(..3) == 0 && message.descriptors > 0 {
        liar.send(&packet(DESCRIPTORS, 0, []).with(message.descriptors));
    } else if message.descriptors > 0 {
        message.descriptors = 0;
    }
    let mut bytes = message.bytes();
    change(&mut bytes, &mut liar.rng);
    let wrote = liar.memory.as_mut().is_some_and(|memory| memory.write(&bytes));
    if !wrote {
        // The victim is behind, or has said that it takes no more.
        liar.wait(std::time::Duration::from_millis(1));
    }
    liar.send(&packet(BELL, 0, []));
}

pub(super) fn in_common(liar: &mut Liar<'_>, act: impl FnOnce(&mut Memory, &mut Rng)) {
    if let Some(memory) = &mut liar.memory {
        act(memory, &mut liar.rng);
    }
}
