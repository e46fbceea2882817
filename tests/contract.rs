//! The names and signatures that programs compile against, each used as its documentation says.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::fs::File;
use std::io;
use std::iter;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use unix_ipc::{
    Bootstrapper, CallError, ConnectError, Connection, Handle, HandleRef, Limits, Listener, Pending,
    RawReceiver, RawSender, Receiver, ReceiverSet, RecvError, SendError, Sender, SharedMemory,
    SharedMemoryMut, SpawnError, Task, channel, deserialize, ipc_service, raw_channel, serde_in_ipc_mode,
    serialize, test_command,
};

#[ipc_service]
trait Service {
    fn add(&self, a: i64, b: i64) -> i64;
    fn fail(&self) -> Result<u8, String>;
    fn open(&self) -> io::Result<Handle<File>>;
    #[oneway]
    fn note(&self, line: &str);
}

struct Sum;

impl Service for Sum {
    fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }
    fn fail(&self) -> Result<u8, String> {
        Err("as asked".to_owned())
    }
    fn open(&self) -> io::Result<Handle<File>> {
        File::open("/does/not/exist").map(Handle::from)
    }
    fn note(&self, _line: &str) {}
}

/// Neither serde, nor `Send`, nor `Sync`, nor `Debug`.
#[allow(dead_code)]
struct Opaque(*const u8);

fn send_and_sync<T: Send + Sync>() {}
fn error<T: Error + Debug + Display>()
where
    io::Error: From<T>,
{
}
fn task<T: Task + Serialize + DeserializeOwned + Debug>() {}
fn descriptor_end<T: From<OwnedFd> + Into<OwnedFd> + AsFd + Debug>() {}
fn message<T: Serialize + DeserializeOwned>() {}

#[test]
fn ends_and_clients_are_shared_by_threads_for_every_type() {
    send_and_sync::<Sender<Opaque>>();
    send_and_sync::<Receiver<Opaque>>();
    send_and_sync::<Handle<Opaque>>();
    send_and_sync::<Pending<Opaque, Opaque>>();
    send_and_sync::<ServiceClient>();
    send_and_sync::<RawSender>();
    send_and_sync::<RawReceiver>();
    send_and_sync::<Connection>();
    send_and_sync::<Listener>();
    send_and_sync::<Bootstrapper<Opaque>>();
    send_and_sync::<SharedMemory>();
}

#[test]
fn errors_are_errors_and_turn_into_io_errors() {
    error::<SendError<Opaque>>();
    error::<RecvError>();
    error::<ConnectError>();
    error::<SpawnError>();
    error::<CallError<Infallible>>();
    error::<CallError<String>>();
}

#[test]
fn ends_are_messages_whatever_they_carry() {
    message::<Sender<Opaque>>();
    message::<Receiver<Opaque>>();
    message::<Handle<File>>();
    message::<SharedMemory>();
    message::<SharedMemoryMut>();
    message::<ServiceClient>();
    task::<ServiceTask>();
    descriptor_end::<RawSender>();
    descriptor_end::<RawReceiver>();
}

#[test]
fn raw_ends_have_the_signatures_of_the_contract() -> Result<(), Box<dyn Error>> {
    let (sender, receiver): (RawSender, RawReceiver) = raw_channel()?;
    let file = File::open("/dev/null")?;
    let lent: &[BorrowedFd<'_>] = &[file.as_fd()];
    sender.send(b"bytes", lent)?;
    let (bytes, descriptors): (Vec<u8>, Vec<OwnedFd>) = receiver.recv()?;
    assert_eq!((bytes.as_slice(), descriptors.len()), (b"bytes".as_slice(), 1));
    assert!(receiver.try_recv()?.is_none());
    assert!(matches!(receiver.recv_timeout(Duration::ZERO), Err(RecvError::Timeout)));
    let sender = RawSender::from(OwnedFd::from(sender));
    sender.send(&[], &[])?;
    assert_eq!(RawReceiver::from(OwnedFd::from(receiver)).recv()?.0, []);
    Ok(())
}

#[test]
fn typed_ends_have_the_signatures_of_the_contract() -> Result<(), Box<dyn Error>> {
    let (sender, receiver): (Sender<u32>, Receiver<u32>) = channel()?;
    sender.send(1)?;
    sender.clone().try_send(2)?;
    assert_eq!(receiver.recv()?, 1);
    let received: Option<u32> = receiver.try_recv()?;
    assert_eq!(received, Some(2));
    assert!(matches!(receiver.recv_timeout(Duration::ZERO), Err(RecvError::Timeout)));
    let _: BorrowedFd<'_> = receiver.as_fd();
    let raw: RawSender = sender.into_raw_sender()?;
    let sender = Sender::<u32>::from(raw);
    sender.send(3)?;
    let receiver = Receiver::<u32>::from(receiver.into_raw_receiver());
    drop(sender);
    assert_eq!(receiver.iter().collect::<Result<Vec<u32>, RecvError>>()?, [3]);
    assert_eq!(receiver.into_iter().count(), 0);

    let (sender, receiver) = channel::<String>()?;
    drop(receiver);
    // A child that another test is just starting has a copy of the receiver's descriptor until it is a program of its own.
    let error = iter::repeat_with(|| sender.send("back".to_owned())).find_map(Result::err);
    let Some(SendError::Disconnected(value)) = error else { panic!("the receiver is gone") };
    assert_eq!(value, "back");
    Ok(())
}

#[test]
fn the_codec_has_the_signatures_of_the_contract() -> Result<(), Box<dyn Error>> {
    assert!(!serde_in_ipc_mode());
    let file = File::open("/dev/null")?;
    let (bytes, descriptors): (Vec<u8>, Vec<OwnedFd>) = serialize((HandleRef::from(&file), 7u8))?;
    let (handle, number) = deserialize::<(Handle<File>, u8)>(&bytes, descriptors)?;
    let _: File = handle.into_inner();
    assert_eq!(number, 7);
    let memory: SharedMemory = SharedMemoryMut::new(3)?.freeze()?;
    assert_eq!(&memory[..], [0; 3]);
    Ok(())
}

#[test]
fn a_path_bootstraps_a_channel_and_serves_many() -> Result<(), Box<dyn Error>> {
    let bootstrapper: Bootstrapper<u8> = Bootstrapper::new()?;
    let receiver = Receiver::<u8>::connect(bootstrapper.path())?;
    bootstrapper.send(1)?;
    bootstrapper.send_timeout(2, Duration::from_secs(10))?;
    assert_eq!((receiver.recv()?, receiver.recv()?), (1, 2));

    let directory = tempfile::tempdir()?;
    let bound: Bootstrapper<u8> = Bootstrapper::bind(directory.path().join("bootstrap"))?;
    assert!(bound.path().exists());
    let listener = Listener::bind(directory.path().join("listener"))?;
    let client = Connection::connect(directory.path().join("listener"))?;
    let served: Connection = listener.accept()?;
    assert_eq!(served.peer_credentials()?.pid(), i32::try_from(std::process::id())?);
    assert_eq!(client.peer_credentials()?.uid(), served.peer_credentials()?.uid());
    let _ = listener.incoming();
    Ok(())
}

#[test]
fn generated_clients_have_the_signatures_of_the_contract() -> Result<(), Box<dyn Error>> {
    let client: ServiceClient = ServiceClient::local(Sum)?;
    let added: Result<i64, CallError> = client.add(1, 2);
    assert_eq!(added?, 3);
    let pending: Pending<i64, Infallible> = client.begin_add(3, 4)?;
    while !pending.is_ready() {
        std::thread::yield_now();
    }
    assert_eq!(pending.wait()?, 7);
    assert_eq!(client.begin_add(5, 6)?.wait_timeout(Duration::from_secs(60))?, 11);

    let failed: CallError<String> = client.fail().unwrap_err();
    assert!(!failed.is_gone());
    assert_eq!(failed.method(), None);
    assert_eq!(failed.service().as_deref(), Some("as asked"));
    let missing: CallError<io::Error> = client.open().unwrap_err();
    assert_eq!(missing.service().unwrap().raw_os_error(), Some(2));
    let noted: Result<(), CallError> = client.note("quietly");
    noted?;

    let patient: ServiceClient = client.with_timeout(Duration::from_secs(60)).clone();
    let widened: Result<u8, CallError<String>> = patient.add(1, 1).map(|_| 2).map_err(CallError::widen);
    assert_eq!(widened?, 2);
    Ok(())
}

#[test]
fn servers_and_tasks_have_the_signatures_of_the_contract() -> Result<(), Box<dyn Error>> {
    let (ours, theirs) = Connection::pair()?;
    let client = ServiceClient::from(ours);
    let serving = std::thread::spawn(move || {
        let mut server = ServiceServer::new(Sum).workers(2);
        let _: &Sum = server.service();
        let served = server.serve(theirs);
        let _: Sum = server.into_inner();
        served
    });
    assert_eq!(client.add(1, 2)?, 3);
    drop(client);
    serving.join().unwrap()?;

    let (ours, theirs) = Connection::pair()?;
    let client = ServiceClient::new(ours);
    let serving = std::thread::spawn(move || -> Result<(), RecvError> {
        theirs.tasks::<ServiceTask>().try_for_each(|task| {
            task?.dispatch(&Sum);
            Ok(())
        })
    });
    assert_eq!(client.add(1, 2)?, 3);
    drop(client);
    serving.join().unwrap()?;
    Ok(())
}

#[test]
fn commands_are_taken_by_value_and_by_reference() -> Result<(), Box<dyn Error>> {
    if let Some(connection) = Connection::inherited()? {
        return Ok(ServiceServer::new(Sum).serve(connection)?);
    }
    let by_value = ServiceClient::spawn(test_command())?;
    let mut command: Command = test_command();
    let by_reference = ServiceClient::spawn(&mut command)?;
    assert_eq!(by_value.add(1, 2)? + by_reference.add(3, 4)?, 10);
    let missing = ServiceClient::spawn(Command::new("/does/not/exist"));
    assert!(matches!(missing, Err(SpawnError::Start(_))));
    Ok(())
}

#[test]
fn limits_are_settings_with_defaults() {
    let mut limits = Limits::default();
    assert_eq!(limits.message_bytes, 64 << 20);
    limits.spare_pairs = 2;
    assert_eq!(limits.spare_pairs, 2);
    let _ = ReceiverSet::new();
}
