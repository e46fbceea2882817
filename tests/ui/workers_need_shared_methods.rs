use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    fn call(&mut self);
}

pub fn serve(service: impl Calc + Send + Sync) {
    CalcServer::new(service).workers(4);
}

fn main() {}
