//! A method's `cfg` is on all that is made from it, and so is the trait's.
#![deny(warnings)]

use unix_ipc::ipc_service;

#[ipc_service]
pub trait Conditional {
    #[cfg(any())]
    fn never(&self, missing: Missing) -> Missing;
    #[cfg(all())]
    fn always(&self) -> u8;
    #[cfg(any())]
    #[oneway]
    fn never_oneway(&self, missing: &Missing);
    #[cfg(any())]
    fn either(&self, text: &str);
    #[cfg(not(any()))]
    fn either(&self, number: u8) -> u8;
    #[cfg(any())]
    fn exclusive(&mut self) -> Result<Missing, Missing>;
}

#[ipc_service]
pub trait Nothing {
    #[cfg(any())]
    fn never(&self);
}

#[ipc_service]
#[cfg(any())]
pub trait Never {
    fn call(&self, missing: Missing);
}

fn main() {}
