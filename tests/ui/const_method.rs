use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    const fn call(&self) -> u8;
}

fn main() {}
