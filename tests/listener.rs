//! Many clients at one path.

mod util;

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use unix_ipc::{
    CallError, ConnectError, Connection, Limits, Listener, Receiver, channel, ipc_service, test_command,
};
use util::{Holdings, Watchdog, alone, threads, wait_until};

#[ipc_service]
trait Office {
    fn double(&self, number: u64) -> u64;
    fn bytes(&self, count: usize) -> Vec<u8>;
    fn wait(&self, gate: Receiver<()>) -> u64;
    /// Answers when as many calls run at once as the office has desks.
    fn meet(&self) -> u64;
}

struct Desks {
    barrier: Barrier,
}

impl Desks {
    fn new(count: usize) -> Self {
        Self { barrier: Barrier::new(count) }
    }
}

impl Office for Desks {
    fn double(&self, number: u64) -> u64 {
        2 * number
    }

    fn bytes(&self, count: usize) -> Vec<u8> {
        vec![7; count]
    }

    fn wait(&self, gate: Receiver<()>) -> u64 {
        let _ = gate.recv();
        7
    }

    fn meet(&self) -> u64 {
        self.barrier.wait();
        8
    }
}

/// Serves at a fresh path while the calls of a test run; the listener is closed afterwards.
fn with_office(workers: usize, calls: impl FnOnce(&Listener)) {
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let listener = Listener::bind(directory.path().join("office")).expect("nothing is there yet");
    serve_while(&listener, workers, calls);
}

fn serve_while(listener: &Listener, workers: usize, calls: impl FnOnce(&Listener)) {
    thread::scope(|scope| {
        let server = scope.spawn(move || {
            let server = OfficeServer::new(Desks::new(workers));
            let mut server = if workers > 1 { server.workers(workers) } else { server };
            server.listen(listener)
        });
        calls(listener);
        listener.close().expect("a listener can be closed");
        server.join().expect("the server does not panic").expect("the listener does not fail");
    });
}

#[test]
fn many_clients_are_served_by_one_thread_and_by_workers() {
    let _watchdog = Watchdog::new();
    for workers in [1, 4] {
        with_office(workers, |listener| {
            thread::scope(|scope| {
                for thread in 0..20 {
                    scope.spawn(move || {
                        let client = OfficeClient::connect(listener.path()).unwrap();
                        for number in thread * 1000..thread * 1000 + 100 {
                            assert_eq!(client.double(number).unwrap(), 2 * number);
                        }
                        assert_eq!(client.bytes(1 << 20).unwrap().len(), 1 << 20);
                    });
                }
            });
        });
    }
}

#[test]
fn workers_run_calls_of_one_client_and_of_many_at_once() {
    let _watchdog = Watchdog::new();
    with_office(4, |listener| {
        let client = OfficeClient::connect(listener.path()).unwrap();
        let meeting: Vec<_> = (0..4).map(|_| client.begin_meet().unwrap()).collect();
        meeting.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), 8));
        let clients: Vec<_> = (0..4).map(|_| OfficeClient::connect(listener.path()).unwrap()).collect();
        let meeting: Vec<_> = clients.iter().map(|client| client.begin_meet().unwrap()).collect();
        meeting.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), 8));
    });
}

#[test]
fn workers_serve_a_single_connection_too() {
    if let Some(connection) = Connection::inherited().unwrap() {
        return OfficeServer::new(Desks::new(3)).workers(3).serve(connection).unwrap();
    }
    let _watchdog = Watchdog::new();
    let client = OfficeClient::spawn(test_command()).unwrap();
    let meeting: Vec<_> = (0..3).map(|_| client.begin_meet().unwrap()).collect();
    meeting.into_iter().for_each(|call| assert_eq!(call.wait().unwrap(), 8));
}

#[test]
fn a_busy_worker_does_not_keep_the_others_from_serving() {
    let _watchdog = Watchdog::new();
    with_office(2, |listener| {
        let client = OfficeClient::connect(listener.path()).unwrap();
        let (gate, closed) = channel::<()>().unwrap();
        let waits = client.begin_wait(closed).unwrap();
        for number in 0..100 {
            assert_eq!(client.double(number).unwrap(), 2 * number);
        }
        drop(gate);
        assert_eq!(waits.wait().unwrap(), 7);
    });
}

#[test]
fn p28_a_client_that_never_reads_does_not_stop_the_others() {
    let _watchdog = Watchdog::new();
    for workers in [1, 3] {
        with_office(workers, |listener| {
            let lazy: Vec<_> = (0..3).map(|_| OfficeClient::connect(listener.path()).unwrap()).collect();
            let unread: Vec<_> = lazy
                .iter()
                .flat_map(|client| (0..20).map(|_| client.begin_bytes(1 << 20).unwrap()))
                .collect();
            let client = OfficeClient::connect(listener.path()).unwrap();
            for number in 0..200 {
                assert_eq!(client.double(number).unwrap(), 2 * number);
            }
            // Read after all, every byte is there.
            for call in unread {
                assert!(call.wait().unwrap() == vec![7; 1 << 20]);
            }
        });
    }
}

#[test]
fn p60_a_client_that_lets_too_many_bytes_wait_is_hung_up_on_alone() {
    let _watchdog = Watchdog::new();
    let directory = tempfile::tempdir().unwrap();
    let mut limits = Limits::default();
    limits.queued_reply_bytes = 1 << 20;
    let listener = Listener::bind(directory.path().join("office")).unwrap().with_limits(limits);
    serve_while(&listener, 1, |listener| {
        let client = OfficeClient::connect(listener.path()).unwrap();
        let lazy = OfficeClient::connect(listener.path()).unwrap();
        let call = lazy.begin_bytes(8 << 20).unwrap();
        assert_eq!(client.double(1).unwrap(), 2);
        assert!(call.wait().unwrap_err().is_gone());
        assert_eq!(client.double(2).unwrap(), 4);
    });
}

#[test]
fn closing_ends_listen_and_hangs_up_on_the_clients() {
    let _watchdog = Watchdog::new();
    let directory = tempfile::tempdir().unwrap();
    for workers in [1, 3] {
        let listener = Listener::bind(directory.path().join(format!("office{workers}"))).unwrap();
        let mut clients = Vec::new();
        serve_while(&listener, workers, |listener| {
            clients.extend((0..5).map(|_| OfficeClient::connect(listener.path()).unwrap()));
            assert_eq!(clients[0].double(1).unwrap(), 2);
        });
        for client in clients {
            let error = client.double(1).unwrap_err();
            assert!(matches!(error, CallError::Disconnected { .. }), "{error}");
        }
        assert!(matches!(OfficeClient::connect(listener.path()), Err(ConnectError::Io(_))));
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert!(listener.incoming().next().is_none());
        let path = listener.path().to_owned();
        drop(listener);
        assert!(!path.exists());
    }
}

#[test]
fn closing_wakes_whoever_accepts() {
    let _watchdog = Watchdog::new();
    let directory = tempfile::tempdir().unwrap();
    let listener = Listener::bind(directory.path().join("office")).unwrap();
    let before = threads();
    let asleep = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                asleep.fetch_add(1, Ordering::SeqCst);
                assert!(listener.incoming().next().is_none());
            });
        }
        assert!(wait_until(Duration::from_secs(20), || asleep.load(Ordering::SeqCst) == 3));
        assert!(threads() > before || before > 1);
        listener.close().unwrap();
    });
}

#[test]
fn p45_the_file_is_for_its_user_alone_unless_told_otherwise() {
    let directory = tempfile::tempdir().unwrap();
    for (name, mode) in [("default", 0o600), ("group", 0o660), ("all", 0o666)] {
        let path = directory.path().join(name);
        let listener =
            if mode == 0o600 { Listener::bind(&path) } else { Listener::bind_with_mode(&path, mode) };
        let file = fs::symlink_metadata(listener.unwrap().path()).unwrap();
        assert!(file.file_type().is_socket());
        assert_eq!(file.permissions().mode() & 0o777, mode & !umask(), "{name}");
        assert_eq!(file.uid(), nix::unistd::getuid().as_raw());
    }
}

fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").expect("proc(5) is there");
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:")).expect("since Linux 4.7");
    u32::from_str_radix(line.trim(), 8).expect("it is octal")
}

#[test]
fn p44_binding_leaves_alone_what_is_at_the_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("taken");
    fs::write(&path, "mine").unwrap();
    assert_eq!(Listener::bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn p11_a_listener_without_room_for_descriptors_neither_spins_nor_forgets_its_clients() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    with_office(1, |listener| {
        let client = OfficeClient::connect(listener.path()).unwrap();
        assert_eq!(client.double(1).unwrap(), 2);
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        // Room for this process's end of one connection more, and not for the server's.
        let highest = fs::read_dir("/proc/self/fd").unwrap().flatten();
        let highest =
            highest.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok()).max().unwrap();
        let mut kept = Vec::new();
        setrlimit(Resource::RLIMIT_NOFILE, highest + 2, hard).unwrap();
        while let Ok(file) = fs::File::open("/dev/null") {
            kept.push(file);
        }
        kept.pop();
        let waiting = Connection::connect(listener.path()).unwrap();
        let used = || {
            let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
            let time = usage.user_time().tv_sec() + usage.system_time().tv_sec();
            let rest = usage.user_time().tv_usec() + usage.system_time().tv_usec();
            Duration::from_secs(time as u64) + Duration::from_micros(rest as u64)
        };
        let before = used();
        wait_until(Duration::from_millis(500), || false);
        // The test itself looks 500 times; a loop that spins would use all of the time.
        let spent = used() - before;
        println!("500 ms without room took {spent:?} of processor time");
        assert!(spent < Duration::from_millis(350), "{spent:?}");
        // However busy the others keep it, the listener is looked at again.
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let client = &client;
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(client.double(3).unwrap(), 6);
                }
            });
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
            let late = OfficeClient::from(waiting).double(4);
            done.store(true, Ordering::Relaxed);
            assert_eq!(late.unwrap(), 8);
        });
        drop(kept);
    });
}

#[test]
fn p01_clients_that_come_and_go_leave_nothing_open() {
    if !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::now();
    for workers in [1, 3] {
        with_office(workers, |listener| {
            for round in 0..100 {
                let client = OfficeClient::connect(listener.path()).unwrap();
                let call = client.begin_bytes(round * 1000).unwrap();
                if round % 2 == 0 {
                    call.wait().unwrap();
                }
            }
        });
    }
    before.assert_restored();
}

#[test]
fn a_hand_written_loop_serves_each_connection_with_dispatch() {
    let _watchdog = Watchdog::new();
    let directory = tempfile::tempdir().unwrap();
    let listener = Listener::bind(directory.path().join("office")).unwrap();
    let served = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let (listener, served) = (&listener, &served);
        scope.spawn(move || {
            for connection in listener.incoming() {
                let connection = connection.unwrap();
                scope.spawn(move || {
                    let peer = connection.peer_credentials().unwrap();
                    let desks = Desks::new(1);
                    for task in connection.tasks::<OfficeTask>() {
                        let task = task.unwrap();
                        served.lock().unwrap().push((peer.pid(), format!("{task:?}")));
                        task.dispatch(&desks);
                    }
                });
            }
        });
        let client = OfficeClient::connect_by_hand(listener);
        assert_eq!(client.double(4).unwrap(), 8);
        assert_eq!(client.bytes(3).unwrap(), [7; 3]);
        drop(client);
        listener.close().unwrap();
    });
    let us = i32::try_from(std::process::id()).unwrap();
    let expected = [(us, "Double { .. }".to_owned()), (us, "Bytes { .. }".to_owned())];
    assert_eq!(served.into_inner().unwrap(), expected);
}

impl OfficeClient {
    /// Without waiting for the server's introduction.
    fn connect_by_hand(listener: &Listener) -> Self {
        Connection::connect(listener.path()).expect("somebody listens").into()
    }
}
