//! Sound packets whose bodies are not the value that is expected.

use std::fs::File;
use std::io::PipeWriter;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use unix_ipc::{
    DecodeError, Handle, LimitExceeded, Limits, RawSender, Receiver, RecvError, SharedMemory,
    SharedMemoryMut, channel, raw_channel, serialize,
};

use crate::util::Watchdog;
use crate::{Canary, most_allocated};

/// A typed receiver whose sender sends what it likes.
struct Typed<T> {
    sender: RawSender,
    receiver: Receiver<T>,
}

impl<T: DeserializeOwned> Typed<T> {
    fn new() -> Self {
        let (sender, receiver) = raw_channel().unwrap();
        Self { sender, receiver: receiver.into() }
    }

    #[track_caller]
    fn refuses(&self, bytes: &[u8], descriptors: usize, expected: &DecodeError) {
        let canary = Canary::new();
        self.sender.send(bytes, &vec![canary.fd(); descriptors]).unwrap();
        match self.receiver.recv() {
            Err(RecvError::Decode(found)) => assert_eq!(&found, expected),
            Err(other) => panic!("expected {expected:?}, found {other:?}"),
            Ok(_) => panic!("expected {expected:?}, found a value"),
        }
        canary.assert_closed_by_receiver();
    }
}

type Two = (Handle<PipeWriter>, Handle<PipeWriter>);

#[test]
fn p02_p37_a_shorter_or_longer_body_is_named_and_its_descriptors_are_closed() {
    let _watchdog = Watchdog::new();
    let typed = Typed::<u32>::new();
    typed.refuses(&[1, 2, 3], 2, &DecodeError::End);
    typed.refuses(&[], 0, &DecodeError::End);
    typed.refuses(&[1, 2, 3, 4, 5], 1, &DecodeError::Trailing { count: 1 });
    typed.refuses(&[0; 4000], 0, &DecodeError::Trailing { count: 3996 });
    typed.sender.send(&7u32.to_le_bytes(), &[]).unwrap();
    assert_eq!(typed.receiver.recv().unwrap(), 7);
}

#[test]
fn p03_p18_descriptors_that_the_type_does_not_take_are_an_error_and_closed() {
    let _watchdog = Watchdog::new();
    Typed::<u32>::new().refuses(&[0; 4], 3, &DecodeError::SurplusDescriptors { count: 3 });
    Typed::<Handle<PipeWriter>>::new().refuses(&[0; 4], 3, &DecodeError::SurplusDescriptors { count: 2 });
}

#[test]
fn p04_one_descriptor_named_twice_has_one_owner_and_an_error() {
    let _watchdog = Watchdog::new();
    Typed::<Two>::new().refuses(&[0; 8], 2, &DecodeError::DescriptorTwice { index: 0 });
}

#[test]
fn p05_an_index_past_the_end_is_named() {
    let _watchdog = Watchdog::new();
    let typed = Typed::<Handle<PipeWriter>>::new();
    for index in [1, 253, u32::MAX - 1] {
        typed.refuses(&index.to_le_bytes(), 1, &DecodeError::DescriptorIndex { index, count: 1 });
    }
    typed.refuses(&0u32.to_le_bytes(), 0, &DecodeError::DescriptorIndex { index: 0, count: 0 });
}

#[test]
fn the_place_of_a_reply_is_nowhere_on_a_plain_channel() {
    let _watchdog = Watchdog::new();
    Typed::<unix_ipc::Sender<u8>>::new().refuses(&u32::MAX.to_le_bytes(), 0, &DecodeError::NoReply);
}

#[derive(Debug, Serialize, Deserialize)]
struct Node {
    next: Option<Box<Node>>,
}

#[test]
fn p36_deep_nesting_is_refused_with_the_number() {
    let typed = Typed::<Node>::new();
    let mut chain = Node { next: None };
    for _ in 0..50 {
        chain = Node { next: Some(Box::new(chain)) };
    }
    typed.sender.send(&serialize(&chain).unwrap().0, &[]).unwrap();
    typed.receiver.recv().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| typed.sender.send(&vec![1; 100_000], &[]).unwrap());
        let refusal = LimitExceeded::Nesting { limit: 256 };
        assert!(matches!(typed.receiver.recv(), Err(RecvError::Refused(found)) if found == refusal));
    });
}

#[test]
fn p36_the_nesting_limit_can_be_set() {
    let (sender, receiver) = raw_channel().unwrap();
    let mut limits = Limits::default();
    limits.nesting = 3;
    let receiver: Receiver<Node> = receiver.with_limits(limits).into();
    sender.send(&[1, 1, 1, 1, 0], &[]).unwrap();
    sender.send(&[0], &[]).unwrap();
    let refusal = LimitExceeded::Nesting { limit: 3 };
    assert!(matches!(receiver.recv(), Err(RecvError::Refused(found)) if found == refusal));
    assert!(receiver.recv().unwrap().next.is_none());
}

#[test]
fn p32_claimed_lengths_allocate_next_to_nothing() {
    let typed = Typed::<Vec<u8>>::new();
    let strings = Typed::<Vec<String>>::new();
    for length in [1u64 << 30, 1 << 62, u64::MAX] {
        let body = length.to_le_bytes();
        typed.sender.send(&body, &[]).unwrap();
        strings.sender.send(&body, &[]).unwrap();
        let most = most_allocated(|| {
            assert!(matches!(typed.receiver.recv(), Err(RecvError::Decode(DecodeError::End))));
            assert!(matches!(strings.receiver.recv(), Err(RecvError::Decode(DecodeError::End))));
        });
        assert!(most < 128 << 10, "{most} bytes were allocated");
    }
}

#[test]
fn p39_a_message_that_does_not_decode_costs_no_other() {
    let (sender, receiver) = raw_channel().unwrap();
    let receiver: Receiver<bool> = receiver.into();
    for body in [&[1][..], &[2], &[0], b"", &[1]] {
        sender.send(body, &[]).unwrap();
    }
    drop(sender);
    let received: Vec<Option<bool>> = receiver.iter().map(Result::ok).collect();
    assert_eq!(received, [Some(true), None, Some(false), None, Some(true)]);
}

#[test]
fn a_descriptor_that_is_no_channel_is_an_error_at_its_first_use() {
    let (sender, receiver) = raw_channel().unwrap();
    let receiver: Receiver<(unix_ipc::Sender<u8>, Receiver<u8>)> = receiver.into();
    let file = File::open("/dev/null").unwrap();
    sender.send(&[0, 0, 0, 0, 1, 0, 0, 0], &[file.as_fd(), file.as_fd()]).unwrap();
    let (to_file, from_file) = receiver.recv().unwrap();
    assert!(matches!(to_file.send(1), Err(unix_ipc::SendError::Io { value: 1, .. })));
    assert!(matches!(from_file.try_recv(), Err(RecvError::Io(_))));
    assert_eq!(from_file.iter().count(), 1, "the iterator ends");
}

const SIZED: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW);
const SEALED: SealFlag = SIZED.union(SealFlag::F_SEAL_WRITE);

fn memory(seals: SealFlag, length: i64) -> OwnedFd {
    let file = memfd_create(c"hostile", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
    ftruncate(&file, length).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file
}

#[test]
fn p63_shared_memory_with_a_seal_missing_is_named() {
    let (sender, receiver) = raw_channel().unwrap();
    let receiver: Receiver<SharedMemory> = receiver.into();
    for missing in [SealFlag::F_SEAL_SHRINK, SealFlag::F_SEAL_GROW, SealFlag::F_SEAL_WRITE] {
        sender.send(&[0; 4], &[memory(SEALED.difference(missing), 4096).as_fd()]).unwrap();
        let Err(RecvError::Decode(error)) = receiver.recv() else { panic!("{missing:?} is not needed") };
        assert_eq!(error.to_string(), "the memory is not sealed");
    }
    sender.send(&[0; 4], &[File::open("/proc/self/exe").unwrap().as_fd()]).unwrap();
    let Err(RecvError::Decode(error)) = receiver.recv() else { panic!("any file is memory") };
    assert_eq!(error.to_string(), "the file is not memory");
    sender.send(&[0; 4], &[memory(SEALED, 4096).as_fd()]).unwrap();
    assert_eq!(receiver.recv().unwrap().len(), 4096);
}

#[test]
fn p63_shared_memory_that_can_shrink_is_not_filled() {
    let (sender, receiver) = raw_channel().unwrap();
    let receiver: Receiver<SharedMemoryMut> = receiver.into();
    sender.send(&[0; 4], &[memory(SealFlag::F_SEAL_GROW, 4096).as_fd()]).unwrap();
    assert!(matches!(receiver.recv(), Err(RecvError::Decode(_))));
    sender.send(&[0; 4], &[memory(SIZED, 4096).as_fd()]).unwrap();
    assert_eq!(receiver.recv().unwrap().len(), 4096);
}

#[test]
fn shared_memory_above_the_receivers_limit_is_refused_with_the_number() {
    let (sender, receiver) = channel::<SharedMemory>().unwrap();
    let mut limits = Limits::default();
    limits.message_bytes = 100;
    let receiver: Receiver<SharedMemory> = receiver.into_raw_receiver().with_limits(limits).into();
    sender.send(SharedMemory::new(&[1; 101]).unwrap()).unwrap();
    sender.send(SharedMemory::new(&[1; 100]).unwrap()).unwrap();
    let refusal = LimitExceeded::MessageBytes { actual: 101, limit: 100 };
    assert!(matches!(receiver.recv(), Err(RecvError::Refused(found)) if found == refusal));
    assert_eq!(&receiver.recv().unwrap()[..], [1; 100]);
}
