use unix_ipc::ipc_service;

macro_rules! method {
    () => {
        fn made(&self);
    };
}

#[ipc_service]
pub trait Calc {
    const ONE: u8;
    type Item;
    method!();
    fn call(&self) -> u8;
}

fn main() {}
