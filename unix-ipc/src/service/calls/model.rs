//! The hand-over of reading as loom sees it: every order in which threads can wait, read, leave and be woken is tried. A
//! thread that nobody wakes is a deadlock, which loom reports.

use std::collections::VecDeque;

use loom::sync::{Arc, Condvar, Mutex};
use loom::thread::{self, Thread};

use super::tests::reply;
use super::{Calls, Step};

/// What the threads of a client share: the calls, and the connection, as the ids of the replies that came.
struct Client {
    calls: Mutex<Calls<Thread, u8>>,
    replies: Mutex<VecDeque<u64>>,
    came: Condvar,
}

/// How long a caller waits.
#[derive(Clone, Copy, PartialEq)]
enum Patience {
    ForEver,
    /// Until it would have to wait.
    None,
}

impl Client {
    fn new() -> Arc<Self> {
        let calls = Mutex::new(Calls::new(8, 8));
        Arc::new(Self { calls, replies: Mutex::new(VecDeque::new()), came: Condvar::new() })
    }

    fn answer(&self, id: u64) {
        self.replies.lock().unwrap().push_back(id);
        self.came.notify_one();
    }

    /// The next reply: `None` where a caller does not wait for one.
    fn receive(&self, patience: Patience) -> Option<u64> {
        let mut replies = self.replies.lock().unwrap();
        while replies.is_empty() && patience == Patience::ForEver {
            replies = self.came.wait(replies).unwrap();
        }
        replies.pop_front()
    }

    /// Waits for a call as `Core::wait` does: whether the reply came.
    fn wait(&self, id: u64, patience: Patience) -> bool {
        let (mut is_over, mut has_waited) = (false, false);
        let has_reply = loop {
            let step = self.calls.lock().unwrap().next_step(id, is_over, thread::current);
            match step {
                Step::Done(_) => break true,
                Step::TimedOut => break false,
                Step::Park => {
                    has_waited = true;
                    is_over = patience == Patience::None;
                    if !is_over {
                        thread::park();
                    }
                }
                Step::Read => {
                    let is_own = self.read(id, patience);
                    let mut calls = self.calls.lock().unwrap();
                    if is_own {
                        calls.abandon(id);
                    }
                    calls.stop_reading().map(Thread::unpark);
                    if is_own {
                        break true;
                    }
                    is_over = true;
                }
            }
        };
        if has_waited {
            self.calls.lock().unwrap().leave(id).map(Thread::unpark);
        }
        has_reply
    }

    /// Reads for everybody until the thread's own reply is there: false where it does not wait for that.
    fn read(&self, id: u64, patience: Patience) -> bool {
        while let Some(found) = self.receive(patience) {
            if found == id {
                return true;
            }
            self.calls.lock().unwrap().settle(found, reply(1)).unwrap().map(Thread::unpark);
        }
        false
    }
}

fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Callers in threads of their own, of which the first, whom others wake first, is impatient or not, and a server that
/// answers the patient ones.
fn callers(count: usize, first: Patience, backwards: bool) {
    let client = Client::new();
    let ids: Vec<u64> = (0..count).map(|_| client.calls.lock().unwrap().begin().unwrap()).collect();
    let patience = |index: usize| if index == 0 { first } else { Patience::ForEver };
    let threads: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(index, id)| {
            let (client, id, patience) = (Arc::clone(&client), *id, patience(index));
            thread::spawn(move || client.wait(id, patience))
        })
        .collect();
    let mut answered: Vec<u64> = ids
        .iter()
        .enumerate()
        .filter(|(index, _)| patience(*index) == Patience::ForEver)
        .map(|(_, id)| *id)
        .collect();
    if backwards {
        answered.reverse();
    }
    answered.iter().for_each(|id| client.answer(*id));
    for (index, thread) in threads.into_iter().enumerate() {
        assert_eq!(thread.join().unwrap(), patience(index) == Patience::ForEver);
    }
    let calls = client.calls.lock().unwrap();
    assert!(calls.is_idle() && !calls.is_reading());
}

#[test]
fn p28_whoever_reads_hands_the_reading_on() {
    explore(3, || callers(2, Patience::ForEver, false));
    explore(3, || callers(2, Patience::ForEver, true));
}

#[test]
fn p28_whoever_leaves_hands_the_reading_on() {
    explore(3, || callers(2, Patience::None, false));
    explore(2, || callers(3, Patience::None, true));
}
