//! Peers that do not keep to the protocol, written by hand on a bare socket: against a server, against a client, in
//! this process and in another.

#[path = "../util/mod.rs"]
mod util;

mod against_clients;
mod against_servers;
mod floods;
mod wire;
