//! The first channel to a process that only knows a path.
#![cfg(test)]

mod util;

use std::env;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{Uid, geteuid, setuid};
use serde::{Deserialize, Serialize};
use unix_ipc::{
    Bootstrapper, ConnectError, Handle, Receiver, RecvError, SendError, Sender, channel, test_command,
};
use util::{Watchdog, alone};

const PATH: &str = "SOCKET_PATH";

/// In a child: the path to connect to.
fn path_to_connect_to() -> Option<PathBuf> {
    env::var_os(PATH).map(PathBuf::from)
}

fn child(path: &Path) -> Command {
    let mut command = test_command();
    command.env(PATH, path);
    command
}

fn start(path: &Path) -> Child {
    child(path).spawn().unwrap()
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[derive(Serialize, Deserialize)]
enum Task {
    Double(u32, Sender<u32>),
    Read(Handle<fs::File>, Sender<String>),
    Stop,
}

fn serve(path: &Path) {
    for task in Receiver::<Task>::connect(path).unwrap() {
        match task.unwrap() {
            Task::Double(number, reply) => reply.send(2 * number).unwrap(),
            Task::Read(file, reply) => {
                reply.send(std::io::read_to_string(file.into_inner()).unwrap()).unwrap();
            }
            Task::Stop => break,
        }
    }
}

fn ask(bootstrapper: &Bootstrapper<Task>) {
    for number in 0..10 {
        let (reply, answer) = channel().unwrap();
        bootstrapper.send(Task::Double(number, reply)).unwrap();
        assert_eq!(answer.recv().unwrap(), 2 * number);
    }
    let (reply, answer) = channel().unwrap();
    let file = fs::File::open("/proc/self/comm").unwrap();
    bootstrapper.send(Task::Read(file.into(), reply)).unwrap();
    assert!(!answer.recv().unwrap().is_empty());
    bootstrapper.send(Task::Stop).unwrap();
}

#[test]
fn a_child_that_knows_the_path_is_sent_tasks_with_places_for_their_replies() {
    if let Some(path) = path_to_connect_to() {
        return serve(&path);
    }
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::new().unwrap();
    let mut child = start(bootstrapper.path());
    ask(&bootstrapper);
    assert!(child.wait().unwrap().success());
}

#[test]
fn p45_a_new_path_is_in_a_directory_of_its_own_for_its_user_alone() {
    let bootstrapper = Bootstrapper::<u8>::new().unwrap();
    let path = bootstrapper.path().to_owned();
    let directory = path.parent().unwrap().to_owned();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    let other = Bootstrapper::<u8>::new().unwrap();
    assert_ne!(other.path().parent(), path.parent());
    drop(bootstrapper);
    assert!(!path.exists() && !directory.exists(), "both go with it");
}

#[test]
fn p45_a_chosen_path_has_mode_0600_and_goes_with_the_bootstrapper() {
    let directory = directory();
    let path = directory.path().join("socket");
    let bootstrapper = Bootstrapper::<u8>::bind(&path).unwrap();
    assert_eq!(bootstrapper.path(), path);
    assert_eq!(mode(&path), 0o600);
    drop(bootstrapper);
    assert!(!path.exists() && directory.path().exists());
}

#[test]
fn p44_binding_deletes_nothing_that_was_there() {
    let directory = directory();
    let path = directory.path().join("precious");
    let is_refused = || {
        let error = Bootstrapper::<u8>::bind(&path).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    };
    fs::write(&path, "text").unwrap();
    is_refused();
    assert_eq!(fs::read(&path).unwrap(), b"text");

    fs::remove_file(&path).unwrap();
    symlink("nowhere", &path).unwrap();
    is_refused();
    assert_eq!(fs::read_link(&path).unwrap(), Path::new("nowhere"));

    fs::remove_file(&path).unwrap();
    let _first = Bootstrapper::<u8>::bind(&path).unwrap();
    let inode = fs::metadata(&path).unwrap().ino();
    is_refused();
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
}

#[test]
fn p44_what_took_the_sockets_place_stays_when_the_bootstrapper_goes() {
    let directory = directory();
    let path = directory.path().join("socket");
    let bootstrapper = Bootstrapper::<u8>::bind(&path).unwrap();
    fs::rename(&path, directory.path().join("moved")).unwrap();
    fs::write(&path, "text").unwrap();
    drop(bootstrapper);
    assert_eq!(fs::read(&path).unwrap(), b"text");
}

#[test]
fn p43_a_path_longer_than_an_address_works_at_both_ends() {
    if let Some(path) = path_to_connect_to() {
        return serve(&path);
    }
    let _watchdog = Watchdog::new();
    let directory = directory();
    let deep = directory.path().join("d".repeat(200)).join("e".repeat(200));
    fs::create_dir_all(&deep).unwrap();
    let path = deep.join("socket");
    let bootstrapper = Bootstrapper::bind(&path).unwrap();
    assert_eq!(fs::read_dir(&deep).unwrap().count(), 1, "the name is not cut");
    let mut child = start(&path);
    ask(&bootstrapper);
    assert!(child.wait().unwrap().success());
    drop(bootstrapper);
    assert!(!path.exists());
}

#[test]
fn p43_a_name_longer_than_an_address_is_an_error_and_not_cut() {
    let directory = directory();
    let error = Bootstrapper::<u8>::bind(directory.path().join("s".repeat(200))).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn p43_a_long_tmpdir_is_no_obstacle() {
    if let Some(path) = path_to_connect_to() {
        return serve(&path);
    }
    if env::var_os("TMPDIR").is_some_and(|path| path.len() > 120) {
        let bootstrapper = Bootstrapper::new().unwrap();
        assert!(bootstrapper.path().starts_with(env::temp_dir()));
        // This is a child already: the thread has the path, as another process would.
        let path = bootstrapper.path().to_owned();
        let server = thread::spawn(move || serve(&path));
        ask(&bootstrapper);
        return server.join().unwrap();
    }
    let _watchdog = Watchdog::new();
    let directory = directory();
    let deep = directory.path().join("d".repeat(120));
    fs::create_dir(&deep).unwrap();
    assert!(test_command().env("TMPDIR", &deep).status().unwrap().success());
    assert_eq!(fs::read_dir(&deep).unwrap().count(), 0, "nothing is left there");
}

#[test]
fn p42_a_process_that_never_connects_is_waited_for_as_long_as_was_said() {
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::new().unwrap();
    let start = Instant::now();
    let error = bootstrapper.send_timeout("word".to_owned(), Duration::from_millis(50)).unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert!(matches!(error, SendError::Timeout(word) if word == "word"));
}

#[test]
fn p42_a_process_that_ends_after_connecting_is_gone_and_not_waited_for() {
    if let Some(path) = path_to_connect_to() {
        drop(Receiver::<u8>::connect(path).unwrap());
        return;
    }
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::new().unwrap();
    assert!(start(bootstrapper.path()).wait().unwrap().success());
    assert!(matches!(bootstrapper.send(7u8), Err(SendError::Disconnected(7))));
}

#[test]
fn p42_a_process_that_connects_and_never_reads_ends_a_timed_send() {
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::<Vec<u8>>::new().unwrap();
    let receiver = Receiver::<Vec<u8>>::connect(bootstrapper.path()).unwrap();
    let error = bootstrapper.send_timeout(vec![7; 5 << 20], Duration::from_millis(50)).unwrap_err();
    assert!(matches!(error, SendError::Timeout(value) if value == vec![7; 5 << 20]));
    // What had left of it is passed over, and the next message is right.
    thread::scope(|scope| {
        scope.spawn(|| bootstrapper.send(vec![8; 5 << 20]).unwrap());
        assert!(receiver.recv().unwrap() == vec![8; 5 << 20]);
    });
    bootstrapper.send(vec![9]).unwrap();
    assert_eq!(receiver.recv().unwrap(), [9]);
}

#[test]
fn messages_sent_before_anybody_reads_are_there_and_then_the_end() {
    let bootstrapper = Bootstrapper::<u8>::new().unwrap();
    let receiver = Receiver::<u8>::connect(bootstrapper.path()).unwrap();
    bootstrapper.send(1).unwrap();
    bootstrapper.send(2).unwrap();
    drop(bootstrapper);
    assert_eq!(receiver.iter().collect::<Result<Vec<u8>, _>>().unwrap(), [1, 2]);
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
}

#[test]
fn connecting_to_nobody_is_an_error_that_says_so() {
    let directory = directory();
    let path = directory.path().join("nothing");
    let kind = |error: ConnectError| std::io::Error::from(error).kind();
    assert_eq!(kind(Receiver::<u8>::connect(&path).unwrap_err()), std::io::ErrorKind::NotFound);
    fs::write(&path, "").unwrap();
    assert_eq!(kind(Receiver::<u8>::connect(&path).unwrap_err()), std::io::ErrorKind::ConnectionRefused);
}

const STRANGER: u32 = 61_045;

/// Whether this process may become somebody else; says so where it may not.
fn may_be_a_stranger() -> bool {
    let may = geteuid().is_root();
    if !may {
        eprintln!("skipped: only root can become the stranger of this test");
    }
    may
}

/// A path that a stranger could reach, were it not for the mode of the socket.
fn open_directory() -> tempfile::TempDir {
    let directory = directory();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

#[test]
fn p45_a_stranger_may_not_connect() {
    if let Some(path) = path_to_connect_to() {
        setuid(Uid::from_raw(STRANGER)).unwrap();
        let error = std::io::Error::from(Receiver::<u8>::connect(path).unwrap_err());
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        return;
    }
    if !may_be_a_stranger() {
        return;
    }
    let _watchdog = Watchdog::new();
    let directory = open_directory();
    let bootstrapper = Bootstrapper::<u8>::bind(directory.path().join("socket")).unwrap();
    assert!(start(bootstrapper.path()).wait().unwrap().success());
}

#[test]
fn p45_a_stranger_who_can_connect_is_passed_over_and_gets_nothing() {
    if let Some(path) = path_to_connect_to() {
        setuid(Uid::from_raw(STRANGER)).unwrap();
        let receiver = Receiver::<String>::connect(path).unwrap();
        assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
        return;
    }
    if !may_be_a_stranger() {
        return;
    }
    let _watchdog = Watchdog::new();
    let directory = open_directory();
    let path = directory.path().join("socket");
    let bootstrapper = Bootstrapper::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let mut stranger = start(&path);
    let error = bootstrapper.send_timeout("secret".to_owned(), Duration::from_secs(1)).unwrap_err();
    assert!(matches!(error, SendError::Timeout(word) if word == "secret"));
    assert!(stranger.wait().unwrap().success());

    let friend = Receiver::<String>::connect(&path).unwrap();
    bootstrapper.send("secret".to_owned()).unwrap();
    assert_eq!(friend.recv().unwrap(), "secret");
}

#[test]
fn p45_a_stranger_cannot_hold_the_place_of_the_one_who_is_awaited() {
    if let Some(path) = path_to_connect_to() {
        setuid(Uid::from_raw(STRANGER)).unwrap();
        for _ in 0..50 {
            drop(Receiver::<String>::connect(&path).unwrap());
        }
        return;
    }
    if !may_be_a_stranger() {
        return;
    }
    let _watchdog = Watchdog::new();
    let directory = open_directory();
    let path = directory.path().join("socket");
    let bootstrapper = Bootstrapper::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(start(&path).wait().unwrap().success());
    let friend = Receiver::<String>::connect(&path).unwrap();
    bootstrapper.send("for a friend".to_owned()).unwrap();
    assert_eq!(friend.recv().unwrap(), "for a friend");
}

#[test]
fn a_bootstrapper_leaves_no_descriptor() {
    if !alone() {
        return;
    }
    let before = util::Holdings::now();
    for _ in 0..100 {
        let bootstrapper = Bootstrapper::<u8>::new().unwrap();
        let receiver = Receiver::<u8>::connect(bootstrapper.path()).unwrap();
        bootstrapper.send(1).unwrap();
        assert_eq!(receiver.recv().unwrap(), 1);
    }
    assert_eq!(util::Holdings::now(), before);
}
