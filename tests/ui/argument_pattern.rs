use unix_ipc::ipc_service;

// rustc says this itself, and says it once.
#[ipc_service]
pub trait Calc {
    fn pattern(&self, (a, b): (u8, u8));
}

fn main() {}
