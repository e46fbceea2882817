use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{attach_later, take_reply};
use crate::codec::{Arrived, Attachment, Encoder, REPLY_PLACE, ReplyPath, decode};
use crate::{DecodeError, EncodeError, Limits, SendError, serialize};

fn descriptor() -> OwnedFd {
    std::fs::File::open("/dev/null").unwrap().into()
}

/// Counts what becomes of it, in units of 1, 100 and 10000.
struct Later {
    events: Arc<AtomicUsize>,
    descriptor: Option<Arc<OwnedFd>>,
}

impl Attachment for Later {
    fn open(&mut self) -> io::Result<Arc<OwnedFd>> {
        self.events.fetch_add(1, Ordering::SeqCst);
        self.descriptor.clone().ok_or_else(|| io::ErrorKind::PermissionDenied.into())
    }

    fn accepted(self: Box<Self>) {
        self.events.fetch_add(100, Ordering::SeqCst);
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        self.events.fetch_add(10_000, Ordering::SeqCst);
    }
}

struct Deferred {
    events: Arc<AtomicUsize>,
    descriptor: Option<Arc<OwnedFd>>,
}

impl Serialize for Deferred {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let later = Later { events: Arc::clone(&self.events), descriptor: self.descriptor.clone() };
        attach_later(Box::new(later)).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl Deferred {
    fn new(descriptor: Option<Arc<OwnedFd>>) -> (Self, Arc<AtomicUsize>) {
        let events = Arc::new(AtomicUsize::new(0));
        (Self { events: Arc::clone(&events), descriptor }, events)
    }
}

#[test]
fn an_attachment_is_opened_only_when_the_message_is_sent() {
    let (value, events) = Deferred::new(Some(Arc::new(descriptor())));
    let mut encoder = Encoder::new();
    encoder.put(&value).unwrap();
    let (bytes, mut attachments) = encoder.finish();
    assert_eq!((&bytes[..], attachments.len(), events.load(Ordering::SeqCst)), (&[0; 4][..], 1, 0));
    assert_eq!(attachments.open().unwrap().len(), 1);
    assert_eq!(events.load(Ordering::SeqCst), 1);
    attachments.accepted();
    assert_eq!(events.load(Ordering::SeqCst), 10_101);
}

#[test]
fn an_attachment_that_cannot_be_opened_is_an_error_and_not_accepted() {
    let (value, events) = Deferred::new(None);
    assert!(
        matches!(serialize(&value), Err(EncodeError::Descriptor(error)) if error.kind() == io::ErrorKind::PermissionDenied)
    );
    assert_eq!(events.load(Ordering::SeqCst), 10_001);
}

#[test]
fn an_attachment_of_a_value_that_fails_is_dropped() {
    struct Fails(Deferred);

    impl Serialize for Fails {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(serializer)?;
            Err(serde::ser::Error::custom("too late"))
        }
    }

    let (kept, kept_events) = Deferred::new(None);
    let (failing, events) = Deferred::new(None);
    let mut encoder = Encoder::new();
    encoder.put(&kept).unwrap();
    encoder.put(&Fails(failing)).unwrap_err();
    assert_eq!(events.load(Ordering::SeqCst), 10_000);
    assert_eq!(kept_events.load(Ordering::SeqCst), 0);
    let (bytes, attachments) = encoder.finish();
    assert_eq!((bytes.len(), attachments.len()), (4, 1));
}

#[derive(Debug)]
struct Reply;

impl ReplyPath for Reply {
    fn send(&self, answer: &mut Encoder<'_>, _: bool) -> Result<(), SendError> {
        assert_eq!(answer.bytes().all().concat(), [7]);
        Ok(())
    }

    #[cfg(feature = "macros")]
    fn begin(&self) -> Option<crate::deadline::Deadline> {
        Some(crate::deadline::Deadline::NEVER)
    }

    #[cfg(feature = "macros")]
    fn fail(&self, _: crate::codec::Failure) {}

    fn forward(self: Arc<Self>) -> Box<dyn Attachment> {
        Box::new(Later { events: Arc::default(), descriptor: None })
    }
}

/// What a sender does with its place.
#[derive(Debug)]
struct ReplySender(Arc<dyn ReplyPath>);

impl<'de> Deserialize<'de> for ReplySender {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        assert_eq!(u32::deserialize(deserializer)?, REPLY_PLACE);
        take_reply().map(Self).map_err(D::Error::custom)
    }
}

#[test]
fn a_reply_is_taken_once() {
    let place = REPLY_PLACE.to_le_bytes();
    let arrived = || Arrived { descriptors: Vec::new(), reply: Some(Arc::new(Reply)) };
    let sender = decode::<ReplySender>(place.as_slice(), arrived(), &Limits::default()).unwrap();
    let mut answer = Encoder::new();
    answer.put(&7u8).unwrap();
    sender.0.send(&mut answer, true).unwrap();
    let twice =
        decode::<(ReplySender, ReplySender)>(place.repeat(2).as_slice(), arrived(), &Limits::default());
    assert_eq!(twice.unwrap_err(), DecodeError::NoReply);
    let none = decode::<ReplySender>(place.as_slice(), Arrived::default(), &Limits::default());
    assert_eq!(none.unwrap_err(), DecodeError::NoReply);
}
