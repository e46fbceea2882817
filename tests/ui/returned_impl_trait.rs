use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    fn numbers(&self) -> impl Iterator<Item = u8>;
}

fn main() {}
