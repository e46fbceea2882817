use unix_ipc::ipc_service;

// rustc says this itself, and says it once.
#[ipc_service]
pub trait Calc {
    fn call(&self);
    fn call(&self);
}

fn main() {}
