//! Many calls over one client: from many threads, begun and not waited for, timed out, refused, at the same time in
//! both directions.

#[path = "../util/mod.rs"]
mod util;

mod both_ways;
mod limits;
mod many;
mod timeouts;
mod worker;
