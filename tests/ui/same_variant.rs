use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    fn get_x(&self);
    fn get__x(&self);
}

fn main() {}
