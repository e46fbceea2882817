//! The ways to a client, each left out where the trait has a method of that name.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Attribute, Meta};

use super::docs::{self, link_to};
use super::task::local;
use crate::model::Service;
use crate::names;

/// `new`, `spawn`, `connect`, `local`, `with_timeout`, `shutdown` and `wait_gone`.
pub(super) fn all(service: &Service) -> TokenStream {
    let shortcuts = [
        ("new", new(service)),
        ("spawn", spawn(service)),
        ("connect", connect(service)),
        ("local", local_thread(service)),
        ("with_timeout", with_timeout(service)),
        ("shutdown", shutdown(service)),
        ("wait_gone", wait_gone(service)),
    ];
    let kept = shortcuts.into_iter().filter_map(|(name, shortcut)| {
        let cfgs = unless_method(service, &format_ident!("{name}"))?;
        Some(quote!(#cfgs #shortcut))
    });
    quote!(#(#kept)*)
}

/// The `cfg`s under which the trait has no method of this name, or nothing where it always has one.
pub(super) fn unless_method(service: &Service, name: &Ident) -> Option<TokenStream> {
    let name = names::plain(name);
    let mut cfgs = TokenStream::new();
    for method in service.methods.iter().filter(|method| method.plain_name() == name) {
        let conditions: Vec<&TokenStream> = method.forwarded.cfgs.iter().filter_map(condition).collect();
        if conditions.is_empty() {
            return None;
        }
        cfgs.extend(quote!(#[cfg(not(all(#(#conditions),*)))]));
    }
    Some(cfgs)
}

/// The condition in `#[cfg(condition)]`.
fn condition(attribute: &Attribute) -> Option<&TokenStream> {
    match &attribute.meta {
        Meta::List(list) => Some(&list.tokens),
        _ => None,
    }
}

/// ```text
/// Output:  pub fn new(connection: Connection) -> Self
/// ```
fn new(service: &Service) -> TokenStream {
    let (library, visibility) = (&service.library, &service.visibility);
    let docs = docs::of_shortcut(&["The client of the service at the other end of the connection."]);
    quote! {
        #docs
        #[must_use]
        #visibility fn new(connection: #library::Connection) -> Self {
            Self { inner: #library::__private::Client::new(connection) }
        }
    }
}

/// ```text
/// Output:  pub fn spawn(command: impl BorrowMut<Command>) -> Result<Self, SpawnError>
/// ```
fn spawn(service: &Service) -> TokenStream {
    let (library, visibility) = (&service.library, &service.visibility);
    let error = link_to(service, "SpawnError");
    let inherited = link_to(service, "Connection::inherited");
    let docs = docs::of_shortcut(&[
        &format!("Starts the command as a child that serves what it gets from {inherited}."),
        "",
        "Returns when the child has answered; the last clone that is dropped hangs up.",
        "",
        "# Errors",
        "",
        &format!("A {error} where the child did not start, or is not such a service."),
    ]);
    quote! {
        #docs
        #visibility fn spawn(
            command: impl ::core::borrow::BorrowMut<::std::process::Command>,
        ) -> ::core::result::Result<Self, #library::SpawnError> {
            ::core::result::Result::Ok(Self { inner: #library::__private::Client::spawn(command)? })
        }
    }
}

/// ```text
/// Output:  pub fn connect(path: impl AsRef<Path>) -> Result<Self, ConnectError>
/// ```
fn connect(service: &Service) -> TokenStream {
    let (library, visibility) = (&service.library, &service.visibility);
    let (error, listener) = (link_to(service, "ConnectError"), link_to(service, "Listener"));
    let docs = docs::of_shortcut(&[
        &format!("Connects to the server whose {listener} is bound to the path."),
        "",
        "# Errors",
        "",
        &format!("A {error} where nobody listens there, or not with such a service."),
    ]);
    quote! {
        #docs
        #visibility fn connect(
            path: impl ::core::convert::AsRef<::std::path::Path>,
        ) -> ::core::result::Result<Self, #library::ConnectError> {
            ::core::result::Result::Ok(Self { inner: #library::__private::Client::connect(path)? })
        }
    }
}

/// ```text
/// Output:  pub fn local(service: impl Calculator + Send + 'static) -> io::Result<Self>
/// ```
fn local_thread(service: &Service) -> TokenStream {
    let (library, visibility, name, server) =
        (&service.library, &service.visibility, &service.name, service.server());
    let (connection, inner) = (local("connection"), local("inner"));
    let docs = docs::of_shortcut(&[
        "Serves from a thread of this process, for tests: calls are encoded, sent and decoded as ever.",
        "",
        "# Errors",
        "",
        "What the system says where there is no room for a connection or a thread.",
    ]);
    // How serving ended is the client's to see, in what became of its calls.
    quote! {
        #docs
        #visibility fn local(
            service: impl #name + ::core::marker::Send + 'static,
        ) -> ::std::io::Result<Self> {
            let #inner = #library::__private::Client::local(move |#connection| {
                ::core::mem::drop(#server::serve(&mut #server::new(service), #connection));
            })?;
            ::core::result::Result::Ok(Self { inner: #inner })
        }
    }
}

/// ```text
/// Output:  pub fn with_timeout(&self, timeout: Duration) -> Self
/// ```
fn with_timeout(service: &Service) -> TokenStream {
    let (library, visibility) = (&service.library, &service.visibility);
    let docs = docs::of_shortcut(&[
        "A client that shares this one's connection and waits for a reply no longer than `timeout`.",
        "",
        "The time of a call counts from its beginning. This client goes on without it.",
    ]);
    quote! {
        #docs
        #[must_use]
        #visibility fn with_timeout(&self, timeout: ::core::time::Duration) -> Self {
            Self { inner: #library::__private::Client::with_timeout(&self.inner, timeout) }
        }
    }
}

/// ```text
/// Output:  pub fn shutdown(&self, timeout: Duration) -> io::Result<PeerExit>
/// ```
fn shutdown(service: &Service) -> TokenStream {
    let (library, visibility) = (&service.library, &service.visibility);
    let error = link_to(service, "CallError::ShuttingDown");
    let docs = docs::of_shortcut(&[
        "Ends the process that serves, which this client or a clone of it spawned, and says how it ended.",
        "",
        &format!(
            "Calls that were made before are finished, if that takes no longer than `timeout`; new ones are refused with {error}."
        ),
        "A process that does not end in that time is hung up on, and killed when its grace is over, too.",
        "",
        "# Errors",
        "",
        "`Unsupported` where this client did not spawn its server; else what the system says.",
        "",
        "# Blocking",
        "",
        "Until the process has ended: for `timeout` and its grace at most, and the moment that killing it takes.",
    ]);
    quote! {
        #docs
        #visibility fn shutdown(
            &self,
            timeout: ::core::time::Duration,
        ) -> ::std::io::Result<#library::PeerExit> {
            #library::__private::Client::shutdown(&self.inner, timeout)
        }
    }
}

/// ```text
/// Output:  pub fn wait_gone(&self, timeout: Duration) -> Option<Gone>
/// ```
fn wait_gone(service: &Service) -> TokenStream {
    let (library, visibility) = (&service.library, &service.visibility);
    let docs = docs::of_shortcut(&[
        "Waits until the server is gone, without a call: how it went, or nothing where it is still there when the time is over.",
        "",
        "Several threads may wait, and calls go on beside them.",
        "",
        "# Blocking",
        "",
        "For `timeout` at most. Zero is for looking.",
    ]);
    quote! {
        #docs
        #visibility fn wait_gone(
            &self,
            timeout: ::core::time::Duration,
        ) -> ::core::option::Option<#library::Gone> {
            #library::__private::Client::wait_gone(&self.inner, timeout)
        }
    }
}
