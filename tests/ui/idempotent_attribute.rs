use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    #[idempotent(true)]
    fn arguments(&self);
    #[idempotent]
    #[idempotent]
    fn twice(&self);
    #[cfg_attr(unix, idempotent)]
    fn conditional(&self);
    #[idempotent]
    #[oneway]
    fn nobody_learns(&self);
}

fn main() {}
