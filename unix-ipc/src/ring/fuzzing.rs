//! Rings between two ends of which either may write anything to the memory.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arbitrary::Unstructured;

use super::{
    Answer, GROWN, LEAST_BYTES, Lie, NoRoom, Offer, PEEKED, RingReceiver, RingSender, Size, ends,
    filled_parts, lone_bytes, lone_receiver, lone_sender, memory_bytes,
};
use crate::fuzzing::{bytes, number};
use crate::sys::pages::Pages;

type Sender = RingSender<Arc<Pages>>;
type Receiver = RingReceiver<Arc<Pages>>;

/// A small ring is full soon and goes round often.
const SIZES: [Size; 4] = [
    Size { bytes: LEAST_BYTES, most: LEAST_BYTES },
    Size { bytes: LEAST_BYTES, most: 4 * LEAST_BYTES },
    Size { bytes: 1024, most: 1024 },
    Size { bytes: 1024, most: 4096 },
];

/// The memory of the longest two rings of these.
const MEMORY: Size = SIZES[3];

/// The header of a packet, which begins with what says how long it is.
const HEADER: usize = 16;

/// What is sent through a ring comes out of it as it went in; where somebody else writes to its memory, each end has packets
/// or lies, and stays within it.
pub fn ring(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let made_by = number(&mut input, 3);
    let size = SIZES[usize::from(number(&mut input, 4))];
    Pair::new(size, made_by).run(&mut input);
}

/// Both ends of a ring, and what is in it.
struct Pair {
    memory: Arc<Pages>,
    sender: Sender,
    receiver: Receiver,
    /// What was sent and not received, while nobody else wrote to the memory.
    queue: Option<VecDeque<Vec<u8>>>,
    sent: u64,
    /// Whether it is a ring that can be closed.
    is_alone: bool,
    is_closed: bool,
}

impl Pair {
    /// A ring whose memory was made by its sender, by its receiver, or that has none beside it.
    fn new(size: Size, made_by: u8) -> Self {
        let (memory, theirs) = memory();
        let (sender, receiver) = match made_by {
            0 => (ends(&memory, size, true).0, ends(&theirs, size, false).1),
            1 => (ends(&memory, size, false).0, ends(&theirs, size, true).1),
            _ => (lone_sender(Arc::clone(&memory), 0, size.bytes), lone_receiver(theirs, 0, size.bytes)),
        };
        let queue = Some(VecDeque::new());
        Self { memory, sender, receiver, queue, sent: 0, is_alone: made_by > 1, is_closed: false }
    }

    fn run(&mut self, input: &mut Unstructured<'_>) {
        while !input.is_empty() {
            match number(input, 16) {
                0..=3 => self.send(input),
                4 | 5 => self.receive(input),
                6 => self.receive_short(),
                7 => self.take_peeked(input),
                8 => self.tell(),
                9 => self.sleep_and_wake(),
                10 => self.want_room(input),
                11 => self.grow(input),
                12 => self.count_descriptors(input),
                13 => self.close(),
                14 => self.offer(input),
                _ => self.write(input),
            }
        }
    }

    /// Sends a packet, whose bytes need not be in the input.
    fn send(&mut self, input: &mut Unstructured<'_>) {
        let len = short(input) % (self.sender.longest() - HEADER + 1);
        let body: Vec<u8> = (0..len as u64).map(|index| ((index * 31) ^ self.sent) as u8).collect();
        let header = header(number(input, 4), body.len(), self.sent);
        let sent = if self.is_alone {
            self.sender.send_unless_closed(&header, &body, 0)
        } else {
            let (place, piece) = body.split_at(if len < HEADER { 0 } else { HEADER });
            self.sender.send(&header, place, piece)
        };
        let Some(queue) = &mut self.queue else { return };
        match sent {
            Ok(_) => {
                queue.push_back([&header, body.as_slice()].concat());
                self.sent += 1;
            }
            Err(NoRoom::Now) => {
                assert!(!queue.is_empty() || self.receiver.position() > 0, "a new ring has room");
            }
            Err(NoRoom::Closed) => assert!(self.is_closed),
            Err(NoRoom::Lie(lie)) => panic!("an honest ring has {lie:?}"),
        }
    }

    fn receive(&mut self, input: &mut Unstructured<'_>) {
        let mut packet = [0; 2048];
        let most = if number(input, 8) == 7 { 64 } else { packet.len() };
        let received = if number(input, 4) == 3 {
            self.receiver.receive_like([1, 0, 0, 0], &mut packet[..most])
        } else {
            self.receiver.receive(&mut packet[..most])
        };
        match received {
            Ok(len) => self.came(&packet[..len]),
            Err(lie) => self.is_a_lie(lie, most),
        }
    }

    fn receive_short(&mut self) {
        let mut packet = [0; 512];
        let len = self.receiver.receive_short(&mut packet);
        self.came(&packet[..len]);
    }

    /// A packet has come, or none.
    fn came(&mut self, packet: &[u8]) {
        if packet.is_empty() {
            return;
        }
        let declared = u32::from_le_bytes(packet[4..8].try_into().expect("four bytes"));
        assert_eq!(packet.len(), HEADER + declared as usize);
        assert!(packet.len() <= self.receiver.bytes() / 2, "a packet is longer than one may be");
        if let Some(queue) = &mut self.queue {
            assert_eq!(Some(packet), queue.pop_front().as_deref());
        }
    }

    /// Only the mark of a closed ring, and a place that is too small, look like one in a ring that nobody else writes to.
    fn is_a_lie(&self, lie: Lie, room: usize) {
        let is_small =
            self.queue.as_ref().is_some_and(|queue| queue.front().is_some_and(|next| next.len() > room));
        assert!(self.queue.is_none() || self.is_closed || is_small, "an honest ring has {lie:?}");
    }

    fn take_peeked(&mut self, input: &mut Unstructured<'_>) {
        let Some(start) = self.receiver.peek() else { return };
        let first = u64::from_le_bytes(start[..8].try_into().expect("eight bytes"));
        let is_packet = first != GROWN && first as u8 != u8::MAX;
        let declared = HEADER + (first >> 32) as usize;
        let packet = if self.queue.is_some() { declared } else { short(input) };
        // Nobody peeks at less than what is looked at.
        if packet < PEEKED || !is_packet {
            return;
        }
        let mut rest = b"kept".to_vec();
        let taken = self.receiver.take_peeked(packet, &mut rest);
        assert!(rest.starts_with(b"kept"));
        match taken {
            Ok(()) => {
                assert_eq!(rest.len(), 4 + packet - PEEKED);
                self.came_in_parts(&start, &rest[4..]);
            }
            Err(lie) => self.is_a_lie(lie, usize::MAX),
        }
    }

    fn came_in_parts(&mut self, start: &[u8], rest: &[u8]) {
        if let Some(queue) = &mut self.queue {
            assert_eq!(Some([start, rest].concat()), queue.pop_front());
        }
    }

    fn tell(&mut self) {
        let _must_ring = self.receiver.tell();
    }

    fn sleep_and_wake(&mut self) {
        let (is_empty, _) = self.receiver.fall_asleep();
        if let Some(queue) = &self.queue {
            // What stands in front of the first packet of a longer ring, and behind the last of a closed one, is something.
            assert!(queue.is_empty() || !is_empty, "there is a packet");
        }
        self.receiver.wake_up();
        self.receiver.wait_on_core(self.sent);
        let _ = (self.receiver.others_core(), self.sender.receivers_core());
        self.sender.is_on_core(self.sent);
    }

    fn want_room(&mut self, input: &mut Unstructured<'_>) {
        let packet = HEADER + usize::from(number(input, u8::MAX));
        let wanted = self.sender.want_room(packet.min(self.sender.longest()));
        assert!(self.queue.is_none() || wanted.is_ok(), "an honest ring has {wanted:?}");
        let _ = self.sender.check_room(packet);
    }

    fn grow(&mut self, input: &mut Unstructured<'_>) {
        let message = 64 * usize::from(number(input, u8::MAX));
        if number(input, 2) == 0 {
            self.receiver.let_grow_for(message);
        }
        let before = self.sender.longest();
        let grown = self.sender.grow_for(message);
        assert!(self.queue.is_none() || grown.is_ok(), "an honest ring has {grown:?}");
        assert!(before <= self.sender.longest() && self.sender.longest() <= MEMORY.most / 4);
    }

    fn count_descriptors(&mut self, input: &mut Unstructured<'_>) {
        let count = u64::from(number(input, 4));
        self.sender.count_descriptors(count);
        let on_the_way = self.sender.descriptors_on_the_way();
        if self.queue.is_some() {
            assert_eq!(on_the_way, Ok(count));
        }
        self.receiver.count_descriptors(count);
    }

    fn close(&mut self) {
        if !self.is_alone {
            return;
        }
        let closed = self.receiver.close();
        if let Some(queue) = &self.queue {
            assert_eq!(closed, queue.is_empty() && !self.is_closed);
        }
        self.is_closed |= closed;
    }

    /// An offer of other memory is answered once.
    fn offer(&mut self, input: &mut Unstructured<'_>) {
        let start = lone_bytes(MEMORY.most);
        let offer = Offer::new(start, input.arbitrary().unwrap_or(0));
        offer.make(&self.memory);
        assert_eq!(offer.answered(&self.memory), None);
        let answer = if number(input, 2) == 0 { Answer::Taken } else { Answer::Done };
        assert!(offer.answer(&self.memory, answer) && !offer.answer(&self.memory, Answer::Taken));
        assert_eq!(offer.answered(&self.memory), Some(answer));
        assert_eq!(Offer::is_over(&self.memory, start), answer == Answer::Done);
    }

    /// Somebody writes what they want, where they want.
    fn write(&mut self, input: &mut Unstructured<'_>) {
        let at = 8 * short(input) % memory_bytes(MEMORY);
        let word = match number(input, 4) {
            0 => input.arbitrary().unwrap_or(0),
            1 => first_word(number(input, 16), short(input)),
            2 => GROWN,
            _ => short(input) as u64,
        };
        self.memory.word(at).store(word, Ordering::Relaxed);
        let most = usize::from(number(input, 40)).min(memory_bytes(MEMORY) - at);
        self.memory.write(at, bytes(input, most));
        self.queue = None;
    }
}

fn short(input: &mut Unstructured<'_>) -> usize {
    input.arbitrary::<u16>().unwrap_or(0).into()
}

fn first_word(kind: u8, body: usize) -> u64 {
    (u64::from(kind) + 1) | ((body as u64) << 32)
}

fn header(kind: u8, body: usize, id: u64) -> [u8; HEADER] {
    (u128::from(first_word(kind, body)) | u128::from(id) << 64).to_le_bytes()
}

/// The same memory as two processes have it, of zeroes.
fn memory() -> (Arc<Pages>, Arc<Pages>) {
    thread_local! {
        static MAPPED: (Arc<Pages>, Arc<Pages>) = {
            let len = memory_bytes(MEMORY);
            let (ours, file) = Pages::create(c"ring", len, &filled_parts(MEMORY)).expect("memory");
            (Arc::new(ours), Arc::new(Pages::open(file.as_fd(), len).expect("the same memory")))
        };
    }
    let (ours, theirs) = MAPPED.with(Clone::clone);
    ours.write(0, &vec![0; memory_bytes(MEMORY)]);
    (ours, theirs)
}
