//! Supertraits, default bodies, raw names and any visibility.
#![deny(warnings)]
#![deny(unreachable_pub)]

use std::fmt::{self, Debug};

use unix_ipc::{Connection, Listener, ServeError, Task, ipc_service};

#[ipc_service]
pub trait Supertraits: Debug + Send + Sync + 'static {
    fn call(&self) -> u8 {
        1
    }
}

#[ipc_service]
pub trait NeverAnObject: Sized + Clone {
    fn call(&self);
}

#[ipc_service]
pub trait S {
    fn call(&self);
}

#[ipc_service]
pub trait r#Raw {
    fn r#type(&self, r#match: u8) -> u8;
    fn begin_type(&self);
}

#[ipc_service]
pub unsafe trait Unsafe {
    fn call(&self);
}

/// A trait may stand in a function.
pub fn in_a_function() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Local;

    #[ipc_service]
    trait InAFunction {
        fn call(&mut self, local: &Local) -> Local;
    }
}

/// A dispatch loop around a trait object.
pub fn dispatch(task: UnsafeTask, service: &dyn Unsafe) {
    task.dispatch(service);
}

/// A server asks nothing of the service but the trait, until it has workers.
pub fn serve<T: S>(service: T, connection: Connection, listener: &Listener) -> Result<T, ServeError> {
    let mut server = SServer::new(service);
    server.serve(connection)?;
    server.listen(listener)?;
    let _: &T = server.service();
    Ok(server.into_inner())
}

/// Workers share the service.
pub fn workers<T: S + Send + Sync>(service: T) -> SServer<T> {
    SServer::new(service).workers(4)
}

struct NotDebug;

impl S for NotDebug {
    fn call(&self) {}
}

/// What is generated is `Debug` without bounds.
pub fn debug(formatter: &mut fmt::Formatter<'_>, task: &STask, client: &SClient) -> fmt::Result {
    let _ = <STask as Task>::SERVICE;
    let _ = client.clone();
    write!(formatter, "{task:?} {client:?} {:?}", SServer::new(NotDebug))
}

fn main() {}
