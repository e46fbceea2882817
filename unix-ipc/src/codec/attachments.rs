use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Something whose descriptor is made only when the message it is in is sent.
///
/// Nothing with an effect may happen inside a `Serialize`: it leaves one of these, and the send
/// does the work. One that is dropped was not sent, and everything is as before.
pub(crate) trait Attachment: Send {
    /// Makes the descriptor, or gives the one made before: a send that found no room asks again.
    fn open(&mut self) -> io::Result<Arc<OwnedFd>>;

    /// The kernel has taken the message.
    fn accepted(self: Box<Self>);
}

/// What rides beside the bytes of a message, in the order of the indices in it.
#[derive(Default)]
pub(crate) struct Attachments {
    items: Vec<Item>,
}

enum Item {
    /// A clone of what the value holds: no system call, and nothing is closed under the message.
    Open(Arc<OwnedFd>),
    Later(Box<dyn Attachment>),
}

impl Attachments {
    pub(super) const fn new() -> Self {
        Self { items: Vec::new() }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// The descriptors to send. Nothing has left before [`accepted`](Self::accepted).
    #[inline]
    pub(crate) fn open(&mut self) -> io::Result<Vec<Arc<OwnedFd>>> {
        if self.items.is_empty() {
            return Ok(Vec::new());
        }
        self.items.iter_mut().map(Item::open).collect()
    }

    /// The kernel has taken the message.
    #[inline]
    pub(crate) fn accepted(&mut self) {
        if self.items.is_empty() {
            return;
        }
        for item in self.items.drain(..) {
            if let Item::Later(attachment) = item {
                attachment.accepted();
            }
        }
    }

    /// The descriptors, given away for good: each is the value's own where nobody else has it, and a
    /// duplicate otherwise.
    pub(super) fn into_descriptors(self) -> io::Result<Vec<OwnedFd>> {
        let mut descriptors = Vec::with_capacity(self.len());
        let mut attachments = Vec::new();
        for item in self.items {
            let descriptor = match item {
                Item::Open(descriptor) => descriptor,
                Item::Later(mut attachment) => {
                    let descriptor = attachment.open()?;
                    attachments.push(attachment);
                    descriptor
                }
            };
            descriptors.push(own(descriptor)?);
        }
        attachments.into_iter().for_each(Attachment::accepted);
        Ok(descriptors)
    }

    pub(super) fn push(&mut self, descriptor: Arc<OwnedFd>) {
        self.items.push(Item::Open(descriptor));
    }

    pub(super) fn push_later(&mut self, attachment: Box<dyn Attachment>) {
        self.items.push(Item::Later(attachment));
    }

    /// Drops what a failed value left behind.
    pub(super) fn truncate(&mut self, len: usize) {
        self.items.truncate(len);
    }
}

impl Item {
    #[inline]
    fn open(&mut self) -> io::Result<Arc<OwnedFd>> {
        match self {
            Self::Open(descriptor) => Ok(Arc::clone(descriptor)),
            Self::Later(attachment) => attachment.open(),
        }
    }
}

fn own(descriptor: Arc<OwnedFd>) -> io::Result<OwnedFd> {
    Arc::try_unwrap(descriptor).or_else(|shared| shared.try_clone())
}

impl fmt::Debug for Attachments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachments").field("len", &self.len()).finish_non_exhaustive()
    }
}
