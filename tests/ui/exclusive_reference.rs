use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    fn value(&self, value: &mut u8);
    fn slice(&self, bytes: &mut [u8]);
    fn optional(&self, text: Option<&mut str>);
}

fn main() {}
