use std::os::fd::OwnedFd;

use crate::frame::Kind;

/// One whole message, as received.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    /// The call it is about; 0 where it is about none.
    #[cfg_attr(not(feature = "macros"), expect(dead_code, reason = "only a connection has calls"))]
    pub(crate) id: u64,
    pub(crate) body: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}
