//! What goes through plain channels: of everything that a message may hold, some.

use std::fs::File;

use serde::{Deserialize, Serialize};
use unix_ipc::{Handle, Receiver, Sender, SharedMemory, SharedMemoryMut};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Value {
    Number(u64),
    Text(String),
    Bytes(Vec<u8>),
    Nested(Box<(Value, Option<Value>)>),
    Many(Vec<Value>),
    Units(Vec<()>),
    Character(char, bool, i128),
    File(Handle<File>),
    Sender(Sender<u64>),
    Receiver(Receiver<Value>),
    Shared(SharedMemory),
    Writable(SharedMemoryMut),
}

impl Value {
    pub(crate) fn small(number: u64) -> Self {
        match number % 50 {
            7 => Self::Text("text".repeat(20)),
            9 => File::open("/dev/null").map_or(Self::Number(number), |file| Self::File(file.into())),
            _ => Self::Number(number),
        }
    }

    /// Uses what came, as a program does; nothing here waits.
    pub(crate) fn touch(self) {
        match self {
            Self::Nested(both) => {
                both.0.touch();
                both.1.into_iter().for_each(Self::touch);
            }
            Self::Many(values) => values.into_iter().for_each(Self::touch),
            Self::Sender(sender) => drop(sender.try_send(7)),
            Self::Receiver(receiver) => drop(receiver.try_recv()),
            Self::Shared(memory) => {
                let sum: u64 = memory.iter().map(|byte| u64::from(*byte)).sum();
                std::hint::black_box(sum);
            }
            Self::Writable(mut memory) => {
                let end = memory.len().saturating_sub(1);
                drop(memory.write_at(end, &[7]));
                drop(memory.freeze());
            }
            Self::Number(_)
            | Self::Text(_)
            | Self::Bytes(_)
            | Self::Units(_)
            | Self::Character(..)
            | Self::File(_) => {}
        }
    }

    /// A sound one.
    pub(crate) fn random(rng: &mut fastrand::Rng, depth: u32) -> Self {
        match rng.u8(..if depth > 0 { 12 } else { 8 }) {
            0 => Self::Text((0..rng.usize(..50)).map(|_| rng.char(..)).collect()),
            1 => Self::Bytes(vec![rng.u8(..); rng.usize(..3000)]),
            2 => Self::Units(vec![(); rng.usize(..1000)]),
            3 => Self::Character(rng.char(..), rng.bool(), rng.i128(..)),
            4 => File::open("/dev/null").map_or(Self::Number(1), |file| Self::File(file.into())),
            5 => unix_ipc::channel().map_or(Self::Number(2), |(sender, _)| Self::Sender(sender)),
            6 => unix_ipc::channel().map_or(Self::Number(3), |(_, receiver)| Self::Receiver(receiver)),
            7 => SharedMemory::new(&[1; 5000]).map_or(Self::Number(4), Self::Shared),
            8 => SharedMemoryMut::new(5000).map_or(Self::Number(5), Self::Writable),
            9 => Self::Many((0..rng.usize(..5)).map(|_| Self::random(rng, depth - 1)).collect()),
            10 => {
                let other = rng.bool().then(|| Self::random(rng, depth - 1));
                Self::Nested(Box::new((Self::random(rng, depth - 1), other)))
            }
            _ => Self::Number(rng.u64(..)),
        }
    }
}
