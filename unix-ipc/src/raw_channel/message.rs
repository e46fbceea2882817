use std::os::fd::OwnedFd;

use super::Body;
use crate::frame::Kind;

/// One whole message, as received.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    /// The call it is about; 0 where it is about none.
    #[cfg_attr(not(feature = "macros"), expect(dead_code, reason = "only a connection has calls"))]
    pub(crate) id: u64,
    pub(crate) body: Body,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Message {
    /// A value of a plain channel, which has nothing beside it.
    pub(super) fn value(body: impl Into<Body>) -> Self {
        Self { kind: Kind::Value, id: 0, body: body.into(), descriptors: Vec::new() }
    }
}
