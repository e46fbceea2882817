use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    fn self_(&self);
    fn _1a(&self);
    fn __(&self);
}

fn main() {}
