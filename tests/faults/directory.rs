//! A current directory that is gone.

use std::env;
use std::io::ErrorKind;
use std::thread;

use unix_ipc::{Bootstrapper, ConnectError, Listener, Receiver, SharedMemory, channel};

use crate::service::{Hand, WorkerClient, WorkerServer, null, serve_in_child, spawn, warm};
use crate::util::{Holdings, Watchdog, alone};

#[test]
fn without_a_current_directory_only_relative_paths_are_errors() {
    if serve_in_child() || !alone() {
        return;
    }
    let _watchdog = Watchdog::new();
    let there = tempfile::tempdir().unwrap();
    let gone = tempfile::tempdir().unwrap();
    let early = spawn(true);
    warm(&early);
    env::set_current_dir(gone.path()).unwrap();
    gone.close().unwrap();
    assert_eq!(env::current_dir().unwrap_err().kind(), ErrorKind::NotFound);
    let before = Holdings::with_mappings();

    warm(&early);
    for rings in [true, false] {
        let client = spawn(rings);
        warm(&client);
        assert_eq!(client.pass(vec![null()]).unwrap().len(), 1);
    }
    let listener = Listener::bind(there.path().join("worker")).unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| WorkerServer::new(Hand).listen(&listener));
        warm(&WorkerClient::connect(listener.path()).unwrap());
        listener.close().unwrap();
        server.join().unwrap().unwrap();
    });
    drop(listener);
    let (sender, receiver) = channel().unwrap();
    sender.send(SharedMemory::new(b"shared").unwrap()).unwrap();
    assert_eq!(&receiver.recv().unwrap()[..], b"shared");
    drop((sender, receiver));
    let bootstrapper = Bootstrapper::<u8>::new().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| bootstrapper.send(7).unwrap());
        assert_eq!(Receiver::<u8>::connect(bootstrapper.path()).unwrap().recv().unwrap(), 7);
    });
    drop(bootstrapper);

    assert_eq!(Listener::bind("relative").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(Bootstrapper::<u8>::bind("relative").unwrap_err().kind(), ErrorKind::NotFound);
    let error = WorkerClient::connect("relative").unwrap_err();
    assert!(matches!(&error, ConnectError::Io(source) if source.kind() == ErrorKind::NotFound), "{error:?}");
    let error = Receiver::<u8>::connect("relative").unwrap_err();
    assert!(matches!(&error, ConnectError::Io(source) if source.kind() == ErrorKind::NotFound), "{error:?}");
    before.assert_restored();
}
