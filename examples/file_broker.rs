//! A process that can open no file asks one that can: the parent serves, and the child is its client.
//!
//!     cargo run --example file_broker

use std::env;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use unix_ipc::{CallError, Connection, Handle, ipc_service};

#[ipc_service]
trait FileBroker {
    /// Opens a file for reading, if it is one that others may have.
    fn open(&self, name: &str) -> io::Result<Handle<File>>;
}

struct Broker;

impl FileBroker for Broker {
    fn open(&self, name: &str) -> io::Result<Handle<File>> {
        // Names and not paths: whatever the client makes up, it leads nowhere else.
        if !["LICENSE-APACHE", "LICENSE-MIT"].contains(&name) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("`{name}` is not for you")));
        }
        File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).map(Handle::from)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    match Connection::inherited()? {
        Some(connection) => confined(connection),
        None => {
            let connection = Connection::spawn(Command::new(env::current_exe()?))?;
            Ok(FileBrokerServer::new(Broker).serve(connection)?)
        }
    }
}

/// The child. Its handshake is over, so from here on it needs no right but to send and receive.
fn confined(connection: Connection) -> Result<(), Box<dyn Error>> {
    let broker = FileBrokerClient::new(connection);
    forbid_opening()?;

    match File::open("/dev/null") {
        Ok(_) => return Err("the sandbox has a hole".into()),
        Err(error) => println!("opened here: {error}"),
    }
    let license = BufReader::new(broker.open("LICENSE-MIT")?.into_inner());
    for line in license.lines().take(1) {
        println!("opened by the broker: {}", line?);
    }
    match broker.open("../secret") {
        Err(CallError::Service(error)) => println!("refused by the broker: {error}"),
        other => return Err(format!("not refused: {other:?}").into()),
    }
    Ok(())
}

/// Takes every system call that opens a file from this process, for good.
fn forbid_opening() -> Result<(), Box<dyn Error>> {
    let calls = [
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_open_by_handle_at,
        libc::SYS_io_uring_setup,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_creat,
    ];
    let refused = calls.into_iter().map(|call| (call, Vec::new())).collect();
    let refusal = SeccompAction::Errno(libc::EACCES.unsigned_abs());
    let filter = SeccompFilter::new(refused, SeccompAction::Allow, refusal, env::consts::ARCH.try_into()?)?;
    Ok(seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?)
}
