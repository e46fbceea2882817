//! A method of the client: one that waits for the reply, and one that does not.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use super::task::local;
use super::{docs, number, types};
use syn::spanned::Spanned;

use crate::model::{Argument, Method, Parts, Passing, Reply, Service, Unsized};

/// ```text
/// Output:  pub fn add(&self, a: i64, b: i64) -> Result<i64, CallError> {
///              let mut call = Client::call(&self.inner, Number::Add as u32);
///              <i64 as Message>::argument(&a, &mut call);
///              <i64 as Message>::argument(&b, &mut call);
///              <i64 as Message>::wait(&mut call)
///          }
/// ```
pub(super) fn waiting(service: &Service, method: &Method) -> TokenStream {
    let library = &service.library;
    let docs = docs::of_call(service, method);
    let head = head(service, method, &method.name);
    let (value, error) = outcome(service, method);
    let call = call(service, method);
    let body = match &method.reply {
        None => quote!(#library::__private::Call::send(&mut #call)),
        Some(reply) => on_reply(service, reply, "wait", &call),
    };
    quote! {
        #docs
        #head -> ::core::result::Result<#value, #error> { #body }
    }
}

/// ```text
/// Output:  pub fn begin_add(&self, a: i64, b: i64) -> Result<Pending<i64>, CallError> { .. }
/// ```
pub(super) fn beginning(service: &Service, method: &Method) -> Option<TokenStream> {
    let library = &service.library;
    let reply = method.reply.as_ref()?;
    let docs = docs::of_begin(service, method);
    let head = head(service, method, &method.begin_name());
    let (_, error) = outcome(service, method);
    let pending = match value_and_error(service, reply) {
        (value, Some(own)) => quote!(#library::Pending<#value, #own>),
        (value, None) => quote!(#library::Pending<#value>),
    };
    let body = on_reply(service, reply, "begin", &call(service, method));
    Some(quote! {
        #docs
        #head -> ::core::result::Result<#pending, #error> { #body }
    })
}

/// Attributes, name and arguments.
fn head(service: &Service, method: &Method, name: &Ident) -> TokenStream {
    let visibility = &service.visibility;
    let (cfgs, deprecated) = (&method.forwarded.cfgs, &method.forwarded.deprecated);
    let arguments = method.sent().map(|argument| {
        let (name, taken) = (&argument.name, types::taken(service, &argument.passing));
        quote!(#name: #taken)
    });
    quote!(#(#cfgs)* #(#deprecated)* #visibility fn #name(&self, #(#arguments),*))
}

/// What the waiting method returns: the value, and the error of the call.
fn outcome(service: &Service, method: &Method) -> (TokenStream, TokenStream) {
    let library = &service.library;
    let (value, error) = match &method.reply {
        None => (quote!(()), None),
        Some(reply) => value_and_error(service, reply),
    };
    match error {
        Some(own) => (value, quote!(#library::CallError<#own>)),
        None => (value, quote!(#library::CallError)),
    }
}

/// What the method returns where it succeeds, and the service's own error.
fn value_and_error(service: &Service, reply: &Reply) -> (TokenStream, Option<TokenStream>) {
    let library = &service.library;
    match reply {
        Reply::Value(value) => (quote!(#value), None),
        Reply::Result { whole, parts: None } => {
            let projection = quote!(<#whole as #library::__private::ResultType>);
            (quote!(#projection::Ok), Some(quote!(#projection::Err)))
        }
        Reply::Result { parts: Some(parts), .. } => {
            let Parts { value, error } = &**parts;
            (quote!(#value), Some(quote!(#error)))
        }
    }
}

/// `<i64 as Message>::wait(&mut call)`
fn on_reply(service: &Service, reply: &Reply, function: &str, call: &TokenStream) -> TokenStream {
    let (library, written) = (&service.library, reply.written());
    let span = written.span();
    let function = Ident::new(function, span);
    let function = match reply {
        Reply::Value(_) => quote_spanned!(span=> <#written as #library::__private::Message>::#function),
        Reply::Result { .. } => {
            quote_spanned!(span=> <#written as #library::__private::Returned<_>>::#function)
        }
    };
    quote!(#function(&mut #call))
}

/// The call with its arguments: a block, because they are put into it one after another.
fn call(service: &Service, method: &Method) -> TokenStream {
    let (library, number, call) = (&service.library, number::of(method), local("call"));
    let mutable = method.sent().next().map(|_| quote!(mut));
    let arguments = method.sent().map(|argument| encode(service, argument));
    quote!({
        let #mutable #call = #library::__private::Client::call(&self.inner, #number);
        #(#arguments;)*
        #call
    })
}

/// Puts one argument more into the call.
fn encode(service: &Service, argument: &Argument) -> TokenStream {
    let (library, name, call) = (&service.library, &argument.name, local("call"));
    let call = quote!(&mut #call);
    let as_message = types::message(&argument.passing).map(|ty| types::as_message(service, ty));
    let on_call = quote!(#library::__private::Call);
    match &argument.passing {
        Passing::Value(_) => quote!(#as_message::argument(&#name, #call)),
        Passing::Reference(_) => quote!(#as_message::argument(#name, #call)),
        Passing::Unsized(Unsized::Slice(_)) => quote!(#as_message::slice_argument(#name, #call)),
        Passing::OptionalUnsized(Unsized::Slice(_)) => {
            quote!(#as_message::optional_slice_argument(#name, #call))
        }
        Passing::Context => quote!(),
        Passing::Unsized(Unsized::Str) => quote!(#on_call::str_argument(#call, #name)),
        Passing::Unsized(Unsized::Path) => quote!(#on_call::path_argument(#call, #name)),
        Passing::OptionalUnsized(Unsized::Str) => quote!(#on_call::optional_str_argument(#call, #name)),
        Passing::OptionalUnsized(Unsized::Path) => quote!(#on_call::optional_path_argument(#call, #name)),
    }
}
