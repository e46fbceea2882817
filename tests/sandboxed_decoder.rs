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

use example::{Careless, Decoder, DecoderClient, DecoderServer, MOST_BYTES, Pixels, confined, lock_in};
use landlock::RulesetStatus;
use nix::libc;
use unix_ipc::{CallError, Connection, PeerExit, SharedMemoryMut, ipc_service, test_command};
use util::Watchdog;

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

fn decoder() -> DecoderClient {
    Connection::spawn_with(test_command(), &confined()).expect("the test runs as a child").into()
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

#[test]
fn a_png_and_a_jpeg_decode_to_the_right_pixels_and_a_hostile_picture_costs_one_error() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let made = example::made_here().unwrap();
    let [(_, png), (_, hostile), (_, jpeg)] = &made[..] else { panic!("three pictures") };
    let mut client = decoder();
    for _ in 0..3 {
        for picture in [png, jpeg] {
            let pixels = client.decode(picture, memory()).unwrap();
            assert_eq!(pixels.bytes().unwrap(), decoded_here(picture));
        }
        let error = client.decode(hostile, memory()).err().unwrap();
        assert!(
            matches!(&error, CallError::PeerDied { exit: PeerExit::Killed(libc::SIGABRT), .. }),
            "{error:?}"
        );
        client = decoder();
    }
}

#[test]
fn what_is_no_picture_or_does_not_fit_is_an_error_of_the_service() {
    if is_child() {
        return;
    }
    let _watchdog = Watchdog::new();
    let client = decoder();
    let (_, png) = &example::made_here().unwrap()[0];
    let small = SharedMemoryMut::new(100).unwrap();
    for (picture, memory) in [(&b"nonsense"[..], memory()), (&png[..50], memory()), (png, small)] {
        let error = client.decode(picture, memory).err().unwrap();
        assert!(matches!(&error, CallError::Service(_)), "{error:?}");
    }
    assert!(client.decode(png, memory()).is_ok());
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
