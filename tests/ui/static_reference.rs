use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    fn text(&self, text: &'static str);
    fn slice(&self, bytes: Option<&'static [u8]>);
}

fn main() {}
