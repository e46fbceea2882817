//! The library is found where `crate = ".."` says.
#![deny(warnings)]

mod api {
    pub extern crate unix_ipc as ipc;
}

mod absolute {
    #[crate::api::ipc::ipc_service(crate = "crate::api::ipc")]
    pub trait Absolute {
        fn call(&self, text: &str, number: u8) -> u8;
    }
}

mod relative {
    #[super::api::ipc::ipc_service(crate = "super::api::ipc")]
    pub trait Relative {
        fn call(&self, items: &[u8]) -> Result<u8, String>;
    }
}

mod trailing_comma {
    #[unix_ipc::ipc_service(crate = "::unix_ipc",)]
    pub trait TrailingComma {
        fn call(&self);
    }
}

mod no_arguments {
    #[unix_ipc::ipc_service()]
    pub trait NoArguments {
        fn call(&self);
    }
}

fn main() {
    let _: Option<(absolute::AbsoluteClient, relative::RelativeClient)> = None;
    let _: Option<(trailing_comma::TrailingCommaClient, no_arguments::NoArgumentsClient)> = None;
}
