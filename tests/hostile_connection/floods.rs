//! Hostile clients in a process of their own, beside others that keep to the protocol.

use std::env;
use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::MsgFlags;
use unix_ipc::Listener;

use crate::util::{Holdings, Watchdog, again, alone, wait_until};
use crate::wire::*;

/// Where the hostile process connects.
const PATH: &str = "UNIX_IPC_TEST_HOSTILE";

/// Sends until there is no room for a while: false where the peer has hung up.
fn flood(bare: &Bare, packet: &Packet) -> bool {
    let bytes = packet.bytes();
    for _ in 0..100_000 {
        match bare.try_send(&bytes, packet.descriptors, MsgFlags::MSG_DONTWAIT) {
            Ok(()) => {}
            // Also "too many descriptors on their way".
            Err(Errno::EAGAIN | Errno::ETOOMANYREFS) => return true,
            Err(_) => return false,
        }
    }
    true
}

/// What the hostile process does: everything at once, and then it stays.
fn attack(path: &str) {
    let fresh = || {
        let bare = connect_bare(path);
        bare.send(&hello(CLIENT));
        bare
    };
    let mut kept = Vec::new();
    // Never introduces itself.
    kept.push(connect_bare(path));
    for packet in [
        // Calls whose replies are never read, and ones with descriptors that nobody asked for.
        packet(CALL, 1, double(1)),
        packet(CALL, 1, double(1)).with(200),
        packet(ONE_WAY, 0, count(&[0, 0])).with(2),
        // The beginning of a message, over and over.
        piece(CALL, 1, 0, 60 << 20, &[0; 60_000]),
        piece(CALL, 1, 0, u32::MAX, &[0; 60_000]),
        packet(CALL, 1, [255; 40]),
        packet(FORWARDED, 1, []).with(50),
        // Marks, which come back unread.
        packet(MARK, 1, []),
    ] {
        let bare = fresh();
        flood(&bare, &packet);
        kept.push(bare);
    }
    // Half a long message that goes on for ever, and then does not.
    let bare = fresh();
    for offset in (0..30u32).map(|number| number * 60_000) {
        bare.send(&piece(CALL, 1, offset, 60 << 20, &[7; 60_000]));
    }
    kept.push(bare);
    println!("attacked");
    // The parent closes the pipe.
    let _ = std::io::stdin().read_line(&mut String::new());
}

fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").expect("proc(5) is there");
    let pages: u64 = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}

#[test]
fn hostile_clients_in_another_process_cost_the_others_nothing() {
    if let Ok(path) = env::var(PATH) {
        return attack(&path);
    }
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    for workers in [1, 3] {
        let before = Holdings::now();
        let directory = tempfile::tempdir().unwrap();
        let listener = Listener::bind(directory.path().join("vault")).unwrap();
        thread::scope(|scope| {
            let listener = &listener;
            let server = scope.spawn(move || {
                let server = VaultServer::new(Door);
                if workers > 1 {
                    server.workers(workers).listen(listener)
                } else {
                    { server }.listen(listener)
                }
            });
            let client = VaultClient::connect(listener.path()).unwrap();
            assert_eq!(client.double(1).unwrap(), 2);
            let memory = resident_bytes();
            let mut hostile = again()
                .env(PATH, listener.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let output = std::io::BufReader::new(hostile.stdout.take().unwrap());
            let mut lines = std::io::BufRead::lines(output);
            let attacked = scope.spawn(move || {
                let found = lines.any(|line| line.is_ok_and(|line| line.contains("attacked")));
                (found, lines)
            });
            let mut calls = 0;
            while !attacked.is_finished() || calls < 1000 {
                assert_eq!(client.double(calls).unwrap(), 2 * calls);
                calls += 1;
            }
            let (found, lines) = attacked.join().unwrap();
            assert!(found, "the attack did not happen");
            let grown = resident_bytes().saturating_sub(memory);
            println!("{calls} calls answered beside the attack, which cost {} KiB", grown >> 10);
            assert!(grown < 64 << 20, "{grown} bytes");
            // Nothing that came uninvited is still open: the connections alone are.
            // (What the server is reading just now is closed in a moment.)
            let most = before.descriptor_count() + 40;
            let is_closed = || Holdings::now().descriptor_count() < most;
            assert!(wait_until(Duration::from_secs(20), is_closed), "{:?}", Holdings::now());
            drop(hostile.stdin.take());
            hostile.wait().unwrap();
            drop(lines);
            assert_eq!(client.double(5).unwrap(), 10);
            drop(client);
            listener.close().unwrap();
            server.join().unwrap().unwrap();
        });
        drop(listener);
        before.assert_restored();
    }
}

#[test]
fn half_a_call_then_silence_then_a_hang_up_ends_serving_without_an_error() {
    let _watchdog = Watchdog::new();
    let (bare, connection) = Bare::pair();
    let server = thread::spawn(move || VaultServer::new(Door).serve(connection));
    bare.send(&hello(CLIENT));
    bare.send(&piece(CALL, 1, 0, 50 << 20, &[0; 1000]));
    assert_eq!(bare.receive().map(|(kind, ..)| kind), Some(HELLO));
    assert!(!wait_until(Duration::from_millis(20), || server.is_finished()));
    drop(bare);
    server.join().unwrap().unwrap();
}
