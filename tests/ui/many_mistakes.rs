// Every mistake is reported in one build, and an implementation of the trait brings no more.
use unix_ipc::{Receiver, ipc_service};

#[ipc_service(clone)]
pub trait Calc<T> {
    const ONE: u8;
    fn none(number: u8) -> u8;
    unsafe fn danger(&self);
    fn generic<U>(&self, value: U);
    fn exclusive(&self, value: &mut u8) -> &str;
    fn nested(&self, list: Vec<&str>, stream: &Receiver<u8>);
    fn wild(&self, _: u8);
    fn own(&self, other: &Self);
    fn get_x(&self, reply: u8);
    fn get__x(&self);
    fn self_(&self);
    #[oneway]
    fn oneway(&self) -> u8;
}

pub struct Abacus;

impl Calc<u8> for Abacus {
    const ONE: u8 = 1;
    fn none(number: u8) -> u8 {
        number
    }
    unsafe fn danger(&self) {}
    fn generic<U>(&self, _: U) {}
    fn exclusive(&self, _: &mut u8) -> &str {
        ""
    }
    fn nested(&self, _: Vec<&str>, _: &Receiver<u8>) {}
    fn wild(&self, _: u8) {}
    fn own(&self, _: &Self) {}
    fn get_x(&self, _: u8) {}
    fn get__x(&self) {}
    fn self_(&self) {}
    fn oneway(&self) -> u8 {
        1
    }
}

fn main() {}
