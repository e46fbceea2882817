use unix_ipc::{Receiver, ipc_service};

#[ipc_service]
pub trait Calc {
    fn stream(&self, numbers: &Receiver<u8>);
}

fn main() {}
