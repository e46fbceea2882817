use unix_ipc::ipc_service;

#[ipc_service]
pub trait OnTheTrait
where
    Self: Send,
{
    fn call(&self) -> u8;
}

#[ipc_service]
pub trait OnAMethod {
    fn call<'a>(&self, text: &'a str)
    where
        'a: 'static;
}

fn main() {}
