//! Every way in which what is said may be wrong, and how often each is chosen.

use super::forgery::*;
use super::liar::{BELL, DESCRIPTORS, Liar, RESET, Role, SWITCH};
use super::wire::{CLIENT, FAULT, SERVER, hello};

/// How a message is wrong: its name, how often it is chosen among the others, and who says it.
type Lie = (&'static str, u32, fn(&mut Liar<'_>));

/// These need not end a connection.
const MILD: &[Lie] = &[
    ("nothing wrong", 60, truth),
    ("another body", 60, wrong_body),
    ("another index of a descriptor", 30, wrong_index),
    ("descriptors that nobody asked for", 15, uninvited),
    ("a file in place of a message", 10, in_memory),
    ("a bell", 6, |liar| send_control(liar, BELL, 0, 0)),
    ("pieces", 8, pieces),
];

const GRAVE: &[Lie] = &[
    ("a call that is over, or never was", 4, wrong_call),
    ("a piece out of place", 3, wrong_piece),
    ("a beginning that says more than comes", 3, wrong_head),
    ("another kind", 2, wrong_kind),
    ("another form", 2, |liar| changed(liar, |packet, rng| packet.form = rng.u8(..))),
    ("another length", 2, |liar| changed(liar, |packet, rng| packet.declared_length = Some(any_u32(rng)))),
    ("another count of descriptors", 2, |liar| {
        changed(liar, |packet, rng| packet.declared_descriptors = Some(rng.u16(..)));
    }),
    ("an introduction", 2, wrong_hello),
    ("a fault", 1, |liar| control(liar, FAULT)),
    ("a bell with something on it", 1, |liar| control(liar, BELL)),
    ("a switch", 1, |liar| control(liar, SWITCH)),
    ("descriptors without a record", 2, |liar| control(liar, DESCRIPTORS)),
    ("a reset", 2, |liar| control(liar, RESET)),
    ("an offer of memory", 3, wrong_offer),
    ("memory in order", 1, offer),
    ("no byte", 1, |liar| raw_bytes(liar, 0..1)),
    ("less than a header", 1, |liar| raw_bytes(liar, 1..16)),
    ("noise", 2, |liar| raw_bytes(liar, 16..300)),
    ("more than a packet", 1, |liar| raw_bytes(liar, (1 << 16) + 1..80_000)),
    ("changed bits", 6, changed_bits),
];

/// The same in the memory that a liar has in common with its victim.
const MILD_IN_MEMORY: &[Lie] = &[
    ("nothing wrong in a record", 60, |liar| record(liar, sound, |_, _| {})),
    ("another body in a record", 30, |liar| record(liar, body_of_another, |_, _| {})),
];

const GRAVE_IN_MEMORY: &[Lie] = &[
    ("changed bits in a record", 6, |liar| record(liar, sound, change_bits)),
    ("another length of a record", 2, |liar| {
        record(liar, sound, |bytes, rng| set_word32(bytes, 4, any_u32(rng)));
    }),
    ("another kind of record", 2, |liar| record(liar, sound, |bytes, rng| bytes[0] = rng.u8(..))),
    ("descriptors of a record that did not come", 2, |liar| {
        record(liar, sound, |bytes, rng| bytes[2] = rng.u8(1..));
    }),
    ("noise in a record", 2, |liar| record(liar, sound, |bytes, rng| rng.fill(bytes))),
    ("a word in place of a record", 2, |liar| {
        in_common(liar, |memory, rng| memory.mark(rng.u64(..) >> rng.u32(..64)));
    }),
    ("a ring that grows", 4, |liar| in_common(liar, |memory, _| memory.grow())),
    ("a word of the ring", 12, |liar| in_common(liar, |memory, rng| memory.lie_about_words(rng))),
    ("a storm in the memory", 4, |liar| in_common(liar, |memory, rng| memory.storm(rng, 200))),
];

/// Says something, which may be wrong: so that the connection has to end only where `grave` says so.
pub(crate) fn tell(liar: &mut Liar<'_>, grave: bool) {
    let in_memory = liar.memory.is_some() && (liar.role == Role::Receiver || liar.rng.u8(..4) != 0);
    let lies = match (liar.role, in_memory) {
        // It has nothing to say but what stands in the memory.
        (Role::Receiver, true) => [GRAVE_IN_MEMORY, &[]],
        (Role::Receiver, false) => return,
        (_, true) => [MILD_IN_MEMORY, if grave { GRAVE_IN_MEMORY } else { &[] }],
        (_, false) => [MILD, if grave { GRAVE } else { &[] }],
    };
    let all: u32 = lies.into_iter().flatten().map(|(_, often, _)| often).sum();
    let mut place = liar.rng.u32(..all);
    for (name, often, lie) in lies.into_iter().flatten() {
        if place < *often {
            liar.count(name);
            return lie(liar);
        }
        place -= often;
    }
}

/// The introduction, sound most of the time, and now and then a call before it.
pub(crate) fn introduce(liar: &mut Liar<'_>) {
    let role = match liar.role {
        Role::Client => CLIENT,
        Role::Server => SERVER,
        Role::Sender | Role::Receiver => return,
    };
    match liar.rng.u8(..20) {
        0 => wrong_hello(liar),
        1 => truth(liar),
        _ => liar.send(&hello(role)),
    }
    liar.count("the introduction");
    if liar.role == Role::Client && liar.rng.bool() {
        liar.count("memory in order");
        offer(liar);
    }
}
