use unix_ipc::ipc_service;

pub struct NotSerde;

#[ipc_service]
pub trait Value {
    fn value(&self) -> Result<NotSerde, String>;
}

#[ipc_service]
pub trait Error {
    fn value(&self) -> Result<String, NotSerde>;
}

fn main() {}
