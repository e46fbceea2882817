//! An argument may have any name that generated code uses for itself, but that of the reply's field.
#![deny(warnings)]

use unix_ipc::ipc_service;

#[ipc_service]
pub trait Arguments {
    fn locals(&self, call: u8, client: u8, connection: u8, f: u8, formatter: u8, inner: u8, s: u8) -> u8;
    fn more_locals(&self, self_: u8, serializer: u8, server: u8, service: u8, task: u8, value: u8) -> u8;
    fn underscores(&self, _call: u8, __call: u8, __service: u8, __reply: u8, argument_call: u8) -> u8;
    fn strings(&self, call: &str, service: Option<&str>, reply_to: &str);
    fn raw(&self, r#match: u8, r#type: &str, r#fn: Option<&[u8]>);
    #[oneway]
    fn oneway(&self, reply: u8);
}

fn main() {}
