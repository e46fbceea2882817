//! A method may have any name that generated code calls, and shortcuts make room for it.
#![deny(warnings)]

use unix_ipc::{CallError, Connection, Pending, ipc_service};

#[ipc_service]
pub trait Names {
    fn as_ref(&self) -> u8;
    fn begin(&self) -> u8;
    fn borrow(&self) -> u8;
    fn call(&self) -> u8;
    fn clone(&self) -> u8;
    fn default(&self) -> u8;
    fn deserialize(&self) -> u8;
    fn dispatch(&self) -> u8;
    fn drop(&self) -> u8;
    fn eq(&self) -> u8;
    fn fmt(&self) -> u8;
    fn from(&self) -> u8;
    fn inner(&self) -> u8;
    fn into(&self) -> u8;
    fn oneway(&self) -> u8;
    fn send(&self) -> u8;
    fn serialize(&self) -> u8;
    fn serve(&self) -> u8;
    fn service(&self) -> u8;
    fn wait(&self) -> u8;
}

#[ipc_service]
pub trait Shortcuts {
    fn new(&self) -> u8;
    fn spawn(&self) -> u8;
    fn connect(&self) -> u8;
    fn local(&self) -> u8;
    fn with_timeout(&self) -> u8;
    fn call(&self, amount: u8) -> u8;
    fn begin_call(&self) -> String;
}

#[ipc_service]
pub trait SomeShortcuts {
    #[cfg(any())]
    fn new(&self) -> u8;
    #[cfg(all())]
    fn spawn(&self) -> u8;
    #[cfg(any())]
    #[cfg(all())]
    fn connect(&self) -> u8;
    fn call(&self) -> u8;
    #[cfg(any())]
    fn begin_call(&self) -> String;
}

/// The service's methods win; what traits give stays.
pub fn shortcuts(client: &ShortcutsClient, connection: Connection) -> Result<ShortcutsClient, CallError> {
    let _: [u8; 3] = [client.new()?, client.spawn()?, client.connect()?];
    let _: [u8; 3] = [client.local()?, client.with_timeout()?, client.call(1)?];
    let _: String = client.begin_call()?;
    let pending: Pending<String> = client.begin_begin_call()?;
    let _: String = pending.wait()?;
    let _ = Clone::clone(client);
    Ok(connection.into())
}

/// A shortcut goes where the method is.
pub fn some_shortcuts(connection: Connection) -> Result<u8, CallError> {
    let client = SomeShortcutsClient::new(connection);
    let _ = SomeShortcutsClient::connect("/nowhere");
    let pending: Pending<u8> = client.begin_call()?;
    Ok(client.spawn()? + pending.wait()?)
}

fn main() {}
