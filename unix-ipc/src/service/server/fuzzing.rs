use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use arbitrary::Unstructured;

use super::super::fuzzing::{MOST_ACTS, Peer, Subject, SubjectTask};
use super::super::hello::Role;
use super::session::{Session, Step};
use crate::fuzzing::number;
use crate::{Handle, Sender, channel};

/// The most messages that are read between two things that the client does: it may fill a ring with more.
const MOST_STEPS: usize = 256;

/// Serves a client that does what the input says.
pub(crate) fn serve(input: &mut Unstructured<'_>) {
    let (mut client, link) = Peer::new(input, Role::Client);
    let session = Session::new::<SubjectTask>(Arc::new(link));
    session.flush_by_this_thread();
    let mut kept = Vec::new();
    for _ in 0..MOST_ACTS {
        client.act(input);
        if input.is_empty() || !take(&session, input, &mut kept) {
            break;
        }
        client.read();
    }
    client.finish();
    // What it left in its ring comes first.
    let has_ended = (0..16).any(|_| !take(&session, input, &mut kept));
    assert!(has_ended, "the end of a client is not noticed");
    kept.into_iter().for_each(|task: SubjectTask| task.dispatch(&Answers));
    drop(session);
    client.assert_over();
}

/// Takes the calls that are there, and answers, keeps, forwards or drops each: false at the end.
fn take(session: &Arc<Session>, input: &mut Unstructured<'_>, kept: &mut Vec<SubjectTask>) -> bool {
    for _ in 0..MOST_STEPS {
        let _ = session.flush();
        let mut task = None;
        match session.step::<SubjectTask>(&mut task) {
            Ok(Step::Nothing) => return true,
            Ok(Step::End) | Err(_) => return false,
            Ok(Step::Task | Step::Handled | Step::Shutdown | Step::Unreadable(_)) => {}
        }
        let Some(task) = task else { continue };
        match number(input, 8) {
            0 => drop(task),
            1 => kept.push(task),
            2 => forward(task),
            _ => task.dispatch(&Answers),
        }
    }
    true
}

/// Its reply comes from somewhere else, or does not come.
fn forward(task: SubjectTask) {
    let (sender, receiver) = channel().expect("a channel");
    if sender.try_send(task).is_ok() {
        drop(receiver.try_recv());
    }
}

struct Answers;

impl Subject for Answers {
    fn echo(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn sum(&self, a: i64, b: Option<i64>) -> Result<i64, String> {
        b.and_then(|b| a.checked_add(b)).ok_or_else(|| "too much".to_owned())
    }

    fn keep(&self, file: Handle<OwnedFd>, more: Vec<Handle<OwnedFd>>) -> Vec<Handle<OwnedFd>> {
        more.into_iter().chain([file]).collect()
    }

    fn count(&self, numbers: Sender<u32>) {
        let _ = numbers.try_send(1);
    }

    fn open(&self, name: &str) -> io::Result<Handle<File>> {
        Err(io::Error::new(io::ErrorKind::NotFound, name))
    }

    fn note(&self, _: &str) {}
}
