//! A trait that is not public, and of which nothing is used.
#![deny(warnings, dead_code, unreachable_pub)]

use unix_ipc::ipc_service;

#[ipc_service]
trait Unused {
    fn call(&self, text: &str) -> Result<u8, String>;
    #[oneway]
    fn oneway(&self);
}

mod inner {
    use unix_ipc::ipc_service;

    #[ipc_service]
    trait Exclusive {
        fn call(&mut self) -> u8;
    }

    #[ipc_service]
    pub(super) trait Super {
        fn call(&self);
    }

    #[ipc_service]
    pub(in crate::inner) trait In {
        fn call(&self);
    }
}

fn main() {
    let _: Option<inner::SuperClient> = None;
}
