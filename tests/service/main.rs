//! A trait with every shape of method, called in a real child and in a thread.

#[path = "../util/mod.rs"]
mod util;

mod bytes;
mod descriptors;
mod names;
mod shapes;
mod values;
