//! The server: an implementation of the trait, called by other processes.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::docs::{self, link_to};
use super::task::local;
use crate::model::Service;

/// ```text
/// Output:  pub struct CalculatorServer<S> { inner: Server<S, CalculatorTask> }
/// ```
pub(super) fn structure(service: &Service) -> TokenStream {
    let (library, visibility) = (&service.library, &service.visibility);
    let (server, task, parameter) = (service.server(), service.task(), parameter(service));
    let sentence = format!(
        "Server of [`{}`]: calls the methods of an `{parameter}` for its clients.",
        service.plain_name()
    );
    let docs = docs::of_type(service, &sentence);
    quote! {
        #docs
        #visibility struct #server<#parameter> { inner: #library::__private::Server<#parameter, #task> }
    }
}

/// The name of the type parameter, which must not hide the trait.
fn parameter(service: &Service) -> Ident {
    if service.name == "S" { format_ident!("Service") } else { format_ident!("S") }
}

/// The server's methods and traits.
pub(super) fn impls(service: &Service) -> TokenStream {
    let (server, name, parameter) = (service.server(), &service.name, parameter(service));
    let workers = workers(service, &parameter);
    let methods = [
        new(service, &parameter),
        pre_serve(service),
        serve(service),
        listen(service),
        stopping(service),
        access(service, &parameter),
    ];
    let shown = server.to_string();
    let formatter = local("formatter");
    quote! {
        impl<#parameter: #name> #server<#parameter> { #(#methods)* #workers }

        #[automatically_derived]
        impl<#parameter> ::core::fmt::Debug for #server<#parameter> {
            fn fmt(&self, #formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::DebugStruct::finish_non_exhaustive(
                    &mut ::core::fmt::Formatter::debug_struct(#formatter, #shown),
                )
            }
        }
    }
}

/// ```text
/// Output:  pub fn new(service: S) -> Self
/// ```
fn new(service: &Service, parameter: &Ident) -> TokenStream {
    let (library, visibility) = (&service.library, &service.visibility);
    let dispatch = dispatch(service, service.exclusive());
    let docs = docs::of_shortcut(&["A server that calls the methods of `service`."]);
    quote! {
        #docs
        #[must_use]
        #visibility fn new(service: #parameter) -> Self {
            Self { inner: #library::__private::Server::new(service, #dispatch) }
        }
    }
}

/// The function that the library calls with a service and a task.
fn dispatch(service: &Service, exclusive: bool) -> TokenStream {
    let (task, on, with) = (service.task(), local("service"), local("task"));
    let lent = if exclusive { quote!(#on) } else { quote!(&*#on) };
    quote!(|#on, #with| #task::dispatch(#with, #lent))
}

/// ```text
/// Output:  pub fn pre_serve(self, hook: impl FnOnce() -> io::Result<()> + Send + 'static) -> Self
/// ```
fn pre_serve(service: &Service) -> TokenStream {
    let (library, visibility) = (&service.library, &service.visibility);
    let docs = docs::of_shortcut(&[
        "The same server, which runs `hook` once, before it serves: the place to give up what serving does not need.",
        "",
        "`serve` runs it, in its own thread and before there are workers, when the client has introduced itself and fits, and",
        "introduces itself after it: so whoever waits for that, as `spawn` does, knows that it has run. `listen` runs it before",
        &format!(
            "the first client is accepted. Of several hooks all run, in the order given. {} has the system calls that serving",
            link_to(service, "sandbox")
        ),
        "needs from then on.",
        "",
        "An error of the hook is what `serve` and `listen` return; a client is told, and hung up on.",
    ]);
    quote! {
        #docs
        #[must_use]
        #visibility fn pre_serve(
            self,
            hook: impl ::core::ops::FnOnce() -> ::std::io::Result<()> + ::core::marker::Send + 'static,
        ) -> Self {
            Self { inner: #library::__private::Server::pre_serve(self.inner, hook) }
        }
    }
}

/// ```text
/// Output:  pub fn serve(&mut self, connection: Connection) -> Result<(), ServeError>
/// ```
fn serve(service: &Service) -> TokenStream {
    let (library, visibility) = (&service.library, &service.visibility);
    let docs = docs::of_shortcut(&[
        "Serves one client, in this thread and until it hangs up.",
        "",
        "# Errors",
        "",
        &format!("A {} that says why the connection ended before that.", link_to(service, "ServeError")),
    ]);
    quote! {
        #docs
        #visibility fn serve(
            &mut self,
            connection: #library::Connection,
        ) -> ::core::result::Result<(), #library::ServeError> {
            #library::__private::Server::serve(&mut self.inner, connection)
        }
    }
}

/// ```text
/// Output:  pub fn listen(&mut self, listener: &Listener) -> Result<(), ServeError>
/// ```
fn listen(service: &Service) -> TokenStream {
    let (library, visibility) = (&service.library, &service.visibility);
    let docs = docs::of_shortcut(&[
        &format!(
            "Serves every client that connects to the listener, in this thread and until {}.",
            link_to(service, "Listener::close")
        ),
        "",
        "A client that breaks the protocol is hung up on, and the others are served on.",
        "",
        "# Errors",
        "",
        &format!("A {} where no more clients can be accepted.", link_to(service, "ServeError")),
    ]);
    quote! {
        #docs
        #visibility fn listen(
            &mut self,
            listener: &#library::Listener,
        ) -> ::core::result::Result<(), #library::ServeError> {
            #library::__private::Server::listen(&mut self.inner, listener)
        }
    }
}

/// ```text
/// Output:  pub fn stopper(&mut self) -> io::Result<Stopper>
///          pub fn shutdown_on_sigterm(self, timeout: Duration) -> io::Result<Self>
/// ```
fn stopping(service: &Service) -> TokenStream {
    let (library, visibility) = (&service.library, &service.visibility);
    let shutdown = link_to(service, "Stopper::shutdown");
    let stopper = docs::of_shortcut(&[
        &format!(
            "What ends this server from another thread or a handler, by {shutdown}: asked for before it serves."
        ),
        "",
        "# Errors",
        "",
        "What eventfd(2) says.",
    ]);
    let on_sigterm = docs::of_shortcut(&[
        &format!(
            "The same server, which SIGTERM ends as {shutdown} does, with so much time for the calls that run."
        ),
        "",
        "From then on the signal does not end the process: `serve` or `listen` returns, and what comes behind it runs. It is for the",
        "process as a whole, up to 16 servers, and replaces a handler that was there.",
        "",
        "# Errors",
        "",
        "What eventfd(2) and sigaction(2) say.",
    ]);
    quote! {
        #stopper
        #visibility fn stopper(&mut self) -> ::std::io::Result<#library::Stopper> {
            #library::__private::Server::stopper(&mut self.inner)
        }

        #on_sigterm
        #visibility fn shutdown_on_sigterm(
            self,
            timeout: ::core::time::Duration,
        ) -> ::std::io::Result<Self> {
            ::core::result::Result::Ok(Self {
                inner: #library::__private::Server::shutdown_on_sigterm(self.inner, timeout)?,
            })
        }
    }
}

/// ```text
/// Output:  pub fn workers(self, n: usize) -> Self where S: Send + Sync
/// ```
///
/// Missing where a method takes `&mut self`: its calls cannot overlap.
fn workers(service: &Service, parameter: &Ident) -> Option<TokenStream> {
    if service.exclusive() {
        return None;
    }
    let (library, visibility) = (&service.library, &service.visibility);
    let dispatch = dispatch(service, true);
    let docs = docs::of_shortcut(&["A server that runs up to `n` calls at the same time, each in a thread."]);
    Some(quote! {
        #docs
        #[must_use]
        #visibility fn workers(self, n: ::core::primitive::usize) -> Self
        where
            #parameter: ::core::marker::Send + ::core::marker::Sync,
        {
            Self { inner: #library::__private::Server::workers(self.inner, n, #dispatch) }
        }
    })
}

/// ```text
/// Output:  pub fn service(&self) -> &S     pub fn into_inner(self) -> S
/// ```
fn access(service: &Service, parameter: &Ident) -> TokenStream {
    let (library, visibility) = (&service.library, &service.visibility);
    let borrow = docs::of_shortcut(&["The service whose methods are called."]);
    let take = docs::of_shortcut(&["Gives the service back."]);
    quote! {
        #borrow
        #[must_use]
        #visibility fn service(&self) -> &#parameter {
            #library::__private::Server::service(&self.inner)
        }

        #take
        #[must_use]
        #visibility fn into_inner(self) -> #parameter {
            #library::__private::Server::into_inner(self.inner)
        }
    }
}
