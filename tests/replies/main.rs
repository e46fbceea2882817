//! Everything that can become of a reply: none, a panic, a death, one from elsewhere, one that is too large.

#[path = "../util/mod.rs"]
mod util;

mod answers;
mod ends;
mod forwarded;
mod senders;
