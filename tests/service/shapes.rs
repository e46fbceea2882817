//! The trait, and a service that gives back what it got.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use unix_ipc::{Connection, Handle, Receiver, Sender, channel, ipc_service, test_command};

use crate::util::Watchdog;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) blob: Vec<u8>,
    pub(crate) parts: Vec<Option<Vec<u8>>>,
    pub(crate) inner: Option<Box<Record>>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Failure {
    Empty,
    Code(i32),
}

/// A result with an error of its own, under the usual name.
pub(crate) mod alias {
    pub(crate) type Result<T> = core::result::Result<T, super::Failure>;
}

/// The other way round: what is the value and what the error is not seen in the signature.
pub(crate) mod swapped {
    pub(crate) type Result<E, T> = core::result::Result<T, E>;
}

/// A supertrait, which no client needs.
pub(crate) trait Named {
    fn own_name(&self) -> String;
}

/// Byte strings wherever they can stand.
pub(crate) type Blocks = (Vec<u8>, Box<[u8]>, Option<Vec<u8>>, (u8, Vec<u8>), Record);

#[ipc_service]
pub(crate) trait Shapes: Named {
    fn nothing(&self);
    fn unit(&self) -> ();
    fn texts(&self, lent: &str, optional: Option<&str>, owned: String) -> (String, Option<String>, String);
    fn paths(
        &self,
        lent: &Path,
        optional: Option<&Path>,
        owned: PathBuf,
    ) -> (PathBuf, Option<PathBuf>, PathBuf);
    fn slices(
        &self,
        numbers: &[u16],
        texts: Option<&[String]>,
        records: &[Record],
    ) -> (Vec<u16>, usize, Vec<Record>);
    fn references(
        &self,
        number: &u8,
        record: &Record,
        optional: &Option<String>,
    ) -> (u8, Record, Option<String>);
    fn named<'a>(&'a self, text: &'a str, bytes: Option<&'a [u8]>) -> usize;
    fn bytes(&self, block: &[u8]) -> Vec<u8>;
    fn blocks(
        &self,
        owned: Vec<u8>,
        boxed: Box<[u8]>,
        optional: Option<&[u8]>,
        pair: (u8, Vec<u8>),
        record: Record,
    ) -> Blocks;
    fn result(&self, value: Option<u8>) -> Result<u8, Failure>;
    fn qualified(&self, value: Option<u8>) -> swapped::Result<String, (u8, u8)>;
    fn aliased(&self, code: i32) -> alias::Result<()>;
    fn optional_result(&self, value: Option<u8>) -> Option<Result<u8, Failure>>;
    fn open(&self, path: &Path) -> io::Result<Handle<File>>;
    fn fail(&self, kind: u8) -> io::Result<()>;
    fn read_lent(&self, file: &Handle<File>) -> String;
    fn read_given(&self, files: Vec<Handle<File>>, last: Option<Handle<File>>) -> Vec<String>;
    fn count_to(&self, last: u32, numbers: &Sender<u32>);
    fn count_into(&self, last: u32, numbers: Sender<u32>);
    fn sum(&self, numbers: Receiver<u32>) -> u32;
    fn counted(&self, last: u32) -> io::Result<Receiver<u32>>;
    fn pipe(&self) -> io::Result<(Sender<u32>, Receiver<u32>)>;
    #[oneway]
    fn note(&mut self, line: &str);
    fn notes(&self) -> Vec<String>;
    fn r#type(&self, r#match: u8, r#fn: &str) -> String;
    #[cfg(unix)]
    fn present(&self) -> u8;
    #[cfg(not(unix))]
    fn absent(&self, missing: Missing) -> Missing;
    #[deprecated = "use `nothing`"]
    fn old(&self) -> u8;
    fn defaulted(&self, number: u32) -> String {
        format!("{}: {number}", self.own_name())
    }
    #[expect(clippy::too_many_arguments, reason = "more than a tuple can have in serde")]
    fn many(
        &self,
        a: u8,
        b: u16,
        c: u32,
        d: u64,
        e: i8,
        f: i16,
        g: i32,
        h: i64,
        i: bool,
        j: char,
        k: f32,
        l: f64,
        m: &str,
        n: &[u8],
        o: (),
        p: (u8, u8),
        q: [u8; 3],
        r: Option<u8>,
        s: String,
        t: u128,
    ) -> String;
}

#[derive(Default)]
pub(crate) struct Echo {
    notes: Vec<String>,
}

impl Named for Echo {
    fn own_name(&self) -> String {
        "echo".to_owned()
    }
}

/// What is left to read in a file that is only lent.
pub(crate) fn text_of(file: &Handle<File>) -> String {
    let descriptor = file.as_fd().try_clone_to_owned().expect("there is room for a descriptor");
    let mut text = String::new();
    File::from(descriptor).read_to_string(&mut text).expect("the file can be read");
    text
}

impl Shapes for Echo {
    fn nothing(&self) {}

    fn unit(&self) {}

    fn texts(&self, lent: &str, optional: Option<&str>, owned: String) -> (String, Option<String>, String) {
        (lent.to_owned(), optional.map(str::to_owned), owned)
    }

    fn paths(
        &self,
        lent: &Path,
        optional: Option<&Path>,
        owned: PathBuf,
    ) -> (PathBuf, Option<PathBuf>, PathBuf) {
        (lent.to_owned(), optional.map(Path::to_owned), owned)
    }

    fn slices(
        &self,
        numbers: &[u16],
        texts: Option<&[String]>,
        records: &[Record],
    ) -> (Vec<u16>, usize, Vec<Record>) {
        (numbers.to_vec(), texts.map_or(usize::MAX, <[String]>::len), records.to_vec())
    }

    fn references(
        &self,
        number: &u8,
        record: &Record,
        optional: &Option<String>,
    ) -> (u8, Record, Option<String>) {
        (*number, record.clone(), optional.clone())
    }

    fn named<'a>(&'a self, text: &'a str, bytes: Option<&'a [u8]>) -> usize {
        text.len() + bytes.map_or(0, <[u8]>::len)
    }

    fn bytes(&self, block: &[u8]) -> Vec<u8> {
        block.to_vec()
    }

    fn blocks(
        &self,
        owned: Vec<u8>,
        boxed: Box<[u8]>,
        optional: Option<&[u8]>,
        pair: (u8, Vec<u8>),
        record: Record,
    ) -> Blocks {
        (owned, boxed, optional.map(<[u8]>::to_vec), pair, record)
    }

    fn result(&self, value: Option<u8>) -> Result<u8, Failure> {
        value.ok_or(Failure::Empty)
    }

    fn qualified(&self, value: Option<u8>) -> swapped::Result<String, (u8, u8)> {
        value.map(|value| (value, value)).ok_or_else(|| "empty".to_owned())
    }

    fn aliased(&self, code: i32) -> alias::Result<()> {
        if code == 0 { Ok(()) } else { Err(Failure::Code(code)) }
    }

    fn optional_result(&self, value: Option<u8>) -> Option<Result<u8, Failure>> {
        value.map(|value| if value > 0 { Ok(value) } else { Err(Failure::Empty) })
    }

    fn open(&self, path: &Path) -> io::Result<Handle<File>> {
        Ok(File::open(path)?.into())
    }

    fn fail(&self, kind: u8) -> io::Result<()> {
        match kind {
            0 => Ok(()),
            1 => Err(io::Error::from_raw_os_error(28)),
            2 => Err(io::Error::new(io::ErrorKind::AlreadyExists, "a second one")),
            _ => Err(io::Error::other("something else")),
        }
    }

    fn read_lent(&self, file: &Handle<File>) -> String {
        text_of(file)
    }

    fn read_given(&self, files: Vec<Handle<File>>, last: Option<Handle<File>>) -> Vec<String> {
        files.iter().chain(&last).map(text_of).collect()
    }

    fn count_to(&self, last: u32, numbers: &Sender<u32>) {
        for number in 1..=last {
            numbers.send(number).expect("the caller receives");
        }
    }

    fn count_into(&self, last: u32, numbers: Sender<u32>) {
        self.count_to(last, &numbers);
    }

    fn sum(&self, numbers: Receiver<u32>) -> u32 {
        numbers.iter().sum::<Result<_, _>>().expect("the caller sends numbers")
    }

    fn counted(&self, last: u32) -> io::Result<Receiver<u32>> {
        let (sender, receiver) = channel()?;
        self.count_into(last, sender);
        Ok(receiver)
    }

    fn pipe(&self) -> io::Result<(Sender<u32>, Receiver<u32>)> {
        channel()
    }

    fn note(&mut self, line: &str) {
        self.notes.push(line.to_owned());
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    fn r#type(&self, r#match: u8, r#fn: &str) -> String {
        format!("{match}{fn}")
    }

    fn present(&self) -> u8 {
        1
    }

    fn old(&self) -> u8 {
        2
    }

    fn many(
        &self,
        a: u8,
        b: u16,
        c: u32,
        d: u64,
        e: i8,
        f: i16,
        g: i32,
        h: i64,
        i: bool,
        j: char,
        k: f32,
        l: f64,
        m: &str,
        n: &[u8],
        (): (),
        p: (u8, u8),
        q: [u8; 3],
        r: Option<u8>,
        s: String,
        t: u128,
    ) -> String {
        format!("{a} {b} {c} {d} {e} {f} {g} {h} {i} {j} {k} {l} {m} {n:?} {p:?} {q:?} {r:?} {s} {t}")
    }
}

/// Runs the calls of a test on a service in a child and on one in a thread; in the child, serves.
#[track_caller]
pub(crate) fn for_child_and_thread(calls: fn(&ShapesClient)) {
    if let Some(connection) = Connection::inherited().expect("the child takes its connection") {
        ShapesServer::new(Echo::default()).serve(connection).expect("the parent keeps to the protocol");
        return;
    }
    let _watchdog = Watchdog::new();
    calls(&ShapesClient::spawn(test_command()).expect("the test runs again"));
    calls(&ShapesClient::local(Echo::default()).expect("there is room for a thread"));
}
