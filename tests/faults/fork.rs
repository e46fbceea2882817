//! Copies of a process (`fork` without `exec`) whose threads are in the middle of everything: use in the copy is an error, dropping there
//! does nothing to the original, and nobody hangs, whatever lock was held by whichever thread when the copy was made.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use unix_ipc::{CallError, Listener, channel};

use crate::service::{Hand, WorkerClient, WorkerServer, in_a_thread, null, serve_in_child, spawn, warm};
use crate::sys::holds_in_a_copy;
use crate::util::{Holdings, Watchdog, alone};

const COPIES: usize = 30;

fn is_refused<T>(result: Result<T, CallError>) -> bool {
    result.is_err_and(
        |error| matches!(&error, CallError::Io { source, .. } if source.to_string().contains("forked")),
    )
}

#[test]
fn copies_of_a_process_whose_threads_all_call_and_serve_are_refused_and_harmless() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    let directory = tempfile::tempdir().unwrap();
    let listener = Listener::bind(directory.path().join("worker")).unwrap();
    let (over, calls) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let server = scope.spawn(|| WorkerServer::new(Hand).workers(2).listen(&listener));
        let (threads_client, threads_server) = in_a_thread();
        let clients =
            [spawn(true), spawn(false), threads_client, WorkerClient::connect(listener.path()).unwrap()];
        clients.iter().for_each(warm);
        let (begun, begins) = channel().unwrap();
        let (gate, closed) = channel().unwrap();
        let waiting = clients[3].begin_wait(&begun, closed).unwrap();
        begins.recv().unwrap();
        let unread: Vec<_> = clients.iter().map(|client| client.begin_echo(b"unread").unwrap()).collect();
        for client in clients.iter().cycle().take(2 * clients.len()) {
            let (client, over, calls) = (client.clone(), &over, &calls);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(client.echo(&[9; 300]).unwrap(), [9; 300]);
                    assert_eq!(client.pass(vec![null()]).unwrap().len(), 1);
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut mine = Some((clients, waiting, unread));
        for _ in 0..COPIES {
            assert!(holds_in_a_copy(|| {
                let Some((clients, waiting, unread)) = mine.take() else { return false };
                let refused = clients.iter().all(|client| is_refused(client.echo(b"from a copy")));
                let is_ready = waiting.is_ready();
                let unheard = is_refused(waiting.wait());
                drop((clients, unread));
                refused && is_ready && unheard
            }));
            let seen = calls.load(Ordering::Relaxed);
            while calls.load(Ordering::Relaxed) < seen + 4 {
                thread::yield_now();
            }
        }
        let (clients, waiting, unread) = mine.take().unwrap();
        drop(gate);
        waiting.wait().unwrap();
        unread.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), b"unread"));
        over.store(true, Ordering::Relaxed);
        clients.iter().for_each(warm);
        drop(clients);
        listener.close().unwrap();
        server.join().unwrap().unwrap();
        threads_server.join().unwrap();
    });
    drop(listener);
    before.assert_restored();
}

#[test]
fn a_copy_may_spawn_children_of_its_own() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    let client = spawn(true);
    warm(&client);
    let hammer = client.clone();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                assert_eq!(hammer.echo(b"original").unwrap(), b"original");
            }
        });
        for _ in 0..5 {
            assert!(holds_in_a_copy(|| {
                let own = spawn(true);
                warm(&own);
                own.pass(vec![null()]).is_ok_and(|files| files.len() == 1)
                    && is_refused(client.echo(b"from a copy"))
            }));
        }
        over.store(true, Ordering::Relaxed);
    });
    drop((client, hammer));
    before.assert_restored();
}
