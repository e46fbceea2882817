//! A trait may come out of a `macro_rules!`, in whole or in part.
#![deny(warnings)]

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Config;

macro_rules! service {
    ($name:ident, $method:ident, $argument:ident: $ty:ty, $borrowed:ty) => {
        #[unix_ipc::ipc_service]
        pub trait $name {
            fn $method(&self, $argument: $ty, mine: u8, borrowed: $borrowed) -> $ty;
            fn slice(&self, items: &[$ty], optional: Option<&[$ty]>) -> Result<$ty, String>;
            fn config(&self, config: $crate::Config, list: &[$crate::Config]) -> Vec<$crate::Config>;
        }
    };
}

service!(Numbers, number, mine_too: Option<u64>, &str);

fn main() {
    let _: Option<NumbersClient> = None;
}
