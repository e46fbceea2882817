use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use nix::poll::PollFlags;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::super::connection::Link;
use super::super::hello::{Hello, Mismatch, Role};
use super::super::message::message_of;
use super::super::task::{Method, Task};
use super::outbox::{Outbox, Put};
use super::reply::{Decoding, Reply};
use crate::codec::{self, Arrived, DecodeError, Encoder, Failure, ReplyPath};
use crate::deadline::Deadline;
use crate::error::{ProtocolError, RecvError, SendError};
use crate::frame::Kind;
use crate::raw_channel::{Broken, Incoming, Message, Outlet, Parts, look_often};
use crate::sync::{lock, this_thread};
use crate::sys::receive::Wait;

/// The serving end of one connection, shared with the reply senders of its calls.
#[derive(Debug)]
pub(crate) struct Session {
    link: Arc<Link>,
    service: &'static str,
    methods: &'static [Method],
    /// Which of our methods each of the client's is.
    client: OnceLock<Vec<Result<u32, Mismatch>>>,
    outbox: Mutex<Outbox>,
    /// Whether something waits in the outbox; changed under its lock.
    has_queue: AtomicBool,
    /// The thread that reads the calls, and sends what had to wait between two of them; 0 for none.
    reader: AtomicU64,
    /// Else whoever waits on the epoll instance does, which knows the connection by this number; else the thread that
    /// put it in the outbox.
    epoll: Mutex<Option<(Arc<Epoll>, u64)>>,
    ended: AtomicBool,
}

/// What a look at the connection found.
pub(super) enum Step<T> {
    Task(T),
    /// A message that was no call to run; there may be more.
    Handled,
    /// A call that could not be read. Its caller has been told.
    Unreadable(RecvError),
    Nothing,
    /// The client is gone.
    End,
}

impl Session {
    pub(crate) fn new<T: Task>(link: Arc<Link>) -> Arc<Self> {
        let outlet = link.outlet(false);
        Self::with_outlet::<T>(link, outlet)
    }

    /// The same for a connection without rings, whose packets all come over the socket.
    pub(super) fn without_rings<T: Task>(link: Arc<Link>) -> Arc<Self> {
        Self::with_outlet::<T>(link, Outlet::new(0, false))
    }

    fn with_outlet<T: Task>(link: Arc<Link>, outlet: Outlet) -> Arc<Self> {
        Arc::new(Self {
            link,
            service: T::SERVICE,
            methods: T::METHODS,
            client: OnceLock::new(),
            outbox: Mutex::new(Outbox::new(outlet)),
            has_queue: AtomicBool::new(false),
            reader: AtomicU64::new(0),
            epoll: Mutex::default(),
            ended: AtomicBool::new(false),
        })
    }

    #[inline]
    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// The next call, without waiting. An error ends the connection, and the client has been told.
    pub(super) fn step<T: Task>(self: &Arc<Self>) -> Result<Step<T>, RecvError> {
        self.take(self.link.receive())
    }

    /// The next call, after waiting for it.
    #[inline]
    pub(super) fn step_waiting<T: Task>(self: &Arc<Self>) -> Result<Step<T>, RecvError> {
        self.take(self.link.receive_with(Wait::ForEver))
    }

    #[inline]
    fn take<T: Task>(self: &Arc<Self>, received: Result<Incoming, Broken>) -> Result<Step<T>, RecvError> {
        match received {
            Ok(Incoming::Message(message)) => self.accept(message).or_else(|error| self.accuse(error)),
            Ok(Incoming::Piece | Incoming::Rung) => Ok(Step::Handled),
            Ok(Incoming::Nothing) => Ok(Step::Nothing),
            Ok(Incoming::End) => {
                self.end();
                Ok(Step::End)
            }
            Err(broken) => self.broken(broken),
        }
    }

    #[inline]
    fn accept<T: Task>(self: &Arc<Self>, message: Message) -> Result<Step<T>, ProtocolError> {
        match message.kind {
            Kind::Hello => self.meet(&message).map(|()| Step::Handled),
            Kind::Call => self.decode(message, true),
            Kind::OneWay => self.decode(message, false),
            Kind::Fault => {
                Err(ProtocolError::Accused(String::from_utf8_lossy(message.body.start()).into_owned()))
            }
            Kind::Ring | Kind::Switch | Kind::Bell | Kind::Reset => {
                let mut outbox = lock(&self.outbox);
                if self.link.change_ways(outbox.outlet(), message)? {
                    // Late replies to a client that has moved.
                    outbox.clear();
                    self.has_queue.store(false, Ordering::SeqCst);
                }
                Ok(Step::Handled)
            }
            other => Err(ProtocolError::Kind(other as u8)),
        }
    }

    fn meet(&self, message: &Message) -> Result<(), ProtocolError> {
        if !message.descriptors.is_empty() {
            return Err(ProtocolError::DescriptorCount { declared: 0, actual: message.descriptors.len() });
        }
        let ours = Hello::new(Role::Server, self.service, self.methods);
        let theirs = Hello::decode(message.body.start(), self.link.limits());
        // Our introduction goes out even where theirs does not fit: it says in words what we are.
        let _ = self.put(Kind::Hello, 0, &mut ours.encode(), Vec::new());
        let theirs = theirs?;
        ours.check(&theirs)?;
        self.client
            .set(ours.match_methods(&theirs))
            .map_err(|_| ProtocolError::Order("a second introduction"))
    }

    #[inline]
    fn decode<T: Task>(
        self: &Arc<Self>,
        mut message: Message,
        wants_reply: bool,
    ) -> Result<Step<T>, ProtocolError> {
        let id = message.id;
        let fail = |failure: Failure| {
            if wants_reply {
                self.fail(id, &failure);
            }
        };
        let Some(methods) = self.client.get() else {
            return Err(ProtocolError::Order("a call before the introduction"));
        };
        let named = codec::variant(message.body.start())
            .and_then(|number| methods.get(usize::try_from(number).ok()?));
        let number = match named {
            Some(Ok(number)) => *number,
            Some(Err(mismatch)) => {
                let Mismatch { ours, theirs } = mismatch.clone();
                fail(Failure::UnknownMethod { ours, theirs });
                return Ok(Step::Handled);
            }
            None => {
                let error = DecodeError::Malformed("a call of a method that the introduction does not have");
                fail(failure_of(&error));
                return Ok(Step::Unreadable(error.into()));
            }
        };
        codec::set_variant(message.body.start_mut(), number);
        let reply = wants_reply.then(|| -> Arc<dyn ReplyPath> { Reply::new(Arc::clone(self), id) });
        let decoding = Decoding::of(self, id);
        let arrived = Arrived { descriptors: message.descriptors, reply };
        let decode = || codec::decode::<T>((&mut message.body).into(), arrived, self.link.limits());
        let decoded = panic::catch_unwind(AssertUnwindSafe(decode));
        let dropped_its_reply = decoding.end();
        Ok(match decoded {
            Ok(Ok(task)) => {
                if dropped_its_reply {
                    fail(Failure::Dropped);
                }
                Step::Task(task)
            }
            // It concerns one call, and the connection lives on.
            Ok(Err(error)) => {
                fail(failure_of(&error));
                Step::Unreadable(error.into())
            }
            // As the handler's: it is the caller's matter, and the other clients go on.
            Err(payload) => {
                fail(Failure::Panicked(message_of(&*payload).to_owned()));
                Step::Unreadable(DecodeError::Malformed("a call whose arguments panicked").into())
            }
        })
    }

    /// Says why a call has no reply.
    pub(super) fn fail(&self, id: u64, failure: &Failure) {
        // Where it cannot be said, the caller is gone.
        let _ = self.put(Kind::Failure, id, &mut encode_failure(failure), Vec::new());
    }

    /// A message that could not be received. Where its header was sound, it concerns its call alone.
    fn broken<T>(self: &Arc<Self>, broken: Broken) -> Result<Step<T>, RecvError> {
        match (broken.about, broken.error) {
            (Some((Kind::Call, id)), error) => {
                let failure = match &error {
                    RecvError::Refused(limit) => Failure::Refused(*limit),
                    RecvError::Protocol(error) => Failure::Unreadable(error.to_string()),
                    other => Failure::Unreadable(other.to_string()),
                };
                self.fail(id, &failure);
                Ok(Step::Unreadable(error))
            }
            (Some((Kind::OneWay, _)), error) => Ok(Step::Unreadable(error)),
            (_, RecvError::Protocol(error)) => self.accuse(error),
            (_, RecvError::Refused(limit)) => self.accuse(ProtocolError::Body(limit.to_string())),
            (_, error) => {
                self.end();
                self.link.hang_up();
                Err(error)
            }
        }
    }

    /// The client sent nonsense: it is told so, and hung up on.
    fn accuse<T>(&self, error: ProtocolError) -> Result<Step<T>, RecvError> {
        self.link.accuse(&error.to_string());
        self.end();
        Err(error.into())
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.drop_queue();
    }

    /// Hangs up: replies that wait are dropped.
    pub(super) fn hang_up(&self) {
        self.end();
        self.link.hang_up();
    }

    /// No more calls are read; reply senders that still live can answer.
    pub(crate) fn stop_reading(&self) {
        self.link.stop_reading();
    }

    /// Sends a message, or leaves it to the flusher; a thread that has none waits until it is sent.
    #[inline]
    pub(super) fn put(
        &self,
        kind: Kind,
        id: u64,
        message: &mut Encoder<'_>,
        descriptors: Vec<Arc<OwnedFd>>,
    ) -> Result<(), SendError> {
        self.link.check().map_err(|source| SendError::Io { value: (), source })?;
        let most = self.link.limits().queued_reply_bytes;
        let mut outbox = lock(&self.outbox);
        match outbox.put(self.link.socket(), (kind, id), message, descriptors, most) {
            Ok(Put::Sent) => Ok(()),
            Ok(Put::Queued) => {
                self.has_queue.store(true, Ordering::SeqCst);
                drop(outbox);
                self.see_to_queue();
                Ok(())
            }
            Err(error) => {
                if outbox.is_closed() {
                    self.link.hang_up();
                }
                Err(error)
            }
        }
    }

    /// Sends a message if there is room for all of it now.
    pub(super) fn try_put(
        &self,
        kind: Kind,
        id: u64,
        body: Parts<'_>,
        descriptors: &[Arc<OwnedFd>],
    ) -> Result<(), SendError> {
        self.link.check().map_err(|source| SendError::Io { value: (), source })?;
        lock(&self.outbox).try_put(self.link.socket(), (kind, id), body, descriptors)
    }

    /// Sees to it that what waits is sent. The message is on its way, so that its failure is the connection's.
    fn see_to_queue(&self) {
        if self.reader.load(Ordering::Relaxed) == this_thread() {
            return;
        }
        if let Some((epoll, token)) = &*lock(&self.epoll) {
            let mut event = EpollEvent::new(EpollFlags::EPOLLOUT, *token);
            let _ = epoll.modify(self.link.socket().as_fd(), &mut event);
            return;
        }
        if self.flush_waiting().is_err() {
            self.hang_up();
        }
    }

    /// Sends what waits, and waits for room itself.
    pub(super) fn flush_waiting(&self) -> io::Result<()> {
        while !self.flush()? {
            if look_often(|| lock(&self.outbox).look_for_room())? {
                continue;
            }
            let wants_room = lock(&self.outbox).want_room();
            match wants_room? {
                Some(false) => {}
                Some(true) => {
                    if !self.link.wait_for_bell()? {
                        self.drop_queue();
                    }
                }
                None => {
                    self.link.wait(PollFlags::POLLOUT, Deadline::NEVER)?;
                }
            }
        }
        Ok(())
    }

    /// Takes nothing more, and drops what waits.
    fn drop_queue(&self) {
        let mut outbox = lock(&self.outbox);
        outbox.close();
        self.has_queue.store(false, Ordering::SeqCst);
    }

    /// Sends what waits, for as long as there is room: true where nothing waits any more.
    pub(super) fn flush(&self) -> io::Result<bool> {
        while self.has_queue() {
            let mut outbox = lock(&self.outbox);
            let flushed = outbox.flush(self.link.socket());
            self.has_queue.store(!outbox.is_empty(), Ordering::SeqCst);
            match flushed {
                Ok(None) => return Ok(outbox.is_empty()),
                Ok(Some(undeliverable)) => {
                    drop(outbox);
                    self.fail(undeliverable.id, &Failure::Refused(undeliverable.limit));
                }
                Err(_) => {
                    outbox.close();
                    self.has_queue.store(false, Ordering::SeqCst);
                }
            }
        }
        Ok(true)
    }

    #[inline]
    pub(super) fn has_queue(&self) -> bool {
        self.has_queue.load(Ordering::SeqCst)
    }

    /// From now on this thread sends what has to wait, between two calls.
    pub(super) fn flush_by_this_thread(&self) {
        let this = this_thread();
        if self.reader.load(Ordering::Relaxed) != this {
            self.reader.store(this, Ordering::Relaxed);
        }
    }

    /// From now on whoever has to wait does so itself.
    pub(super) fn flush_by_nobody(&self) {
        self.reader.store(0, Ordering::Relaxed);
        *lock(&self.epoll) = None;
    }

    pub(super) fn flush_by_epoll(&self, epoll: Arc<Epoll>, token: u64) {
        *lock(&self.epoll) = Some((epoll, token));
    }
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.socket().as_fd()
    }
}

fn failure_of(error: &DecodeError) -> Failure {
    match error {
        DecodeError::Limit(limit) => Failure::Refused(*limit),
        other => Failure::Unreadable(other.to_string()),
    }
}

/// A failure as the body of a message.
fn encode_failure(failure: &Failure) -> Encoder<'static> {
    let mut encoder = Encoder::new();
    let encoded = encoder.put(failure);
    debug_assert!(encoded.is_ok(), "strings and numbers always encode");
    encoder
}
