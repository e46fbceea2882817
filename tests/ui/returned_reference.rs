use std::borrow::Cow;

use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    fn text(&self) -> &str;
    fn forever(&self) -> &'static [u8];
    fn nested(&self) -> Result<Vec<&str>, String>;
    fn lifetime<'a>(&'a self) -> Cow<'a, str>;
}

fn main() {}
