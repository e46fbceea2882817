//! Limits that one listener's clients share: nobody who connects keeps another from its calls, and each refusal has its
//! number.

mod clients;
mod dead;
mod handshake;
mod oneways;
mod raw;
mod service;
mod starving;
#[path = "../util/mod.rs"]
mod util;
