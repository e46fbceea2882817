//! A host program that does to its process what the tests' own code may not: the default action of SIGPIPE, and
//! `fork` without `exec`.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::thread;

use unix_ipc::{Connection, Listener, Pool, PoolOptions, SendError, channel, ipc_service, raw_channel};

// SAFETY: the C library has these functions with these arguments (signal(2), fork(2), waitpid(2), _exit(2)).
unsafe extern "C" {
    fn signal(number: i32, action: usize) -> usize;
    fn fork() -> i32;
    fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(status: i32) -> !;
}

const SIGPIPE: i32 = 13;
const DEFAULT: usize = 0;

#[ipc_service]
trait Worker {
    fn echo(&self, bytes: &[u8]) -> Vec<u8>;
    fn exit(&self, status: i32);
    /// Answers when the file is there.
    fn echo_after(&self, path: &Path, bytes: &[u8]) -> Vec<u8>;
}

struct Hand;

impl Worker for Hand {
    fn echo(&self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn exit(&self, status: i32) {
        process::exit(status)
    }

    fn echo_after(&self, path: &Path, bytes: &[u8]) -> Vec<u8> {
        wait_for(path);
        bytes.to_vec()
    }
}

fn wait_for(path: &Path) {
    while !path.exists() {
        thread::yield_now();
    }
}

fn spawn() -> Result<WorkerClient, Box<dyn Error>> {
    let mut command = Command::new(env::current_exe()?);
    Ok(WorkerClient::spawn(command.args(env::args_os().skip(1)))?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let what = arguments.next().ok_or("say what")?;
    let folder = PathBuf::from(arguments.next().ok_or("say where")?);
    if what == "sigpipe" {
        // SAFETY: installs no code.
        unsafe { signal(SIGPIPE, DEFAULT) };
    }
    if let Some(connection) = Connection::inherited()? {
        WorkerServer::new(Hand).serve(connection)?;
        return Ok(fs::write(folder.join("served"), "")?);
    }
    if what == "sigpipe" { write_to_the_gone(&folder) } else { use_in_a_copy(&folder) }
}

/// P24: every write whose reader is gone is an error, and the process goes on.
fn write_to_the_gone(folder: &Path) -> Result<(), Box<dyn Error>> {
    let (sender, receiver) = raw_channel()?;
    drop(receiver);
    for length in [0, 10, 1 << 20] {
        assert!(matches!(sender.send(&vec![1; length], &[]), Err(SendError::Disconnected(_))));
    }
    let (sender, receiver) = channel::<Vec<u8>>()?;
    drop(receiver);
    for length in [0, 10, 1 << 20] {
        assert!(matches!(sender.send(vec![1; length]), Err(SendError::Disconnected(_))));
        assert!(matches!(sender.try_send(vec![1; length]), Err(SendError::Disconnected(_))));
    }

    let client = spawn()?;
    assert!(client.exit(3).unwrap_err().is_gone());
    for length in [0, 10, 1 << 20] {
        assert!(client.echo(&vec![1; length]).unwrap_err().is_gone());
    }

    // The other way round: the child answers when nobody is left.
    for length in [10, 1 << 20] {
        let client = spawn()?;
        let dropped = folder.join(format!("dropped before {length}"));
        drop(client.begin_echo_after(&dropped, &vec![1; length])?);
        drop(client);
        fs::write(dropped, "")?;
        wait_for(&folder.join("served"));
        fs::remove_file(folder.join("served"))?;
    }
    println!("alive");
    Ok(())
}

/// Whether `act` held in a copy of this process, which ends then without running what is the original's to run.
fn holds_in_a_copy(act: impl FnOnce() -> bool) -> bool {
    // SAFETY: the copy has this thread alone and never returns; no other thread holds a lock.
    match unsafe { fork() } {
        0 => {
            let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).unwrap_or(false);
            // SAFETY: ends the process.
            unsafe { _exit(i32::from(!held)) }
        }
        copy => {
            let mut status = -1;
            // SAFETY: the status is written to ours.
            let ended = unsafe { waitpid(copy, &raw mut status, 0) };
            ended == copy && status == 0
        }
    }
}

fn is_refused<T>(result: Result<T, unix_ipc::CallError>) -> bool {
    result.is_err_and(|error| format!("{error:?}").contains("forked"))
}

/// A pool and one of its workers: their use in a copy is an error, and their drop does nothing to the children.
fn use_a_pool_in_a_copy(folder: PathBuf) -> Result<(), Box<dyn Error>> {
    fs::create_dir(&folder)?;
    let (program, served) = (env::current_exe()?, folder.join("served"));
    let options = PoolOptions::new().workers(1);
    let command = move || {
        let mut command = Command::new(&program);
        command.arg("fork").arg(&folder);
        command
    };
    let pool: Pool<WorkerClient> = Pool::new(command, &options);
    let mut held = Some((pool.clone(), pool.worker()?));
    assert!(holds_in_a_copy(|| {
        let (clone, worker) = held.take().unwrap();
        let refused = |error: &dyn std::fmt::Debug| format!("{error:?}").contains("forked");
        let is_refused = clone.call(|worker| worker.echo(b"")).is_err_and(|error| refused(&error))
            && clone.warm().is_err_and(|error| refused(&error))
            && !clone.shutdown(std::time::Duration::MAX)
            && clone.processes().is_empty();
        drop((clone, worker));
        is_refused
    }));
    drop(held);
    assert_eq!(pool.call(|worker| worker.echo(b"pooled"))?, b"pooled");
    let mut pool = Some(pool);
    assert!(holds_in_a_copy(|| {
        drop(pool.take());
        true
    }));
    let pool = pool.unwrap();
    assert_eq!(pool.call(|worker| worker.echo(b"still"))?, b"still");
    assert!(pool.counters().started == 1 && !served.exists());
    Ok(())
}

fn use_in_a_copy(folder: &Path) -> Result<(), Box<dyn Error>> {
    // A client: its use in a copy is an error, and its drop does nothing to the child.
    let mut client = Some(spawn()?);
    assert!(holds_in_a_copy(|| {
        let client = client.take().unwrap();
        let refused = is_refused(client.echo(b"from a copy"));
        drop(client);
        refused
    }));
    let client = client.unwrap();
    assert_eq!(client.echo(b"from the original")?, b"from the original");
    assert!(!folder.join("served").exists());

    use_a_pool_in_a_copy(folder.join("pool"))?;

    // A call in flight.
    let mut call = Some(client.begin_echo(b"for the original")?);
    assert!(holds_in_a_copy(|| {
        drop(call.take());
        true
    }));
    assert_eq!(call.unwrap().wait()?, b"for the original");

    // A server: a call, its reply sender and its connection, dropped or used in a copy.
    let (ours, theirs) = Connection::pair()?;
    let caller = WorkerClient::new(ours);
    let waiting = caller.begin_echo(b"who answers?")?;
    let mut server = Some(theirs);
    let mut task = server.as_ref().unwrap().tasks::<WorkerTask>().next();
    assert!(holds_in_a_copy(|| {
        let Some(Ok(WorkerTask::Echo { bytes, reply })) = task.take() else { return false };
        let refused = reply.send(bytes).is_err();
        drop(reply);
        let next_is_refused =
            server.as_ref().unwrap().tasks::<WorkerTask>().next().is_none_or(|task| task.is_err());
        drop(server.take());
        refused && next_is_refused
    }));
    assert!(holds_in_a_copy(|| {
        drop((task.take(), server.take()));
        true
    }));
    let Some(Ok(task)) = task else { return Err("the call did not arrive".into()) };
    task.dispatch(&Hand);
    assert_eq!(waiting.wait()?, b"who answers?");
    let waiting = caller.begin_echo(b"and again?")?;
    let task = server.as_ref().unwrap().tasks::<WorkerTask>().next().ok_or("hung up")??;
    task.dispatch(&Hand);
    assert_eq!(waiting.wait()?, b"and again?");

    // A listener: its file stays.
    let path = folder.join("listener");
    let mut listener = Some(Listener::bind(&path)?);
    assert!(holds_in_a_copy(|| {
        drop(listener.take());
        true
    }));
    assert!(path.exists());
    drop(listener);
    assert!(!path.exists());

    // The last word is the original's.
    drop(client);
    wait_for(&folder.join("served"));
    println!("alive");
    Ok(())
}
