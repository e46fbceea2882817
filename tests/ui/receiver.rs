use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    fn none(number: u8) -> u8;
    fn by_value(self) -> u8;
    fn boxed(self: Box<Self>) -> u8;
}

fn main() {}
