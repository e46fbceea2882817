use std::borrow::Cow;
use std::collections::HashMap;

use unix_ipc::ipc_service;

#[ipc_service]
pub trait Calc {
    fn list(&self, list: Vec<&str>);
    fn slice(&self, list: &[&str]);
    fn tuple(&self, pair: (u8, &[u8]));
    fn array(&self, array: [&str; 2]);
    fn map(&self, map: &HashMap<&str, Vec<u8>>);
    fn optional(&self, number: Option<&u64>);
    fn twice(&self, text: &&str);
    fn lifetime<'a>(&self, text: Cow<'a, str>);
}

fn main() {}
