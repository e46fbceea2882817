use std::ffi::{CStr, OsStr};

use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    fn text(&self, text: str);
    fn slice(&self, bytes: [u8]);
    fn os_text(&self, text: &OsStr);
    fn c_text(&self, text: &CStr);
    fn object(&self, object: &dyn Send);
    fn boxed(&self, object: Box<dyn Send>);
    fn never(&self) -> !;
}

fn main() {}
