//! A program whose only dependency is `unix-ipc`.

use std::env;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

use unix_ipc::{CallError, Connection, Handle, Receiver, Sender, channel, ipc_service};

#[ipc_service]
pub trait Library {
    /// The longest of the titles, if there is one.
    fn longest(&self, titles: &[String]) -> Option<String>;
    fn shelve(&self, place: &Path, pages: Option<&[u8]>) -> io::Result<PathBuf>;
    fn open(&self) -> io::Result<Handle<std::fs::File>>;
    fn read(&self, pages: Receiver<Vec<u8>>, done: Sender<usize>);
    fn process(&self) -> u32;
    #[oneway]
    fn close(&self);
}

struct Shelf;

impl Library for Shelf {
    fn longest(&self, titles: &[String]) -> Option<String> {
        titles.iter().max_by_key(|title| title.len()).cloned()
    }

    fn shelve(&self, place: &Path, pages: Option<&[u8]>) -> io::Result<PathBuf> {
        let pages = pages.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(place.join(pages.len().to_string()))
    }

    fn open(&self) -> io::Result<Handle<std::fs::File>> {
        Ok(std::fs::File::open("/dev/null")?.into())
    }

    fn read(&self, pages: Receiver<Vec<u8>>, done: Sender<usize>) {
        let bytes = pages.iter().map_while(Result::ok).map(|page| page.len()).sum();
        let _ = done.send(bytes);
    }

    fn process(&self) -> u32 {
        process::id()
    }

    fn close(&self) {
        process::exit(7)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(connection) = Connection::inherited()? {
        return Ok(LibraryServer::new(Shelf).serve(connection)?);
    }
    let library = LibraryClient::spawn(Command::new(env::current_exe()?))?;
    assert_ne!(library.process()?, process::id());
    println!("longest: {:?}", library.longest(&["a".to_owned(), "abc".to_owned()])?);
    println!("shelved: {}", library.shelve(Path::new("shelf"), Some(&[1, 2, 3]))?.display());
    let refused = library.shelve(Path::new("shelf"), None);
    let Err(CallError::Service(error)) = refused else { return Err("nothing was refused".into()) };
    println!("refused: {:?}", error.kind());
    library.open()?.into_inner().metadata()?;

    let (pages, reading) = channel()?;
    let (done, read) = channel()?;
    let call = library.begin_read(reading, done)?;
    (0..3).try_for_each(|page| pages.send(vec![page; 100]))?;
    drop(pages);
    call.wait()?;
    println!("read: {}", read.recv()?);

    library.close()?;
    println!("{}", library.process().unwrap_err());
    let local = LibraryClient::local(Shelf)?;
    println!("here: {}", local.process()? == process::id());
    Ok(())
}
