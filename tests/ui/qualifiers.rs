use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    unsafe fn one(&self) -> u8;
    extern "C" fn two(&self) -> u8;
    async fn three(&self) -> u8;
}

fn main() {}
