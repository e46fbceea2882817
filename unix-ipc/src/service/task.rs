use serde::Serialize;
use serde::de::DeserializeOwned;

/// One call of a service, as [`#[ipc_service]`](crate::ipc_service) generates it: the method's name as the
/// variant, its arguments as fields, and the sender of its reply.
///
/// The trait is sealed: only generated enums implement it.
pub trait Task: Serialize + DeserializeOwned + Sealed {
    /// The name of the service, which is the name of the trait.
    const SERVICE: &'static str;
    /// The methods in the order of the variants.
    const METHODS: &'static [Method];
}

/// Implemented by generated code only.
pub trait Sealed {}

/// What the two ends of a connection compare about a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method {
    name: &'static str,
    signature: &'static str,
    oneway: bool,
    has_context: bool,
    idempotent: bool,
}

impl Method {
    /// A method: its name, its signature as text, and whether it has no reply.
    pub const fn new(name: &'static str, signature: &'static str, oneway: bool) -> Self {
        Self { name, signature, oneway, has_context: false, idempotent: false }
    }

    /// The same for a method that takes a [`CallContext`](crate::CallContext).
    #[must_use]
    pub const fn with_context(self) -> Self {
        Self { has_context: true, ..self }
    }

    /// The same method, marked `#[idempotent]`.
    #[must_use]
    pub const fn idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    /// The method's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The method's name, arguments and return type, in owned forms and without paths.
    pub const fn signature(&self) -> &'static str {
        self.signature
    }

    /// Whether the handler takes a [`CallContext`](crate::CallContext).
    pub const fn has_context(&self) -> bool {
        self.has_context
    }

    /// Whether the caller does not wait for a reply.
    pub const fn is_oneway(&self) -> bool {
        self.oneway
    }

    /// Whether a call whose answer did not come may be made once more, as a [`Pool`](crate::Pool) does. It is this
    /// process's business, so the two ends of a connection do not compare it.
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }
}
