mod accepting;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use self::accepting::Door;
use super::super::connection::Listener;
use super::super::error::ServeError;
use super::super::task::Task;
use super::draining::DRAIN_TICK;
use super::session::{Looked, Session, Step};
use super::stop::Stop;
use super::turn::{Client, Turn};
use super::waker::{WAKER, Waker};
use crate::deadline::Deadline;
use crate::error::RecvError;
use crate::sync::{lock, try_lock};

/// The listener's number in the epoll instance; what wakes a thread has [`WAKER`], and clients have the ones between.
const LISTENER: u64 = 0;
/// That of what has the server end.
const STOP: u64 = u64::MAX - 1;

/// How long a handler runs, at most, during which it is no loss if another thread does not read: about as long as it takes to
/// wake one.
const BRIEF: Duration = Duration::from_micros(20);

/// After one that takes longer, so many have to be brief.
const BRIEF_IN_A_ROW: u32 = 16;

/// How often a thread that waits asks, while another is busy, whether that one is stuck in a handler.
const TICK: Duration = Duration::from_millis(1);

/// The clients of one server, and the listener where more can come.
///
/// One thread at a time reads: it has the turn, looks at the rings of busy clients, and gives the turn back while it runs a
/// handler. One more waits for the sockets, by epoll, because a thread that answers one client can ask for room on its behalf
/// while another thread waits; it takes the turn when a socket has something. All others wait until it does.
#[derive(Debug)]
pub(super) struct Clients<'l> {
    pub(super) epoll: Arc<Epoll>,
    waker: Arc<Waker>,
    pub(super) listener: Option<&'l Listener>,
    pub(super) stop: Option<Arc<Stop>>,
    /// Until when the last calls may run, once no more are begun.
    pub(super) drain_until: OnceLock<Deadline>,
    turn: Mutex<Turn>,
    /// The right to wait for the sockets.
    waiting: Mutex<()>,
    /// How many threads wait for that, or for the sockets.
    idle: AtomicUsize,
    /// Whether there are rings that are looked at, so that nobody rings.
    looks: AtomicBool,
    /// How many handlers were begun, and how many have ended.
    pub(super) runs: AtomicU64,
    pub(super) ended_runs: AtomicU64,
    /// How many handlers have to be brief before they are taken to be.
    long: AtomicU32,
    stopped: AtomicBool,
    door: Mutex<Door>,
    /// Whether the time of a stranger may be over.
    is_late: AtomicBool,
}

/// What epoll says of a socket.
type Event = (u64, EpollFlags);

type Reading<'a> = MutexGuard<'a, Turn>;

impl<'l> Clients<'l> {
    /// The one client at the other end of a connection.
    pub(super) fn of_session(session: Arc<Session>, stop: Option<Arc<Stop>>) -> io::Result<Self> {
        let clients = Self::new(None, stop, session.link().limits().spin)?;
        session.link().check()?;
        clients.add(&mut lock(&clients.turn), session)?;
        Ok(clients)
    }

    /// Whoever connects to a listener.
    pub(super) fn of_listener(listener: &'l Listener, stop: Option<Arc<Stop>>) -> io::Result<Self> {
        let clients = Self::new(Some(listener), stop, listener.limits().spin)?;
        clients.epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(clients)
    }

    fn new(listener: Option<&'l Listener>, stop: Option<Arc<Stop>>, spin: Duration) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let waker = Waker::new()?;
        // Nobody reads it: each time that it is written to, one thread wakes.
        epoll.add(&waker, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, WAKER))?;
        let clients = Self {
            epoll: Arc::new(epoll),
            waker: Arc::new(waker),
            listener,
            stop,
            drain_until: OnceLock::new(),
            turn: Mutex::new(Turn::new(spin)),
            waiting: Mutex::new(()),
            idle: AtomicUsize::new(0),
            looks: AtomicBool::new(false),
            runs: AtomicU64::new(0),
            ended_runs: AtomicU64::new(0),
            long: AtomicU32::new(BRIEF_IN_A_ROW),
            stopped: AtomicBool::new(false),
            door: Mutex::default(),
            is_late: AtomicBool::new(false),
        };
        if let Some(stop) = &clients.stop {
            clients.watch_stop(stop, STOP)?;
        }
        Ok(clients)
    }

    /// Waits for the next call of any client: `None` when there will be none. By turns: a client that has been
    /// heard goes to the end of the list, epoll's as well.
    pub(super) fn next_task<T: Task>(&self) -> Result<Option<T>, ServeError> {
        let mut turn = try_lock(&self.turn);
        while !self.has_stopped() {
            let task = match &mut turn {
                Some(turn) => self.read(turn)?,
                None => None,
            };
            if task.is_some() {
                return self.hand_on(turn, task);
            }
            drop(turn);
            let (reading, task) = self.wait()?;
            if task.is_some() {
                return self.hand_on(reading, task);
            }
            turn = reading;
        }
        Ok(None)
    }

    /// Lets every thread that asks for the next call go home.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        // From now on the waker wakes whoever waits, however often.
        let _ = self.epoll.modify(&*self.waker, &mut EpollEvent::new(EpollFlags::EPOLLIN, WAKER));
        self.waker.wake();
    }

    fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Reads for as long as it may pay off to look at rings; then all clients ring.
    fn read<T: Task>(&self, turn: &mut Turn) -> Result<Option<T>, ServeError> {
        turn.check()?;
        self.hang_up_on_the_silent::<T>(turn)?;
        turn.wake_up();
        while turn.has_busy() && !self.has_stopped() && !self.is_drained() {
            if turn.is_over()
                && let Some(task) = self.look_at_sockets(turn)?
            {
                return Ok(Some(task));
            }
            if let Some(task) = self.look_at_rings(turn)? {
                return Ok(Some(task));
            }
            if !turn.spin() {
                turn.fall_asleep();
            }
        }
        self.looks.store(false, Ordering::SeqCst);
        Ok(None)
    }

    /// Looks at each busy client's ring, from the one on that was longest not looked at.
    fn look_at_rings<T: Task>(&self, turn: &mut Turn) -> Result<Option<T>, ServeError> {
        for _ in 0..turn.count_busy() {
            let Some(client) = turn.next_busy() else { break };
            client.session.link().check()?;
            if client.session.has_queue() {
                continue;
            }
            let mut task = None;
            let step = client.session.step_at_hand(&mut task);
            if matches!(step, Ok(Step::Nothing)) {
                continue;
            }
            turn.count_message(client.token);
            if client.session.has_queue() {
                // A call's descriptors come behind bells, and the one for room that another thread asked for may be gone.
                client.session.flush_soon()?;
            }
            if self.take(turn, &client, step)? {
                return Ok(task);
            }
        }
        Ok(None)
    }

    /// Looks at the sockets between two looks at the rings: a client that sends without end keeps nobody else waiting.
    fn look_at_sockets<T: Task>(&self, turn: &mut Turn) -> Result<Option<T>, ServeError> {
        turn.hear_hang_ups();
        turn.retire_idle();
        self.hang_up_on_the_silent::<T>(turn)?;
        let event = self.look(Some(Duration::ZERO))?;
        turn.begin(event.is_some());
        event.map_or(Ok(None), |event| self.hear(turn, event))
    }

    /// Gives the turn back, for a thread that is to run a handler.
    ///
    /// Calls that come meanwhile must not wait until a handler ends that takes long. So their clients ring, and whoever
    /// waits for the sockets takes the turn; where there are calls already it is woken. But while handlers are brief that
    /// would cost more than they do: then nobody rings, and whoever waits asks now and then whether this thread is stuck.
    fn hand_on<T>(&self, turn: Option<Reading<'_>>, task: Option<T>) -> Result<Option<T>, ServeError> {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let Some(mut turn) = turn else { return Ok(task) };
        let is_long = self.long.load(Ordering::Relaxed) > 0;
        if is_long && turn.has_busy() && self.idle.load(Ordering::SeqCst) > 0 {
            turn.check()?;
            if !turn.ask_to_ring() {
                self.waker.wake();
            }
        }
        Ok(task)
    }

    /// A handler has run, from then till now.
    pub(super) fn has_run(&self, start: Instant) {
        self.ended_runs.fetch_add(1, Ordering::SeqCst);
        if self.is_draining() {
            self.waker.wake();
        }
        let long = self.long.load(Ordering::Relaxed);
        if start.elapsed() > BRIEF {
            self.long.store(BRIEF_IN_A_ROW, Ordering::Relaxed);
        } else if long > 0 {
            self.long.store(long - 1, Ordering::Relaxed);
        }
    }

    /// Waits until there is something to read, and takes the turn; there may be a call already. Without the turn where
    /// serving is over.
    fn wait<T: Task>(&self) -> Result<(Option<Reading<'_>>, Option<T>), ServeError> {
        self.idle.fetch_add(1, Ordering::SeqCst);
        let _waiting = lock(&self.waiting);
        let woken = self.wait_for_sockets::<T>();
        self.idle.fetch_sub(1, Ordering::SeqCst);
        match woken? {
            None => Ok((None, None)),
            Some((turn, None)) => Ok((Some(turn), None)),
            // Heard before another thread waits, which would find the same.
            Some((mut turn, Some(event))) => {
                let task = self.hear(&mut turn, event)?;
                Ok((Some(turn), task))
            }
        }
    }

    fn wait_for_sockets<T: Task>(&self) -> io::Result<Option<(Reading<'_>, Option<Event>)>> {
        let mut runs = self.runs.load(Ordering::SeqCst);
        while !self.has_stopped() {
            if self.is_drained() {
                self.finish_draining::<T>(&lock(&self.turn));
                break;
            }
            let looks = self.looks.load(Ordering::SeqCst);
            let drains = self.is_draining().then_some(DRAIN_TICK);
            let event = self.look(looks.then_some(TICK).or(drains))?;
            if event.is_some() || self.is_late() {
                return Ok(Some((lock(&self.turn), event)));
            }
            // A thread that has the turn reads; one that has begun another handler since will soon.
            let begun = self.runs.load(Ordering::SeqCst);
            if looks
                && begun == runs
                && let Some(turn) = try_lock(&self.turn)
            {
                self.long.store(BRIEF_IN_A_ROW, Ordering::Relaxed);
                return Ok(Some((turn, None)));
            }
            runs = begun;
        }
        Ok(None)
    }

    /// What epoll says next, within this time.
    fn look(&self, at_most: Option<Duration>) -> io::Result<Option<Event>> {
        let next = self.see_to_door()?;
        let timeout = [at_most, next].into_iter().flatten().min();
        // To whole milliseconds, upwards: a wait that ends too early is followed by another.
        let timeout = timeout.map_or(EpollTimeout::NONE, |time| {
            let milliseconds = time.as_nanos().div_ceil(1_000_000);
            EpollTimeout::try_from(milliseconds).unwrap_or(EpollTimeout::ZERO)
        });
        let mut events = [EpollEvent::empty()];
        match self.epoll.wait(&mut events, timeout) {
            Ok(0) | Err(Errno::EINTR) => Ok(None),
            Ok(_) if events[0].data() == WAKER => Ok(Some(self.waker.event())),
            Ok(_) => Ok(Some((events[0].data(), events[0].events()))),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Reads one message of a client that has something, or sends what waits for it, or hears that it has rung.
    fn hear<T: Task>(&self, turn: &mut Turn, (token, events): Event) -> Result<Option<T>, ServeError> {
        if token == LISTENER {
            self.accept::<T>(turn)?;
            return Ok(None);
        }
        if token == STOP {
            let deadline = self.stop.as_ref().map_or(Deadline::NEVER, |stop| stop.deadline());
            self.begin_draining(turn, deadline);
            return Ok(None);
        }
        let Some(client) = turn.client(token) else { return Ok(None) };
        let session = &client.session;
        // A copy of the process must not touch what it shares with the original, the epoll instance included.
        session.link().check()?;
        if events.contains(EpollFlags::EPOLLHUP) {
            // It may have left calls in its ring.
            session.client_is_gone();
        }
        if let Err(error) = session.hear_bell() {
            self.remove(turn, &client, Err(error))?;
            return Ok(None);
        }
        if session.has_queue() || events.contains(EpollFlags::EPOLLOUT) {
            let (is_empty, watched) = session.flush_soon()?;
            // Not read from until it has read what waits for it, but where the bell that says so comes behind calls.
            let is_behind_calls = !session.has_ring() && watched == Some(EpollFlags::EPOLLIN);
            if !is_empty && !is_behind_calls {
                return Ok(None);
            }
        }
        if session.has_ring() {
            self.look_at(turn, &client);
            return Ok(None);
        }
        let mut task = None;
        let step = session.step(&mut task);
        self.take(turn, &client, step)?;
        Ok(task)
    }

    fn look_at(&self, turn: &mut Turn, client: &Client) {
        turn.look_at(client);
        self.looks.store(true, Ordering::SeqCst);
    }

    /// What comes of a message that was read: whether it is a call.
    fn take(&self, turn: &mut Turn, client: &Client, step: Looked) -> Result<bool, ServeError> {
        match step {
            Ok(Step::Task) => return Ok(true),
            Ok(Step::Shutdown) if self.listener.is_none() => {
                self.begin_draining(turn, Deadline::NEVER);
                return Ok(false);
            }
            // One client does not end what others use.
            Ok(Step::Shutdown) => client.session.refuse_calls(),
            Ok(Step::Handled | Step::Nothing | Step::Unreadable(_)) if !client.session.has_ended() => {}
            last => return self.remove(turn, client, last.map(drop).map_err(|error| *error)).and(Ok(false)),
        }
        // What is no call may be about rings.
        if client.session.has_ring() {
            self.look_at(turn, client);
        } else {
            turn.forget(client.token);
        }
        Ok(false)
    }

    /// A client is gone, or was hung up on. Where it is the only one there can be, serving is over.
    fn remove(
        &self,
        turn: &mut Turn,
        client: &Client,
        reason: Result<(), RecvError>,
    ) -> Result<(), ServeError> {
        self.forget(turn, client);
        if self.listener.is_some() {
            return Ok(());
        }
        self.stop();
        Ok(reason?)
    }
}
