//! Attributes of the trait, of its methods and of their arguments stay; `deprecated` goes to the client.
#![deny(warnings)]
#![deny(missing_docs)]

use unix_ipc::ipc_service;

/// What is deprecated.
#[ipc_service]
#[deprecated = "there is another"]
pub trait Old {
    /// Works.
    #[must_use]
    fn call(&self, #[allow(unused_variables)] number: u8) -> u8 {
        0
    }
}

/// What has deprecated methods.
#[ipc_service]
pub trait Newer {
    /// Worked.
    #[deprecated(since = "1.0", note = "there is another")]
    fn call(&self) -> u8;
    /// Works.
    #[doc(alias = "call")]
    #[cfg_attr(all(), allow(unused_variables))]
    fn other(&self, mut number: u8) -> u8 {
        number += 1;
        number
    }
    #[doc = concat!("Works", " too.")]
    #[doc(hidden)]
    fn third(&self);
}

/// Uses what is not deprecated, and says where it uses what is.
pub fn call(client: &NewerClient) {
    let _ = client.other(1);
    #[expect(deprecated)]
    let _ = client.call();
    #[expect(deprecated)]
    let _ = client.begin_call();
}

fn main() {}
