use unix_ipc::ipc_service;

#[ipc_service]
pub trait Empty {}

fn main() {}
