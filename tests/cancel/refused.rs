//! Timed calls that the server refuses: it is their callers' matter alone.

use std::thread;

use unix_ipc::{CallError, Connection, Limits};

use crate::service::{LONG, Sloth, SlowClient, SlowServer};
use crate::util::Watchdog;

#[test]
fn a_timed_call_above_the_servers_limit_is_refused_and_the_connection_lives_on() {
    let _watchdog = Watchdog::new();
    for workers in [1, 2] {
        let (ours, theirs) = Connection::pair().unwrap();
        let mut limits = Limits::default();
        limits.message_bytes = 2000;
        let serving = thread::spawn(move || {
            let server = SlowServer::new(Sloth::default());
            let mut server = if workers > 1 { server.workers(workers) } else { server };
            server.serve(ours.with_limits(limits))
        });
        let client = SlowClient::new(theirs).with_timeout(LONG);
        for bytes in [3000, 300_000] {
            for _ in 0..20 {
                let error = client.carry(1, vec![0; bytes]).unwrap_err();
                assert!(matches!(error, CallError::Refused { .. }), "{error}");
                client.mark(2).unwrap();
            }
        }
        drop(client);
        serving.join().unwrap().unwrap();
    }
}
