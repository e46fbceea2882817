use unix_ipc::ipc_service;

#[ipc_service(clone)]
pub trait Unknown {
    fn call(&self);
}

#[ipc_service(task = "Job", crate = "unix_ipc")]
pub trait UnknownWithValue {
    fn call(&self);
}

#[ipc_service(crate = "unix_ipc", crate = "unix_ipc")]
pub trait Duplicate {
    fn call(&self);
}

#[ipc_service(crate)]
pub trait WithoutPath {
    fn call(&self);
}

#[ipc_service(crate = unix_ipc)]
pub trait WithoutQuotes {
    fn call(&self);
}

#[ipc_service(crate = "not a path")]
pub trait NotAPath {
    fn call(&self);
}

#[ipc_service("unix_ipc")]
pub trait WithoutName {
    fn call(&self);
}

fn main() {}
