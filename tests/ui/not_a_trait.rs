use unix_ipc::ipc_service;

#[ipc_service]
pub struct Structure {
    field: u8,
}

#[ipc_service]
impl Structure {
    fn field(&self) -> u8 {
        self.field
    }
}

#[ipc_service]
mod module {}

fn main() {
    let _ = Structure { field: 1 }.field();
}
