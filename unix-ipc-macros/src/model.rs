//! What expansion works on: a service whose every part can be generated.

use proc_macro2::Ident;
use quote::format_ident;
use syn::{Attribute, Path, Type, Visibility};

use crate::names;

/// A trait that is a service.
pub(crate) struct Service {
    /// The path of the library, as generated code writes it.
    pub(crate) library: Path,
    pub(crate) visibility: Visibility,
    pub(crate) name: Ident,
    pub(crate) forwarded: Forwarded,
    pub(crate) methods: Vec<Method>,
}

impl Service {
    /// The name as it is sent and linked: without `r#`.
    pub(crate) fn plain_name(&self) -> String {
        names::plain(&self.name)
    }

    /// `CalculatorTask`.
    pub(crate) fn task(&self) -> Ident {
        task(&self.name)
    }

    /// `CalculatorClient`.
    pub(crate) fn client(&self) -> Ident {
        format_ident!("{}Client", self.name)
    }

    /// `CalculatorServer`.
    pub(crate) fn server(&self) -> Ident {
        format_ident!("{}Server", self.name)
    }

    /// Whether any method takes `&mut self`, and so all calls go one after another.
    ///
    /// A `cfg` on that method does not count: the shape of the server must not depend on it.
    pub(crate) fn exclusive(&self) -> bool {
        self.methods.iter().any(|method| method.exclusive)
    }
}

/// The task's name for a trait of this name.
pub(crate) fn task(name: &Ident) -> Ident {
    format_ident!("{name}Task")
}

/// One method of the service.
pub(crate) struct Method {
    pub(crate) name: Ident,
    /// The name in CamelCase.
    pub(crate) variant: Ident,
    pub(crate) forwarded: Forwarded,
    /// Takes `&mut self`.
    pub(crate) exclusive: bool,
    pub(crate) arguments: Vec<Argument>,
    /// What comes back; nothing where the method is `#[oneway]`.
    pub(crate) reply: Option<Reply>,
    /// May be called twice where once was meant.
    pub(crate) idempotent: bool,
}

impl Method {
    /// The name as it is sent and linked: without `r#`.
    pub(crate) fn plain_name(&self) -> String {
        names::plain(&self.name)
    }

    /// The arguments that are part of the message.
    pub(crate) fn sent(&self) -> impl Iterator<Item = &Argument> {
        self.arguments.iter().filter(|argument| !argument.is_context())
    }

    /// Whether the handler takes the call's context.
    pub(crate) fn has_context(&self) -> bool {
        self.arguments.iter().any(Argument::is_context)
    }

    /// The name of the client's method that does not wait.
    pub(crate) fn begin_name(&self) -> Ident {
        format_ident!("begin_{}", self.name)
    }
}

/// One argument of a method.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) passing: Passing,
}

impl Argument {
    pub(crate) fn is_context(&self) -> bool {
        matches!(self.passing, Passing::Context)
    }
}

/// How an argument is written, which decides what the task holds.
pub(crate) enum Passing {
    /// `T`
    Value(Type),
    /// `&T`
    Reference(Type),
    /// `&str`, `&Path`, `&[T]`
    Unsized(Unsized),
    /// `Option<&str>`, `Option<&Path>`, `Option<&[T]>`
    OptionalUnsized(Unsized),
    /// `&CallContext`, which the server makes: no part of the message.
    Context,
}

/// What has another type where it is owned.
pub(crate) enum Unsized {
    Str,
    Path,
    /// `[T]`
    Slice(Box<Type>),
}

/// What a method returns.
pub(crate) enum Reply {
    /// `R`; the unit type where nothing is written.
    Value(Type),
    /// A type whose last path segment is `Result`.
    Result {
        whole: Type,
        /// `T` and `E`, where both are written; a projection finds them where not.
        parts: Option<Box<Parts>>,
    },
}

/// `Result<T, E>`
pub(crate) struct Parts {
    pub(crate) value: Type,
    pub(crate) error: Type,
}

impl Reply {
    /// The return type as written.
    pub(crate) fn written(&self) -> &Type {
        match self {
            Self::Value(whole) | Self::Result { whole, .. } => whole,
        }
    }
}

/// The attributes that go from the trait or a method to what is made from it.
#[derive(Default)]
pub(crate) struct Forwarded {
    pub(crate) docs: Vec<Attribute>,
    /// On everything.
    pub(crate) cfgs: Vec<Attribute>,
    /// On the client alone: the server implements the trait and cannot help it.
    pub(crate) deprecated: Vec<Attribute>,
}
