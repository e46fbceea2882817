use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    fn generic<T>(&self, value: T);
    fn constant<const N: usize>(&self, value: [u8; N]);
    fn hidden(&self, value: impl Into<u8>);
    fn nested(&self, value: Vec<impl Into<u8>>);
}

fn main() {}
