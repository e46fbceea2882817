use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    #[oneway]
    fn number(&self) -> u8;
    #[oneway]
    fn result(&self) -> Result<(), String>;
}

fn main() {}
