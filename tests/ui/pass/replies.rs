//! A result is split into what the method returns and what went wrong, however it is written.
#![deny(warnings)]

use std::io;
use std::result;

use unix_ipc::{CallError, Pending, Sender, ipc_service};

/// An alias with one parameter.
pub mod alias {
    /// Fails with text.
    pub type Result<T> = std::result::Result<T, String>;
}

/// An alias without parameters.
pub mod bare {
    /// Fails with text.
    pub type Result = std::result::Result<u8, String>;
}

#[ipc_service]
pub trait Replies {
    fn nothing(&self);
    fn unit(&self) -> ();
    fn tuple(&self) -> (u8, String);
    fn result(&self) -> Result<u8, String>;
    fn qualified(&self) -> result::Result<Vec<u8>, String>;
    fn alias(&self) -> alias::Result<u8>;
    fn bare(&self) -> bare::Result;
    fn io(&self) -> io::Result<u8>;
    fn nested(&self) -> Option<Result<u8, String>>;
}

/// What the client returns.
pub fn call(client: &RepliesClient) -> Result<(), CallError<String>> {
    let _: Result<(), CallError> = client.nothing();
    let _: Result<(), CallError> = client.unit();
    let _: Result<(u8, String), CallError> = client.tuple();
    let _: u8 = client.result()?;
    let _: Vec<u8> = client.qualified()?;
    let _: u8 = client.alias()?;
    let _: u8 = client.bare()?;
    let _: Result<u8, CallError<io::Error>> = client.io();
    let _: Result<Option<Result<u8, String>>, CallError> = client.nested();
    let pending: Pending<u8, String> = client.begin_alias()?;
    let _: u8 = pending.wait()?;
    Ok(())
}

/// What the task holds is the return type as written.
pub fn reply(task: RepliesTask) -> Option<Sender<Result<u8, String>>> {
    match task {
        RepliesTask::Result { reply } | RepliesTask::Alias { reply } | RepliesTask::Bare { reply } => {
            Some(reply)
        }
        _ => None,
    }
}

fn main() {}
