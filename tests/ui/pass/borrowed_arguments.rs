//! What is borrowed by the caller is owned by the task and lent to the handler.
#![deny(warnings)]
#![allow(unused_parens)]

use std::fs::File;
use std::path::{self, Path, PathBuf};

use unix_ipc::{CallError, Handle, Sender, ipc_service};

mod geometry {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub struct Path;
}

#[ipc_service]
pub trait Borrowed {
    fn text(&self, elided: &str, optional: Option<&str>);
    fn paths(&self, short: &Path, long: &path::Path, longest: &std::path::Path, optional: Option<&Path>);
    fn other_path(&self, path: &geometry::Path);
    fn slices(&self, bytes: &[u8], texts: &[String], optional: Option<&[(u8, String)]>);
    fn values(&self, number: &u8, list: &Vec<u8>, text: &String, optional: &Option<String>);
    fn named<'a, 'b: 'a>(&self, first: &'a str, second: Option<&'b [u8]>, third: &'b u8) -> u8;
    fn receiver_lifetime<'a>(&'a self, text: &'a str);
    fn typed_receiver(self: &Self, text: &str);
    fn lent(&self, file: &Handle<File>, sender: &Sender<u8>);
    fn in_parentheses(&self, text: (&str), bytes: &([u8])) -> (u8);
    #[oneway]
    fn oneway(&self, text: &str, bytes: Option<&[u8]>);
}

/// What the task holds.
pub fn task(task: BorrowedTask) -> Option<(String, PathBuf, Vec<u8>, u8, Handle<File>)> {
    let BorrowedTask::Text { elided, optional: Some(_), reply: _ } = task else { return None };
    let BorrowedTask::Paths { short, .. } = other()? else { return None };
    let BorrowedTask::Slices { bytes, .. } = other()? else { return None };
    let BorrowedTask::Values { number, .. } = other()? else { return None };
    let BorrowedTask::Lent { file, .. } = other()? else { return None };
    Some((elided, short, bytes, number, file))
}

fn other() -> Option<BorrowedTask> {
    None
}

/// What the client takes.
pub fn call(client: &BorrowedClient, file: &Handle<File>, sender: &Sender<u8>) -> Result<u8, CallError> {
    client.text(&String::new(), None)?;
    client.paths(Path::new(""), Path::new(""), &PathBuf::new(), None)?;
    client.other_path(&geometry::Path)?;
    client.slices(&[1], &[String::new()], Some(&[(1, String::new())]))?;
    client.lent(file, sender)?;
    client.oneway("", Some(&[]))?;
    client.named("", None, &1)
}

fn main() {}
