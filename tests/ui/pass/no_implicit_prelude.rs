//! Generated code needs no prelude, and no module or type of the user's is in its way.
#![no_implicit_prelude]
#![deny(warnings)]

mod alloc {}
mod core {}
mod serde {}
mod std {}

mod shadows {
    #![allow(dead_code)]

    mod unix_ipc {}

    pub struct Box;
    pub struct Call;
    pub struct Client;
    pub struct Connection;
    pub struct Err;
    pub struct Message;
    pub struct None;
    pub struct Ok;
    pub struct Option;
    pub struct Pending;
    pub struct Result;
    pub struct Sender;
    pub struct Server;
    pub struct Some;
    pub struct String;
    pub struct Vec;
    pub trait Clone {}
    pub trait Debug {}
    pub trait From {}
    pub trait Into {}
    pub trait Send {}
    pub trait Sized {}
    pub trait Sync {}

    #[::unix_ipc::ipc_service]
    pub trait Shadowed {
        fn by_value(&self, number: u8, list: ::std::vec::Vec<u8>) -> ::std::string::String;
        fn borrowed(&self, text: &str, bytes: &[u8], path: &::std::path::Path, number: &u8);
        fn optional(
            &self,
            text: ::core::option::Option<&str>,
            bytes: ::core::option::Option<&[u8]>,
            path: ::core::option::Option<&::std::path::Path>,
        );
        fn fallible(&self) -> ::core::result::Result<u8, u8>;
        fn io(&self) -> ::std::io::Result<u8>;
        fn exclusive(&mut self);
        #[oneway]
        fn oneway(&self, text: &str);
    }

    #[::unix_ipc::ipc_service]
    pub trait Shared {
        fn call(&self);
    }
}

fn main() {}
