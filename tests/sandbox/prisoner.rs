//! The service that the child serves, and the sandbox it enters.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};
use unix_ipc::{
    Connection, Handle, Receiver, SendError, Sender, SharedMemory, SharedMemoryMut, channel, ipc_service,
};

pub(crate) type Forwarded = (u32, Sender<u32>);

#[ipc_service]
pub(crate) trait Boxed {
    fn enter(&self) -> io::Result<()>;
    /// The errors of what the sandbox forbids.
    fn refusals(&self) -> Vec<Option<i32>>;
    fn join(&self, words: &[String], separator: Option<&str>) -> String;
    fn divide(&self, a: i64, b: i64) -> Result<i64, String>;
    fn echo(&self, bytes: &[u8]) -> Vec<u8>;
    fn read(&self, file: &Handle<File>) -> io::Result<String>;
    fn append(&self, file: Handle<File>, text: &str) -> io::Result<Handle<File>>;
    fn count_into(&self, end: u32, sender: Sender<u32>) -> bool;
    fn sum(&self, receiver: Receiver<u32>) -> u32;
    fn count(&self, end: u32) -> io::Result<Receiver<u32>>;
    fn summing(&self) -> io::Result<(Sender<u32>, Receiver<u32>)>;
    fn ask(&self, adder: AdderClient, a: u32, b: u32) -> Result<u32, String>;
    fn adder(&self) -> io::Result<AdderClient>;
    fn length(&self, memory: SharedMemory) -> u64;
    fn fill(&self, memory: SharedMemoryMut, text: &str) -> io::Result<SharedMemory>;
    fn share(&self) -> io::Result<SharedMemory>;
    fn try_send(&self, sender: Sender<Vec<u8>>, length: u32) -> String;
    /// Sends the reply on, for somebody else to answer.
    fn forward(&self, number: u32, to: Sender<Forwarded>) -> u32;
    fn fail(&self, message: &str);
    #[oneway]
    fn note(&self, line: &str);
    fn noted(&self) -> Vec<String>;
}

#[ipc_service]
pub(crate) trait Adder {
    fn add(&self, a: u32, b: u32) -> u32;
}

pub(crate) struct Plus;

impl Adder for Plus {
    fn add(&self, a: u32, b: u32) -> u32 {
        a + b
    }
}

/// Forbids this thread, and those it starts from now on, to make sockets and memory files.
fn enter_sandbox() -> io::Result<()> {
    let forbidden = [libc::SYS_socket, libc::SYS_socketpair, libc::SYS_connect, libc::SYS_memfd_create];
    let rules: BTreeMap<_, _> = forbidden.into_iter().map(|call| (call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let arch = TargetArch::try_from(env::consts::ARCH).map_err(io::Error::other)?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).map_err(io::Error::other)?;
    let program = BpfProgram::try_from(filter).map_err(io::Error::other)?;
    apply_filter(&program).map_err(io::Error::other)
}

#[derive(Default)]
struct Prisoner {
    notes: Mutex<Vec<String>>,
}

impl Prisoner {
    fn notes(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Boxed for Prisoner {
    fn enter(&self) -> io::Result<()> {
        enter_sandbox()
    }

    fn refusals(&self) -> Vec<Option<i32>> {
        let code = |error: io::Error| error.raw_os_error();
        vec![
            UnixDatagram::unbound().err().and_then(code),
            UnixStream::pair().err().and_then(code),
            SharedMemory::new(b"bytes").err().and_then(code),
        ]
    }

    fn join(&self, words: &[String], separator: Option<&str>) -> String {
        words.join(separator.unwrap_or(" "))
    }

    fn divide(&self, a: i64, b: i64) -> Result<i64, String> {
        a.checked_div(b).ok_or_else(|| format!("{a} by {b}"))
    }

    fn echo(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn read(&self, file: &Handle<File>) -> io::Result<String> {
        let mut file = File::from(file.as_fd().try_clone_to_owned()?);
        file.rewind()?;
        io::read_to_string(&mut file)
    }

    fn append(&self, file: Handle<File>, text: &str) -> io::Result<Handle<File>> {
        let mut file = file.into_inner();
        file.write_all(text.as_bytes())?;
        Ok(file.into())
    }

    fn count_into(&self, end: u32, sender: Sender<u32>) -> bool {
        (0..end).all(|number| sender.send(number).is_ok())
    }

    fn sum(&self, receiver: Receiver<u32>) -> u32 {
        receiver.iter().map_while(Result::ok).sum()
    }

    fn count(&self, end: u32) -> io::Result<Receiver<u32>> {
        let (sender, receiver) = channel()?;
        thread::spawn(move || (0..end).all(|number| sender.send(number).is_ok()));
        Ok(receiver)
    }

    fn summing(&self) -> io::Result<(Sender<u32>, Receiver<u32>)> {
        let (sender, numbers) = channel::<u32>()?;
        let (sums, receiver) = channel()?;
        thread::spawn(move || sums.send(numbers.iter().map_while(Result::ok).sum()));
        Ok((sender, receiver))
    }

    fn ask(&self, adder: AdderClient, a: u32, b: u32) -> Result<u32, String> {
        adder.add(a, b).map_err(|error| error.to_string())
    }

    fn adder(&self) -> io::Result<AdderClient> {
        let (ours, theirs) = Connection::pair()?;
        thread::spawn(move || AdderServer::new(Plus).serve(ours));
        Ok(theirs.into())
    }

    fn length(&self, memory: SharedMemory) -> u64 {
        memory.len() as u64
    }

    fn fill(&self, mut memory: SharedMemoryMut, text: &str) -> io::Result<SharedMemory> {
        memory.write_all(text.as_bytes())?;
        memory.freeze()
    }

    fn share(&self) -> io::Result<SharedMemory> {
        SharedMemory::new(b"mine")
    }

    fn try_send(&self, sender: Sender<Vec<u8>>, length: u32) -> String {
        match sender.try_send(vec![7; length as usize]) {
            Ok(()) => "sent".to_owned(),
            Err(SendError::Full(value)) => format!("full with {} bytes", value.len()),
            Err(other) => other.to_string(),
        }
    }

    fn forward(&self, number: u32, _to: Sender<Forwarded>) -> u32 {
        panic!("{number} is answered by somebody else")
    }

    fn fail(&self, message: &str) {
        panic!("{message}")
    }

    fn note(&self, line: &str) {
        self.notes().push(line.to_owned());
    }

    fn noted(&self) -> Vec<String> {
        self.notes().clone()
    }
}

/// What the child does, as the test says in this variable.
pub(crate) const MODE: &str = "UNIX_IPC_TEST_MODE";

/// Serves, where this is the child that the test spawned: then the test is over there.
pub(crate) fn is_child() -> bool {
    let Some(connection) = Connection::inherited().expect("the connection is sound") else { return false };
    let mode = env::var(MODE).expect("the test says what to do");
    if mode != "in a method" {
        enter_sandbox().expect("this kernel has seccomp");
    }
    let prisoner = Prisoner::default();
    let served = match mode.as_str() {
        "workers" => BoxedServer::new(prisoner).workers(2).serve(connection),
        "own loop" => {
            serve_and_forward(&connection, &prisoner);
            Ok(())
        }
        _ => BoxedServer::new(prisoner).serve(connection),
    };
    served.expect("the client keeps to the protocol");
    true
}

/// A loop of one's own: what is to be forwarded is forwarded, or answered with 0 where that is impossible.
fn serve_and_forward(connection: &Connection, prisoner: &Prisoner) {
    for task in connection.tasks::<BoxedTask>() {
        match task.expect("the client keeps to the protocol") {
            BoxedTask::Forward { number, to, reply } => match to.send((number, reply)) {
                Ok(()) => {}
                Err(SendError::Io { value: (_, reply), .. }) => reply.send(0).expect("the caller waits"),
                Err(other) => panic!("{other:?}"),
            },
            other => other.dispatch(prisoner),
        }
    }
}
