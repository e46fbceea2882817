//! How the two ends introduce themselves, and what follows from it.

use serde::{Deserialize, Serialize};

use super::task::Method;
use crate::codec::{self, Arrived, Encoder};
use crate::error::{LimitExceeded, ProtocolError};
use crate::limits::Limits;

/// The version of the protocol, raised when a peer of an older one could misread a packet.
pub(crate) const VERSION: u32 = 1;

/// The bytes an introduction begins with, so that no other program's first packet is taken for one.
const MAGIC: [u8; 8] = *b"unix-ipc";

/// The longest introduction, in bytes: thousands of methods fit, and no more memory than that goes to a stranger's.
const MOST_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Role {
    Client,
    Server,
}

/// One end's introduction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) role: Role,
    pub(crate) service: String,
    pub(crate) methods: Vec<Signature>,
    /// For what the text of a signature does not say; 0 for now.
    pub(crate) shape: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Signature {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Hello {
    pub(crate) fn new(role: Role, service: &str, methods: &[Method]) -> Self {
        let signature = |method: &Method| Signature {
            name: method.name().to_owned(),
            text: method.signature().to_owned(),
        };
        Self { role, service: service.to_owned(), methods: methods.iter().map(signature).collect(), shape: 0 }
    }

    pub(crate) fn encode(&self) -> Encoder<'static> {
        let mut encoder = Encoder::new();
        let encoded =
            encoder.put(&MAGIC).and_then(|()| encoder.put(&VERSION)).and_then(|()| encoder.put(self));
        debug_assert!(encoded.is_ok(), "strings and numbers always encode");
        encoder
    }

    /// Reads the other end's introduction. The version is looked at before anything that depends on it.
    pub(crate) fn decode(body: &[u8], limits: &Limits) -> Result<Self, ProtocolError> {
        if body.len() > MOST_BYTES {
            let (actual, limit) = (body.len() as u64, MOST_BYTES as u64);
            return Err(ProtocolError::Body(LimitExceeded::MessageBytes { actual, limit }.to_string()));
        }
        let Some((magic, rest)) = body.split_first_chunk::<8>() else {
            return Err(ProtocolError::Order("an introduction without its first bytes"));
        };
        let Some((version, rest)) = rest.split_first_chunk::<4>() else {
            return Err(ProtocolError::Order("an introduction without a version"));
        };
        if *magic != MAGIC {
            return Err(ProtocolError::Order("an introduction with other first bytes"));
        }
        let theirs = u32::from_le_bytes(*version);
        if theirs != VERSION {
            return Err(ProtocolError::Version { ours: VERSION, theirs });
        }
        codec::decode(rest, Arrived::default(), limits)
            .map_err(|error| ProtocolError::Body(error.to_string()))
    }

    /// Whether the two ends fit: one client and one server of the same service.
    pub(crate) fn check(&self, theirs: &Self) -> Result<(), ProtocolError> {
        if self.role == theirs.role {
            return Err(ProtocolError::Role);
        }
        if self.service != theirs.service {
            let (ours, theirs) = (self.service.clone(), theirs.service.clone());
            return Err(ProtocolError::Service { ours, theirs });
        }
        Ok(())
    }

    /// Which of our methods each of theirs is, by name, or why there is none.
    pub(crate) fn match_methods(&self, theirs: &Self) -> Vec<Result<u32, Mismatch>> {
        theirs.methods.iter().map(|method| self.find(method)).collect()
    }

    fn find(&self, method: &Signature) -> Result<u32, Mismatch> {
        let named = (0u32..).zip(&self.methods).find(|(_, ours)| ours.name == method.name);
        match named {
            Some((number, ours)) if ours.text == method.text => Ok(number),
            found => {
                Err(Mismatch { ours: found.map(|(_, ours)| ours.text.clone()), theirs: method.text.clone() })
            }
        }
    }
}

/// A method that one end has and the other has not, or not so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// The signature of the same name here, if there is one.
    pub(crate) ours: Option<String>,
    /// The signature there.
    pub(crate) theirs: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADD: Method = Method::new("add", "add(a: i64, b: i64) -> i64", false);
    const ADD_THREE: Method = Method::new("add", "add(a: i64, b: i64, c: i64) -> i64", false);
    const LOG: Method = Method::new("log", "oneway log(line: String)", true);

    fn hello(role: Role, methods: &[Method]) -> Hello {
        Hello::new(role, "Calculator", methods)
    }

    #[test]
    fn an_introduction_comes_back_as_it_was() {
        let hello = hello(Role::Client, &[ADD, LOG]);
        assert_eq!(Hello::decode(&hello.encode().finish().0, &Limits::default()), Ok(hello));
    }

    #[test]
    fn p62_reordered_and_added_methods_match_by_name() {
        let client = hello(Role::Client, &[ADD, LOG]);
        let server = hello(Role::Server, &[LOG, Method::new("new_one", "new_one()", false), ADD]);
        assert_eq!(server.match_methods(&client), [Ok(2), Ok(0)]);
    }

    #[test]
    fn a_missing_and_a_different_method_are_told_apart() {
        let client = hello(Role::Client, &[ADD, LOG]);
        let server = hello(Role::Server, &[ADD_THREE]);
        let different = Mismatch {
            ours: Some("add(a: i64, b: i64, c: i64) -> i64".to_owned()),
            theirs: "add(a: i64, b: i64) -> i64".to_owned(),
        };
        let missing = Mismatch { ours: None, theirs: "oneway log(line: String)".to_owned() };
        assert_eq!(server.match_methods(&client), [Err(different), Err(missing)]);
    }

    #[test]
    fn another_version_is_refused_before_its_body_is_read() {
        let mut body = hello(Role::Client, &[ADD]).encode().finish().0;
        body.truncate(12);
        body[8] = 9;
        let expected = ProtocolError::Version { ours: VERSION, theirs: 9 };
        assert_eq!(Hello::decode(&body, &Limits::default()), Err(expected));
    }

    #[test]
    fn every_cut_introduction_is_an_error() {
        let body = hello(Role::Client, &[ADD, LOG]).encode().finish().0;
        for length in 0..body.len() {
            assert!(Hello::decode(&body[..length], &Limits::default()).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn p32_an_introduction_above_a_mebibyte_is_refused_before_it_is_read() {
        let mut body = hello(Role::Client, &[ADD]).encode().finish().0;
        body.resize(MOST_BYTES + 1, 0);
        let refused = Hello::decode(&body, &Limits::default()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "a body that does not decode: the message has 1048577 bytes, the limit is 1048576"
        );
    }

    #[test]
    fn two_clients_and_two_services_do_not_fit() {
        let client = hello(Role::Client, &[ADD]);
        assert_eq!(client.check(&client), Err(ProtocolError::Role));
        let other = Hello::new(Role::Server, "Clock", &[]);
        assert!(matches!(client.check(&other), Err(ProtocolError::Service { .. })));
        assert_eq!(client.check(&hello(Role::Server, &[])), Ok(()));
    }
}
