use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    fn wild(&self, _: u8);
    fn pattern(&self, (a, b): (u8, u8)) -> u8 {
        a + b
    }
}

fn main() {}
