use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    #[oneway(true)]
    fn arguments(&self);
    #[oneway]
    #[oneway]
    fn twice(&self);
    #[cfg_attr(unix, oneway)]
    fn conditional(&self);
    fn conditional_argument(&self, #[cfg(unix)] number: u8);
}

fn main() {}
