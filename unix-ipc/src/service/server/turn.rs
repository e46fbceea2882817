//! What the thread that reads has to look at: the clients that are there, and the rings of those that are busy.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};

use super::session::Session;
use crate::deadline::Deadline;
use crate::raw_channel::{Inlet, Spin};
use crate::sys::wait::wait;

/// So many messages come out of the rings at most, and for so long, before the sockets are looked at as well.
const MESSAGES: usize = 64;
const PERIOD: Duration = Duration::from_micros(50);

/// The time for each busy client that lies between two questions whether they are gone: twenty times what it takes to ask.
const HEARING: Duration = Duration::from_micros(4);

/// A client by the number that epoll knows it by.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) token: u64,
    pub(super) session: Arc<Session>,
}

/// What one thread at a time has: the turn to read.
///
/// A client that sends through a ring either is one of the busy ones, whose rings are looked at, or has been told to ring,
/// or waits for room and is not read from before epoll says that there is some.
#[derive(Debug)]
pub(super) struct Turn {
    sessions: HashMap<u64, Arc<Session>>,
    last: u64,
    busy: VecDeque<Busy>,
    spin: Spin,
    /// When the last ring was told that nobody looks at it.
    slept: Option<Instant>,
    /// Whether some of the busy clients have been told to ring, although they are looked at.
    ring: bool,
    /// How many messages may come out of the rings before the sockets are looked at, and when they last were.
    left: usize,
    looked: Instant,
}

#[derive(Debug)]
struct Busy {
    client: Client,
    /// Whether it has sent something since the sockets were last looked at.
    has_sent: bool,
}

impl Turn {
    pub(super) fn new(spin: Duration) -> Self {
        Self {
            sessions: HashMap::new(),
            last: 0,
            busy: VecDeque::new(),
            // A socket that has something waits for as long.
            spin: Spin::new(spin.min(PERIOD)),
            slept: None,
            ring: false,
            left: 0,
            looked: Instant::now(),
        }
    }

    pub(super) fn new_token(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn add(&mut self, client: Client) {
        self.sessions.insert(client.token, client.session);
    }

    pub(super) fn client(&self, token: u64) -> Option<Client> {
        self.sessions.get(&token).map(|session| Client { token, session: Arc::clone(session) })
    }

    pub(super) fn sessions(&self) -> impl Iterator<Item = &Arc<Session>> {
        self.sessions.values()
    }

    pub(super) fn count(&self) -> usize {
        self.sessions.len()
    }

    /// A client whose process has ended and whose end of the connection is still open, perhaps because it lies in what was sent and is
    /// not read before the client has read what waits for it. It may as well be with another process, which has as much time to
    /// read as this.
    pub(super) fn find_dead(&self, time: Duration) -> Option<Client> {
        let is_dead = |session: &Session| {
            let is_deaf = session.deaf_since().is_some_and(|since| since.and(time).has_passed());
            is_deaf && session.link().socket().peer_process_has_ended()
        };
        let mut waiting = self.sessions.iter().filter(|(_, session)| session.has_queue());
        let (token, session) = waiting.find(|(_, session)| is_dead(session))?;
        Some(Client { token: *token, session: Arc::clone(session) })
    }

    pub(super) fn remove(&mut self, token: u64) {
        self.sessions.remove(&token);
        self.busy.retain(|busy| busy.client.token != token);
    }

    /// An error in a copy of the process, which must not touch rings.
    pub(super) fn check(&self) -> io::Result<()> {
        self.busy.front().map_or(Ok(()), |busy| busy.client.session.link().check())
    }

    pub(super) fn has_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    pub(super) fn count_busy(&self) -> usize {
        self.busy.len()
    }

    /// Looks at a client's ring from now on.
    pub(super) fn look_at(&mut self, client: &Client) {
        if let Some(busy) = self.busy.iter_mut().find(|busy| busy.client.token == client.token) {
            busy.has_sent = true;
            return;
        }
        if self.busy.is_empty() {
            self.begin(false);
        }
        self.spin.end_sleep(self.slept.take());
        client.session.link().with_inlet(Inlet::wake_up);
        self.busy.push_back(Busy { client: client.clone(), has_sent: true });
    }

    /// The busy client that is to be looked at next; it goes to the end of the list.
    pub(super) fn next_busy(&mut self) -> Option<Client> {
        self.busy.rotate_left(1.min(self.busy.len()));
        self.busy.back().map(|busy| busy.client.clone())
    }

    /// The client that was looked at last has sent something.
    pub(super) fn count_message(&mut self, token: u64) {
        self.left = self.left.saturating_sub(1);
        if let Some(busy) = self.busy.back_mut().filter(|busy| busy.client.token == token) {
            busy.has_sent = true;
        }
    }

    /// A client does not send through a ring any more.
    pub(super) fn forget(&mut self, token: u64) {
        self.busy.retain(|busy| busy.client.token != token);
    }

    /// Whether it is the sockets' turn.
    pub(super) fn is_over(&self) -> bool {
        self.left == 0 || self.looked.elapsed() > PERIOD
    }

    /// Hears which of the busy clients have gone, where the sockets were not looked at for longer than usual, as while a handler took
    /// long: of what the sockets say, this does not wait for its turn, because more of their calls would be read before.
    pub(super) fn hear_hang_ups(&self) {
        let hearing = HEARING.saturating_mul(u32::try_from(self.busy.len()).unwrap_or(u32::MAX));
        if self.looked.elapsed() <= hearing.max(PERIOD) {
            return;
        }
        let sockets =
            self.busy.iter().map(|busy| PollFd::new(busy.client.session.as_fd(), PollFlags::empty()));
        let mut sockets: Vec<_> = sockets.collect();
        // Where there are more than this process may have descriptors, nothing is heard before its turn.
        if wait(&mut sockets, Deadline::now()).unwrap_or(false) {
            let hung_up = sockets.iter().map(|socket| socket.any().unwrap_or(true));
            let gone = self.busy.iter().zip(hung_up).filter(|(_, hung_up)| *hung_up);
            gone.for_each(|(busy, _)| busy.client.session.client_is_gone());
        }
    }

    /// The sockets were looked at. While something comes there, each client has one message.
    pub(super) fn begin(&mut self, found: bool) {
        self.left = if found { self.busy.len() } else { MESSAGES };
        self.looked = Instant::now();
    }

    /// Has those clients ring that have not sent anything since the sockets were last looked at.
    pub(super) fn retire_idle(&mut self) {
        self.busy.retain_mut(|busy| std::mem::take(&mut busy.has_sent) || !busy.fall_asleep());
    }

    /// Has all busy clients ring, while they are looked at: false where one has sent something already.
    pub(super) fn ask_to_ring(&mut self) -> bool {
        self.ring = true;
        self.busy.iter().filter(|busy| !busy.fall_asleep()).count() == 0
    }

    /// Those clients that are looked at need not ring.
    pub(super) fn wake_up(&mut self) {
        if std::mem::take(&mut self.ring) {
            for busy in &self.busy {
                busy.client.session.link().with_inlet(Inlet::wake_up);
            }
        }
    }

    /// Looks at the rings for as long as that may pay off: whether there is something.
    pub(super) fn spin(&mut self) -> bool {
        let busy = &self.busy;
        let has_something = || busy.iter().any(Busy::has_something);
        self.spin.wait(has_something, || are_elsewhere(busy))
    }

    /// Looks at no ring any more, and has each client ring, but those that have sent something: whether there are none.
    pub(super) fn fall_asleep(&mut self) -> bool {
        let start = self.spin.begin_sleep(|| are_elsewhere(&self.busy));
        self.busy.retain(|busy| !busy.fall_asleep());
        self.slept = start;
        self.busy.is_empty()
    }
}

impl Busy {
    #[inline]
    fn has_something(&self) -> bool {
        let session = &self.client.session;
        let has_message = || session.link().with_inlet(|inlet| inlet.has_something()).unwrap_or(false);
        !session.has_queue() && (session.link().has_ahead() || has_message())
    }

    /// Has the client ring, where it has sent nothing that may be read now: whether that is so.
    ///
    /// One that waits for room is not read from, and epoll says when there is room.
    fn fall_asleep(&self) -> bool {
        let session = &self.client.session;
        (session.link().fall_asleep() && !session.link().has_ahead()) || session.has_queue()
    }
}

/// Whether all these clients are known to run on other cores: one on this core cannot do anything while this thread looks.
fn are_elsewhere(busy: &VecDeque<Busy>) -> bool {
    busy.iter().all(|busy| {
        let is_elsewhere = busy.client.session.link().with_inlet(|inlet| inlet.is_elsewhere());
        is_elsewhere.unwrap_or(false)
    })
}
