use std::fmt::Debug;
use std::time::Duration;

use arbitrary::Unstructured;

use super::super::connection::Connection;
use super::super::fuzzing::{MOST_ACTS, Peer, SubjectClient};
use super::super::hello::Role;
use super::Pending;
use crate::fuzzing::{PATIENCE, number};
use crate::{CallError, Handle};

/// The most calls that wait at once.
const MOST_CALLS: usize = 16;

/// Calls a server that does what the input says.
pub(crate) fn call(input: &mut Unstructured<'_>) {
    let (mut server, link) = Peer::new(input, Role::Server);
    let client = SubjectClient::new(Connection::from_link(link));
    let mut calls: Vec<Box<dyn Begun>> = Vec::new();
    for count in 0..MOST_ACTS {
        if count == 0 || number(input, 4) == 0 && calls.len() < MOST_CALLS {
            begin(&client, input, &server, &mut calls);
        }
        server.act(input);
        // The first that has come to nothing yet reads.
        let _waits = calls.iter().any(|call| !call.is_ready());
        server.read();
        if input.is_empty() {
            break;
        }
    }
    server.finish();
    calls.into_iter().for_each(Begun::finish);
    drop(client);
    server.assert_over();
}

/// Begins a call. Where the server may have filled a ring, it is not waited for.
fn begin(
    client: &SubjectClient,
    input: &mut Unstructured<'_>,
    server: &Peer,
    calls: &mut Vec<Box<dyn Begun>>,
) {
    let may_be_full = server.has_rings();
    let client = client.with_timeout(if may_be_full { Duration::ZERO } else { PATIENCE });
    let begun = match number(input, 5) {
        0 => boxed(client.begin_echo(b"echo")),
        1 => boxed(client.begin_sum(1, None)),
        2 => boxed(client.begin_keep(Handle::from(server.descriptors.marked()), Vec::new())),
        3 => boxed(client.begin_open("name")),
        _ => {
            let _ = client.note("note");
            None
        }
    };
    calls.extend(begun.filter(|_| !may_be_full));
}

fn boxed<T: 'static, E: Debug + 'static>(
    begun: Result<Pending<T, E>, CallError<E>>,
) -> Option<Box<dyn Begun>> {
    begun.ok().map(|pending| -> Box<dyn Begun> { Box::new(pending) })
}

/// A call that was begun, whatever it returns.
trait Begun {
    fn is_ready(&self) -> bool;

    /// Waits until it has come to something, which it does.
    fn finish(self: Box<Self>);
}

impl<T, E> Begun for Pending<T, E> {
    fn is_ready(&self) -> bool {
        Pending::is_ready(self)
    }

    fn finish(self: Box<Self>) {
        if let Err(CallError::Timeout { method, .. }) = self.wait() {
            panic!("a call of `{method}` goes on although the server is gone");
        }
    }
}
