//! Calls that nobody waits for any more: those whose time is over, those that were given up, and those of a client that is
//! gone. They are not begun, and a handler that runs hears of it.

#[path = "../util/mod.rs"]
mod util;
#[path = "../hostile_connection/wire.rs"]
mod wire;

mod ahead;
mod context;
mod given_up;
mod gone;
mod hostile;
mod nested;
mod own_loop;
mod refused;
mod service;
