//! Files that are opened here and hashed in worker processes, which may crash: one that dies costs one retry.
//!
//!     cargo run --example checksums -- [--kill] [FILE]...
//!
//! Prints, sorted by name, what `sha256sum` prints: of this repository's Rust sources where no file is named.
//! With `--kill` one worker is killed on purpose.

use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::{env, io, iter::zip, thread};

use indicatif::ProgressBar;
use nix::{sys::signal, sys::uio, unistd::Pid};
use sha2::{Digest, Sha256};
use unix_ipc::{Connection, Handle, Pending, SpawnError, ipc_service};

#[ipc_service]
trait Hasher {
    /// The SHA-256 of a whole file.
    fn sha256(&self, file: &Handle<File>) -> io::Result<[u8; 32]>;
    /// The process that hashes.
    fn process(&self) -> u32;
}

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

    fn process(&self) -> u32 {
        process::id()
    }
}

fn main() -> Result<(), Box<dyn Error>> {
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

    let count = thread::available_parallelism()?.get();
    let mut workers = (0..count).map(|_| spawn()).collect::<Result<Vec<_>, _>>()?;
    if !kill.is_empty() {
        signal::kill(Pid::from_raw(workers[0].process()?.try_into()?), signal::SIGKILL)?;
    }
    sums(&files, &mut workers)?.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// A line for each file. Every worker has one file at a time.
fn sums(files: &[PathBuf], workers: &mut [HasherClient]) -> Result<Vec<String>, Box<dyn Error>> {
    let progress = ProgressBar::new(files.len() as u64);
    let mut lines = Vec::new();
    for paths in files.chunks(workers.len()) {
        let open = |path: &PathBuf| File::open(path).map_err(|error| format!("{}: {error}", path.display()));
        let files = paths.iter().map(|path| open(path).map(Handle::from)).collect::<Result<Vec<_>, _>>()?;
        let calls: Vec<_> = zip(&*workers, &files).map(|(worker, file)| worker.begin_sha256(file)).collect();
        for (((path, file), worker), call) in zip(zip(zip(paths, &files), &mut *workers), calls) {
            let sum = match call.and_then(Pending::wait) {
                Err(error) if error.is_gone() => {
                    progress.suspend(|| eprintln!("{error}; once more: {}", path.display()));
                    *worker = spawn()?;
                    worker.sha256(file)?
                }
                sum => sum?,
            };
            let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
            lines.push(format!("{hex}  {}", path.display()));
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    Ok(lines)
}

fn spawn() -> Result<HasherClient, SpawnError> {
    HasherClient::spawn(Command::new(env::current_exe()?))
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
