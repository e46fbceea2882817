//! The sandbox of the example `sandboxed_decoder`, with a service that tries to get out of it.
#![cfg(test)]

#[allow(dead_code, reason = "its `main` is run by the tests of the examples")]
#[path = "../examples/sandboxed_decoder.rs"]
mod example;
mod util;

use std::env;
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use example::{Careless, Decoder, DecoderClient, DecoderServer, MOST_BYTES, Pixels, confined, lock_in};
use landlock::RulesetStatus;
use nix::libc;
use unix_ipc::{CallError, Connection, PeerExit, Pool, SharedMemoryMut, ipc_service, test_command};
use util::{Holdings, Watchdog, alone, this_test, threads, wait_until};

#[ipc_service]
trait Escape {
    fn open(&self, path: &str) -> io::Result<()>;
    fn create(&self, path: &str) -> io::Result<()>;
    fn look_at(&self, path: &str) -> io::Result<()>;
    fn make_socket(&self) -> io::Result<()>;
    fn make_pair(&self) -> io::Result<()>;
    fn start(&self, program: &str) -> io::Result<()>;
    /// The sandbox costs no call what a decoder does.
    fn decode(&self, picture: &[u8], memory: SharedMemoryMut) -> Result<Pixels, String>;
}

struct Prisoner;

impl Escape for Prisoner {
    fn open(&self, path: &str) -> io::Result<()> {
        File::open(path).map(drop)
    }

    fn create(&self, path: &str) -> io::Result<()> {
        File::create(path).map(drop)
    }

    fn look_at(&self, path: &str) -> io::Result<()> {
        fs::metadata(path).map(drop)
    }

    fn make_socket(&self) -> io::Result<()> {
        UnixDatagram::unbound().map(drop)
    }

    fn make_pair(&self) -> io::Result<()> {
        UnixStream::pair().map(drop)
    }

    fn start(&self, program: &str) -> io::Result<()> {
        Command::new(program).spawn().map(drop)
    }

    fn decode(&self, picture: &[u8], memory: SharedMemoryMut) -> Result<Pixels, String> {
        Careless.decode(picture, memory)
    }
}

/// Whether the child is to try to get out.
const ESCAPE: &str = "UNIX_IPC_TEST_ESCAPE";

/// Serves, where this is the child that the test spawned: then the test is over there.
fn is_child() -> bool {
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    let served = if env::var_os(ESCAPE).is_some() {
        EscapeServer::new(Prisoner).pre_serve(lock_in).serve(connection)
    } else {
        DecoderServer::new(Careless).pre_serve(lock_in).serve(connection)
    };
    served.expect("the client keeps to the protocol");
    true
}

/// The example's pool, of workers that are this test.
fn decoders() -> Pool<DecoderClient> {
    Pool::new(this_test(), &example::decoders())
}

fn prisoner() -> EscapeClient {
    let mut command = test_command();
    command.env(ESCAPE, "");
    Connection::spawn_with(command, &confined()).expect("the test runs as a child").into()
}

fn memory() -> SharedMemoryMut {
    SharedMemoryMut::new(MOST_BYTES).expect("the parent is in no sandbox")
}

/// What the image crate makes of a picture in this process.
fn decoded_here(picture: &[u8]) -> Vec<u8> {
    image::load_from_memory(picture).expect("the picture is sound").into_rgb8().into_raw()
}

/// The hostile picture kills whoever decodes it, and says so.
fn assert_kills(decoded: Result<Pixels, CallError<String>>) {
    let error = decoded.err().expect("there is no such picture");
    let is_abort = matches!(&error, CallError::PeerDied { exit: PeerExit::Killed(libc::SIGABRT), .. });
    assert!(is_abort, "{error:?}");
}

#[test]
fn a_png_and_a_jpeg_decode_to_the_right_pixels_and_a_hostile_picture_costs_one_error() {
    if is_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let before = Holdings::with_mappings();
    let made = example::made_here().unwrap();
    let [(_, png), (_, hostile), (_, jpeg)] = &made[..] else { panic!("three pictures") };
    let pool = decoders();
    pool.warm().unwrap();
    for killed in 1..=3 {
        for picture in [png, jpeg] {
            let pixels = pool.worker().unwrap().decode(picture, memory()).unwrap();
            assert_eq!(pixels.bytes().unwrap(), decoded_here(picture));
        }
        assert_kills(pool.worker().unwrap().decode(hostile, memory()));
        assert_eq!(pool.counters().died, killed, "one for each hostile picture");
    }
    drop(pool);
    before.assert_restored();
}

/// As many threads as workers, so that a picture has a worker to itself and no other dies with it.
#[test]
fn hostile_pictures_from_several_threads_cost_one_error_each_and_nothing_is_left() {
    const ROUNDS: u64 = 4;
    const THREADS: u64 = 2;
    if is_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::after(Duration::from_secs(120));
    let before = (Holdings::with_mappings(), threads());
    let made = example::made_here().unwrap();
    let [(_, png), (_, hostile), (_, jpeg)] = &made[..] else { panic!("three pictures") };
    let pool = decoders();
    pool.warm().unwrap();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    // Several in a row.
                    (0..3).for_each(|_| assert_kills(pool.worker().unwrap().decode(hostile, memory())));
                    for picture in [png, jpeg] {
                        let pixels = pool.worker().unwrap().decode(picture, memory()).unwrap();
                        assert_eq!(pixels.bytes().unwrap(), decoded_here(picture));
                    }
                }
            });
        }
    });
    let counters = pool.counters();
    assert_eq!((counters.died, counters.retries), (3 * ROUNDS * THREADS, 0), "{counters:?}");
    assert_eq!(counters.calls, 5 * ROUNDS * THREADS);
    drop(pool);
    before.0.assert_restored();
    assert!(wait_until(Duration::from_secs(20), || threads() == before.1), "{} threads", threads());
}

#[test]
fn what_is_no_picture_or_does_not_fit_is_an_error_of_the_service() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let pool = decoders();
    let (_, png) = &example::made_here().unwrap()[0];
    let small = SharedMemoryMut::new(100).unwrap();
    for (picture, memory) in [(&b"nonsense"[..], memory()), (&png[..50], memory()), (png, small)] {
        let error = pool.worker().unwrap().decode(picture, memory).err().unwrap();
        assert!(matches!(&error, CallError::Service(_)), "{error:?}");
    }
    assert!(pool.worker().unwrap().decode(png, memory()).is_ok());
    assert_eq!(pool.counters().died, 0);
}

#[test]
fn p51_a_decoder_cannot_open_a_file_or_make_a_socket() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made");
    let path = path.to_str().unwrap();
    let client = prisoner();
    let refused =
        [client.open("/etc/passwd"), client.open("/dev/null"), client.create(path), client.make_pair()];
    for result in refused {
        let Err(CallError::Service(error)) = result else { panic!("{result:?}") };
        assert_eq!(error.raw_os_error(), Some(libc::EPERM), "{error}");
    }
    assert!(!fs::exists(path).unwrap());
    let (_, png) = &example::made_here().unwrap()[0];
    assert_eq!(client.decode(png, memory()).unwrap().bytes().unwrap(), decoded_here(png), "it decodes on");

    let deadly = [prisoner().make_socket(), prisoner().look_at("/etc/passwd"), prisoner().start("/bin/true")];
    for result in deadly {
        let error = result.unwrap_err();
        assert!(
            matches!(&error, CallError::PeerDied { exit: PeerExit::Killed(libc::SIGSYS), .. }),
            "{error:?}"
        );
    }
}

/// The second wall, without the first.
#[test]
fn landlock_alone_forbids_every_path_and_port() {
    let _watchdog = Watchdog::new();
    // It binds the thread that asks for it.
    let locked = thread::spawn(|| {
        let status = example::forbid_paths().expect("the ruleset is sound");
        if status.ruleset == RulesetStatus::NotEnforced {
            println!("this kernel has no Landlock: skipped");
            return;
        }
        let refused =
            [File::open("/etc/passwd").map(drop), File::create("/tmp/unix-ipc-test-made").map(drop)];
        for result in refused {
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EACCES));
        }
        if status.ruleset == RulesetStatus::FullyEnforced {
            let error = TcpListener::bind("127.0.0.1:0").unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EACCES));
        }
    });
    locked.join().unwrap();
    assert!(File::open("/etc/passwd").is_ok());
}
