use std::fs::File;

use unix_ipc::ipc_service;

pub struct NotSerde;

#[ipc_service]
pub trait Argument {
    fn value(&self, value: NotSerde);
}

#[ipc_service]
pub trait Nested {
    fn list(&self, values: &[Vec<NotSerde>]);
}

#[ipc_service]
pub trait Returned {
    fn value(&self) -> NotSerde;
}

#[ipc_service]
pub trait Descriptor {
    fn file(&self, file: File);
}

fn main() {}
