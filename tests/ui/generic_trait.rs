use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc<T> {
    fn call(&self) -> u8;
}

impl Calc<u8> for u8 {
    fn call(&self) -> u8 {
        1
    }
}

fn main() {}
