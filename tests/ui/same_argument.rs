use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    fn call(&self, number: u8, number: u8) -> u8;
}

fn main() {}
