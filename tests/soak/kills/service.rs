//! The service, and the processes that are killed: servers, and clients of a listener.

use std::env;
use std::fs::File;
use std::io;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use unix_ipc::{CallError, Connection, Handle, Limits, Receiver, Sender, channel, ipc_service, test_command};

use super::Moment;

#[ipc_service]
pub(crate) trait Target {
    fn echo(&self, bytes: &[u8]) -> Vec<u8>;
    fn pass(&self, files: Vec<Handle<File>>) -> Vec<Handle<File>>;
    #[oneway]
    fn swallow(&self, bytes: &[u8]);
    /// Sends numbers for as long as somebody receives.
    fn stream(&self, to: Sender<u64>);
    /// Says that it has begun, and answers when the gate is gone.
    fn wait(&self, begun: Sender<()>, gate: Receiver<()>);
}

pub(crate) struct Victim;

impl Target for Victim {
    fn echo(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn pass(&self, files: Vec<Handle<File>>) -> Vec<Handle<File>> {
        files
    }

    fn swallow(&self, _bytes: &[u8]) {}

    fn stream(&self, to: Sender<u64>) {
        (0..).all(|number| to.send(number).is_ok());
    }

    fn wait(&self, begun: Sender<()>, gate: Receiver<()>) {
        let _ = begun.send(());
        let _ = gate.recv();
    }
}

/// What a process that is no server does, and whose client it is.
pub(crate) const MOMENT: &str = "UNIX_IPC_TEST_SOAK_MOMENT";
pub(crate) const PATH: &str = "UNIX_IPC_TEST_SOAK_PATH";
/// How many threads serve.
pub(crate) const WORKERS: &str = "UNIX_IPC_TEST_SOAK_WORKERS";
/// A server that says who it is before it looks for its connection.
pub(crate) const TELLS: &str = "UNIX_IPC_TEST_SOAK_TELLS";

/// True in a process that is there to be killed, when nobody has done so.
pub(crate) fn is_victim() -> bool {
    if env::var_os(TELLS).is_some() {
        eprintln!("{}", std::process::id());
    }
    if let Some(connection) = Connection::inherited().expect("the connection is sound") {
        serve(connection);
        return true;
    }
    let Some(moment) = env::var(MOMENT).ok().and_then(|name| Moment::of(&name)) else { return false };
    be_client(moment);
    true
}

fn serve(connection: Connection) {
    let workers = env::var(WORKERS).ok().and_then(|workers| workers.parse().ok()).unwrap_or(1);
    let server = TargetServer::new(Victim);
    // Ends by a signal in nearly every case; where it is hung up on instead, serving is over too.
    let served =
        if workers > 1 { server.workers(workers).serve(connection) } else { { server }.serve(connection) };
    served.expect("the client keeps to the protocol");
}

/// Says that the moment is near: one line, which nothing of the test harness looks like.
fn tell(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

/// A client of the listener, until it is killed.
fn be_client(moment: Moment) {
    let path = env::var_os(PATH).expect("a client knows its listener");
    let mut rng = Rng::new();
    if moment == Moment::Introduction {
        tell("ready");
        loop {
            let client = TargetClient::connect(&path).expect("somebody listens");
            if rng.bool() {
                client.echo(b"hello").expect("it serves");
            }
        }
    }
    if moment == Moment::Spawner {
        return be_spawner();
    }
    let client = connect(&path, moment);
    warm(&client);
    let (begun, begins) = channel().expect("there is room");
    let (_gate, closed) = channel().expect("there is room");
    match moment {
        Moment::Call | Moment::Sleeping => {
            let call = client.begin_wait(begun, closed).expect("it serves");
            begins.recv().expect("it begins");
            tell("ready");
            call.wait().expect("this process is killed");
        }
        Moment::Full => {
            let mut unread = Vec::new();
            tell("ready");
            // Nobody reads the replies, so the calls stop as well.
            (0..2000).for_each(|_| unread.extend(client.begin_echo(&[1; 60_000])));
            drop(begins.recv());
        }
        _ => {
            tell("ready");
            let failed = call_until_it_fails(&client, moment, &mut rng);
            panic!("{failed}");
        }
    }
}

fn connect(path: &std::ffi::OsStr, moment: Moment) -> TargetClient {
    let connection = Connection::connect(path).expect("somebody listens");
    TargetClient::new(connection.with_limits(limits(moment)))
}

/// The parent of a child that is busy in a call for ever.
fn be_spawner() {
    let mut command = test_command_in_child();
    command.env(TELLS, "1");
    let client = TargetClient::spawn(command).expect("the test runs as a child");
    let (begun, begins) = channel().expect("there is room");
    let (_gate, closed) = channel().expect("there is room");
    let call = client.begin_wait(begun, closed).expect("it serves");
    begins.recv().expect("it begins");
    tell("ready");
    call.wait().expect("both processes are killed");
}

/// `test_command`, in a process that was started by it and is no server.
fn test_command_in_child() -> std::process::Command {
    let mut command = std::process::Command::new(env::current_exe().expect("the test knows its executable"));
    command.args(env::args_os().skip(1)).env_remove(MOMENT);
    command
}

/// A server in a process of its own, and what it prints.
pub(crate) fn command(rng: &mut Rng) -> std::process::Command {
    let mut command = test_command();
    command.env(WORKERS, if rng.bool() { "1" } else { "2" });
    command
}

pub(crate) fn limits(moment: Moment) -> Limits {
    let mut limits = Limits::default();
    if moment == Moment::Spinning {
        limits.spin = Duration::from_millis(2);
    }
    limits
}

/// Calls until there are rings.
pub(crate) fn warm(client: &TargetClient) {
    for _ in 0..20 {
        assert_eq!(client.echo(b"warm").expect("it serves"), b"warm");
    }
}

/// What happens in this moment again and again, until it fails: how.
pub(crate) fn call_until_it_fails(client: &TargetClient, moment: Moment, rng: &mut Rng) -> CallError {
    loop {
        if let Err(error) = call(client, moment, rng) {
            return error;
        }
        thread::yield_now();
    }
}

fn call(client: &TargetClient, moment: Moment, rng: &mut Rng) -> Result<(), CallError> {
    match moment {
        Moment::LongMessages => {
            let bytes = vec![rng.u8(..); rng.usize(65_521..2 << 20)];
            client.echo(&bytes).map(|echo| assert!(echo == bytes, "another's bytes"))
        }
        Moment::Descriptors => {
            let files: Result<Vec<_>, _> = (0..rng.usize(1..9)).map(|_| File::open("/dev/null")).collect();
            let files = files.map_err(|source: io::Error| CallError::Io { method: "open", source })?;
            let count = files.len();
            let passed = client.pass(files.into_iter().map(Handle::from).collect())?;
            assert_eq!(passed.len(), count);
            Ok(())
        }
        Moment::Stream => {
            let (to, numbers) = channel().map_err(|source| CallError::Io { method: "channel", source })?;
            let call = client.begin_stream(to)?;
            let came = numbers.iter().map_while(Result::ok);
            let in_order = came.zip(0..).all(|(number, expected)| number == expected);
            assert!(in_order, "another's numbers");
            call.wait()
        }
        Moment::Full => client.swallow(&[1; 20_000]),
        _ => client.echo(b"hello").map(|echo| assert_eq!(echo, b"hello")),
    }
}
