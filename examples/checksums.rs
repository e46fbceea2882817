//! Files that are opened here and hashed by a pool of workers, which may crash: a dead one costs one retry.
//!
//!     cargo run --example checksums -- [--kill] [FILE]...
//!
//! Prints, sorted by name, what `sha256sum` prints: of this repository's Rust sources where no file is named.
//! With `--kill` one worker is killed on purpose.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::{env, io, thread};

use indicatif::ProgressBar;
use nix::{sys::signal, sys::uio, unistd::Pid};
use sha2::{Digest, Sha256};
use unix_ipc::{CallError, Connection, Handle, Pool, PoolOptions, ipc_service};

#[ipc_service]
trait Hasher {
    /// The SHA-256 of a whole file.
    #[idempotent]
    fn sha256(&self, file: &Handle<File>) -> io::Result<[u8; 32]>;
    /// The process that hashes.
    fn process(&self) -> i32;
}

type Failure = Box<dyn Error + Send + Sync>;

struct Worker;

impl Hasher for Worker {
    fn sha256(&self, file: &Handle<File>) -> io::Result<[u8; 32]> {
        let (mut sum, mut block, mut offset) = (Sha256::new(), vec![0; 64 << 10], 0);
        // The position in the file is every process's that has it open, so nobody moves it.
        while let count @ 1.. = uio::pread(file, &mut block, offset)? {
            sum.update(&block[..count]);
            offset += i64::try_from(count).map_err(io::Error::other)?;
        }
        Ok(sum.finalize().into())
    }

    fn process(&self) -> i32 {
        process::id().cast_signed()
    }
}

fn main() -> Result<(), Failure> {
    if let Some(connection) = Connection::inherited()? {
        return Ok(HasherServer::new(Worker).serve(connection)?);
    }

    let (kill, files): (Vec<_>, Vec<_>) = env::args_os().skip(1).partition(|argument| argument == "--kill");
    let mut files: Vec<PathBuf> = files.into_iter().map(PathBuf::from).collect();
    if files.is_empty() {
        env::set_current_dir(env!("CARGO_MANIFEST_DIR"))?;
        for folder in ["examples", "tests", "unix-ipc", "unix-ipc-macros"] {
            find_sources(folder.as_ref(), &mut files)?;
        }
    }
    files.sort_by(|one, other| one.as_os_str().cmp(other.as_os_str()));

    let program = env::current_exe()?;
    let pool = Pool::new(move || Command::new(&program), &PoolOptions::new());
    sums(&files, &pool, !kill.is_empty())?.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// A line for each file. Each of some threads has a part of them, and one call at a time.
fn sums(files: &[PathBuf], pool: &Pool<HasherClient>, kill: bool) -> Result<Vec<String>, Failure> {
    let progress = ProgressBar::new(files.len() as u64);
    let line = |path: &PathBuf| -> Result<String, Failure> {
        let file = Handle::from(File::open(path).map_err(|error| format!("{}: {error}", path.display()))?);
        let sum = pool.call(|worker| {
            if kill && files.first() == Some(path) && pool.counters().died == 0 {
                let process = Pid::from_raw(worker.process().map_err(CallError::widen)?);
                signal::kill(process, signal::SIGKILL).map_err(|error| CallError::Service(error.into()))?;
            }
            worker.sha256(&file).inspect_err(|error| {
                if error.is_gone() {
                    progress.suspend(|| eprintln!("{error}; once more: {}", path.display()));
                }
            })
        })?;
        progress.inc(1);
        let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("{hex}  {}", path.display()))
    };
    let part = files.len().div_ceil(thread::available_parallelism()?.get()).max(1);
    let lines = thread::scope(|scope| -> Result<Vec<Vec<_>>, Failure> {
        let parts = files.chunks(part).map(|part| scope.spawn(|| part.iter().map(line).collect()));
        let threads: Vec<_> = parts.collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked")?).collect()
    })?;
    progress.finish_and_clear();
    Ok(lines.concat())
}

fn find_sources(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find_sources(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
