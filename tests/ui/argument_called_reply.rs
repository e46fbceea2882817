use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    fn call(&self, reply: u8) -> u8;
}

fn main() {}
