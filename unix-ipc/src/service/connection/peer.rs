use crate::sys::receive::Credentials;

/// The process at the other end of a connection, as the kernel says.
///
/// Ids are those of this process's user and pid namespaces (credentials(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerCredentials {
    pid: i32,
    uid: u32,
    gid: u32,
}

impl PeerCredentials {
    /// The process's id; 0 where it has none here.
    ///
    /// The number may belong to another process once this one has ended.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The process's user.
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The process's group.
    pub fn gid(&self) -> u32 {
        self.gid
    }
}

impl From<Credentials> for PeerCredentials {
    fn from(credentials: Credentials) -> Self {
        Self { pid: credentials.pid, uid: credentials.uid, gid: credentials.gid }
    }
}
