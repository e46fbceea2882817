mod ahead;
mod cancelling;
mod decode;
mod leaving;
mod preparing;
mod sending;

use std::io;
use std::iter;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags};

use self::ahead::Ahead;
pub(super) use self::ahead::Reach;
use self::cancelling::Watched;
pub(super) use self::leaving::hang_up_on;
use self::sending::Watch;
use super::super::connection::Link;
use super::super::hello::{Hello, Mismatch, Role};
use super::super::task::{Method, Task};
use super::outbox::Outbox;
use crate::codec::{Encoder, Failure};
use crate::deadline::Deadline;
use crate::error::{LimitExceeded, ProtocolError, RecvError};
use crate::frame::Kind;
use crate::raw_channel::{Broken, Incoming, Message};
use crate::sync::lock;
use crate::sys::clock;
use crate::sys::receive::Wait;
use crate::sys::wait::wait;

/// How long a thread that waits for input goes without looking whether another has read it.
const PAUSE: Duration = Duration::from_millis(10);

/// The serving end of one connection, shared with the reply senders of its calls.
#[derive(Debug)]
pub(crate) struct Session {
    link: Arc<Link>,
    service: &'static str,
    methods: &'static [Method],
    /// Which of our methods each of the client's is.
    client: OnceLock<Vec<Result<u32, Mismatch>>>,
    /// Whether our introduction waits until this end is prepared to serve.
    is_preparing: AtomicBool,
    outbox: Mutex<Outbox>,
    /// Whether something waits in the outbox; changed under its lock.
    has_queue: AtomicBool,
    /// The thread that reads the calls, and sends what had to wait between two of them; 0 for none.
    reader: AtomicU64,
    /// Else whoever hears of room from an epoll instance does; else the thread that put it in the outbox.
    watch: Mutex<Option<Watch>>,
    /// What was read before its turn.
    ahead: Mutex<Ahead>,
    /// The calls whose handlers want to know when nobody waits for them any more, and what wakes those that wait for it.
    watched: Mutex<Watched>,
    has_taken_back: AtomicBool,
    cancelled: Condvar,
    /// Whether no more calls are begun.
    refuses: AtomicBool,
    /// Whether the client's end was read, perhaps before its turn.
    is_gone: AtomicBool,
    /// The clock's last tick when the thread that reads last asked whether the client is gone.
    asked_at: AtomicU64,
    ended: AtomicBool,
}

/// What a look at the connection found.
pub(super) enum Step {
    /// A call, which is in the place that there was for one.
    Task,
    /// A message that was no call to run; there may be more.
    Handled,
    /// The client wants the server to end, and makes no more calls.
    Shutdown,
    /// A call that could not be read. Its caller has been told.
    Unreadable(Box<RecvError>),
    Nothing,
    /// The client is gone.
    End,
}

/// An error ends the connection, and the client has been told. Two words, for the reason that a [`Message`] is one.
pub(super) type Looked = Result<Step, Box<RecvError>>;

impl Session {
    pub(crate) fn new<T: Task>(link: Arc<Link>) -> Arc<Self> {
        let outlet = link.outlet(false);
        Arc::new(Self {
            link,
            service: T::SERVICE,
            methods: T::METHODS,
            client: OnceLock::new(),
            is_preparing: AtomicBool::new(false),
            outbox: Mutex::new(Outbox::new(outlet)),
            has_queue: AtomicBool::new(false),
            reader: AtomicU64::new(0),
            watch: Mutex::default(),
            ahead: Mutex::default(),
            watched: Mutex::default(),
            has_taken_back: AtomicBool::new(false),
            cancelled: Condvar::new(),
            refuses: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
            asked_at: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        })
    }

    #[inline]
    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// Whether calls come through a ring.
    pub(super) fn has_ring(&self) -> bool {
        self.link.with_inlet(|_| ()).is_some()
    }

    #[inline]
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// The next call, without waiting, to where there is a place for it.
    pub(super) fn step<T: Task>(self: &Arc<Self>, task: &mut Option<T>) -> Looked {
        match self.at_hand() {
            Some(received) => self.take(received, task),
            None => self.take(self.link.receive(), task),
        }
    }

    /// What was read before its turn, which comes now.
    #[inline]
    fn at_hand(&self) -> Option<Result<Incoming, Broken>> {
        if self.link.has_ahead() { self.next_ahead() } else { None }
    }

    /// The next call of those in the ring; that there is none costs no system call.
    #[inline]
    pub(super) fn step_at_hand<T: Task>(self: &Arc<Self>, task: &mut Option<T>) -> Looked {
        match self.at_hand() {
            Some(received) => self.take(received, task),
            None => self.take(self.link.receive_at_hand(), task),
        }
    }

    /// Hears what the socket says where calls come through a ring: that there is one, or room for what waits.
    pub(super) fn hear_bell(self: &Arc<Self>) -> Result<(), RecvError> {
        let heard = self.link.with_inlet(|inlet| inlet.hear_bell(self.link.socket(), Wait::No));
        match heard.transpose() {
            Ok(None | Some(true)) => {}
            // Nobody reads what waits; what the client sent before is read to its end.
            Ok(Some(false)) => self.clear_queue(),
            Err(error) => drop(self.broken(Broken::from(error)).map_err(|error| *error)?),
        }
        Ok(())
    }

    /// The next call, after looking for it for as long as that may pay off.
    pub(super) fn step_looking<T: Task>(self: &Arc<Self>, task: &mut Option<T>) -> Looked {
        match self.at_hand() {
            Some(received) => self.take(received, task),
            None => self.take(self.link.receive_with(Wait::Looking), task),
        }
    }

    /// Hears, once in a tick of the clock, that the client is gone: what that left in a ring would all be read before its end.
    #[inline]
    pub(super) fn hear_hang_up(&self) {
        let tick = clock::last_tick();
        if self.asked_at.load(Ordering::Relaxed) != tick {
            self.asked_at.store(tick, Ordering::Relaxed);
            self.look_for_hang_up(Deadline::now());
        }
    }

    /// The next call, after waiting for it.
    #[inline]
    pub(super) fn step_waiting<T: Task>(self: &Arc<Self>, task: &mut Option<T>) -> Looked {
        match self.at_hand() {
            Some(received) => self.take(received, task),
            None => self.take(self.link.receive_with(Wait::ForEver), task),
        }
    }

    /// Waits for a packet, or until this descriptor is readable, or the time is over.
    pub(super) fn wait_for_packet(&self, stop: Option<BorrowedFd<'_>>, end: Deadline) -> io::Result<()> {
        if !self.link.fall_asleep() {
            return Ok(());
        }
        // A handler that has a context may read what this thread waits for.
        let end = if self.has_watched_calls() { end.min(Deadline::after(PAUSE)) } else { end };
        let waited = iter::once(self.as_fd()).chain(stop);
        let mut waited: Vec<_> =
            waited.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN)).collect();
        wait(&mut waited, end).map(drop)
    }

    #[inline]
    fn take<T: Task>(self: &Arc<Self>, received: Result<Incoming, Broken>, task: &mut Option<T>) -> Looked {
        match received {
            Ok(Incoming::Message(message)) => match message.kind {
                Kind::Call | Kind::TimedCall if self.is_gone.load(Ordering::Relaxed) => Ok(Step::Handled),
                Kind::Call | Kind::TimedCall if message.may_be_cancelled => {
                    self.take(self.unless_cancelled(message), task)
                }
                Kind::Call | Kind::TimedCall | Kind::OneWay => self.decode(message, task),
                _ => self.accept(message).or_else(|error| self.accuse(error)),
            },
            Ok(Incoming::Piece | Incoming::Rung) => Ok(Step::Handled),
            Ok(Incoming::Nothing) => Ok(Step::Nothing),
            Ok(Incoming::End) => {
                self.end();
                Ok(Step::End)
            }
            Err(broken) => self.broken(broken),
        }
    }

    /// A message that is no call.
    fn accept(&self, message: Message) -> Result<Step, ProtocolError> {
        match message.kind {
            Kind::Hello => self.meet(&message).map(|()| Step::Handled),
            Kind::Fault => {
                Err(ProtocolError::Accused(String::from_utf8_lossy(message.body.start()).into_owned()))
            }
            Kind::Ring | Kind::Switch | Kind::Bell | Kind::Reset => {
                let mut outbox = lock(&self.outbox);
                if self.link.change_ways(outbox.outlet(), message)? {
                    // Late replies to a client that has moved.
                    self.clear(&mut outbox);
                }
                Ok(Step::Handled)
            }
            Kind::Mark if message.is_bare() => {
                if !self.has_met() {
                    return Err(ProtocolError::Order("a mark before the introduction"));
                }
                // Where it cannot be sent back, the client is gone.
                let _ = self.put(Kind::Mark, message.id, &mut Encoder::new(), Vec::new());
                Ok(Step::Handled)
            }
            Kind::Cancel if message.is_bare() => {
                self.cancel(message.id);
                Ok(Step::Handled)
            }
            Kind::Shutdown if message.id == 0 && message.is_bare() => Ok(Step::Shutdown),
            other => Err(ProtocolError::Kind(other as u8)),
        }
    }

    fn meet(&self, message: &Message) -> Result<(), ProtocolError> {
        if !message.descriptors.is_empty() {
            return Err(ProtocolError::DescriptorCount { declared: 0, actual: message.descriptors.len() });
        }
        let ours = self.hello();
        let theirs = Hello::decode(message.body.start(), self.link.limits());
        let theirs = theirs.and_then(|theirs| ours.check(&theirs).map(|()| theirs));
        // Our introduction goes out even where theirs does not fit: it says in words what we are.
        if theirs.is_err() || !self.is_preparing.load(Ordering::Relaxed) {
            self.introduce();
        }
        let theirs = theirs?;
        self.client
            .set(ours.match_methods(&theirs))
            .map_err(|_| ProtocolError::Order("a second introduction"))
    }

    fn hello(&self) -> Hello {
        Hello::new(Role::Server, self.service, self.methods)
    }

    fn introduce(&self) {
        // Where it cannot be sent, the client is gone.
        let _ = self.put(Kind::Hello, 0, &mut self.hello().encode(), Vec::new());
    }

    /// Says why a call has no reply.
    pub(super) fn fail(&self, id: u64, failure: &Failure) {
        // Where it cannot be said, the caller is gone.
        let _ = self.put(Kind::Failure, id, &mut failure.encode(), Vec::new());
    }

    /// A message that could not be received. Where its header was sound, it concerns its call alone.
    fn broken(self: &Arc<Self>, broken: Broken) -> Looked {
        let fault = broken.into_fault();
        match (fault.about, fault.error) {
            (Some((Kind::Call | Kind::TimedCall, id)), error) => {
                let failure = match &error {
                    RecvError::Refused(limit) => Failure::Refused(*limit),
                    RecvError::Protocol(error) => Failure::Unreadable(error.to_string()),
                    other => Failure::Unreadable(other.to_string()),
                };
                self.fail(id, &failure);
                Ok(Step::Unreadable(error.into()))
            }
            (Some((Kind::OneWay, _)), error) => Ok(Step::Unreadable(error.into())),
            (_, RecvError::Protocol(error)) => self.accuse(error),
            (_, RecvError::Refused(limit)) => self.accuse(ProtocolError::Body(limit.to_string())),
            (_, error) => {
                self.end();
                self.link.hang_up();
                Err(error.into())
            }
        }
    }

    /// The client sent nonsense: it is told so, and hung up on.
    fn accuse(&self, error: ProtocolError) -> Looked {
        self.link.accuse(&error.to_string());
        self.end();
        Err(Box::new(error.into()))
    }

    /// There is no room for this client: it is told so, and hung up on.
    pub(super) fn refuse(&self, limit: LimitExceeded) {
        self.link.refuse(limit);
        self.end();
    }

    /// Until when the client has time to introduce itself: `None` once it has, and where it may take as long as it likes.
    #[inline]
    pub(super) fn introduction_deadline(&self) -> Option<Deadline> {
        self.link.introduction_deadline().filter(|_| !self.has_met())
    }

    /// The client's time to introduce itself is over: it is told so, and hung up on.
    pub(super) fn accuse_of_silence(&self) -> ProtocolError {
        let silence = ProtocolError::Silence { after: self.link.limits().handshake };
        self.link.accuse(&silence.to_string());
        self.end();
        silence
    }

    /// Whether the client has introduced itself.
    #[inline]
    pub(super) fn has_met(&self) -> bool {
        self.client.get().is_some()
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.drop_ahead();
        self.cancel_all_running();
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
}

impl AsFd for Session {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.socket().as_fd()
    }
}
