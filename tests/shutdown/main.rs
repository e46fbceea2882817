//! Servers that end on purpose: asked by their client, by a thread of their own, or by SIGTERM; and news of an end without a call.

#[path = "../util/mod.rs"]
mod util;

mod client;
mod gone;
mod server;
mod service;
mod sigterm;
