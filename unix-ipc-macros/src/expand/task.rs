//! The task: a method's call as a value.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use syn::spanned::Spanned;

use super::{docs, serde, types};
use crate::model::{Argument, Method, Passing, Reply, Service};
use crate::{names, text};

/// ```text
/// Output:  pub enum CalculatorTask {
///              Add { a: i64, b: i64, reply: Sender<i64> },
///              Log { line: String },
///          }
/// ```
pub(super) fn enumeration(service: &Service) -> TokenStream {
    let (library, visibility, task) = (&service.library, &service.visibility, service.task());
    let sentence = format!(
        "One call of a method of [`{}`], with its arguments and the sender of its reply.",
        service.plain_name()
    );
    let docs = docs::of_type(service, &sentence);
    let serde_path = serde::library(service);
    let variants = service.methods.iter().map(|method| variant(service, method));
    quote! {
        #docs
        #[derive(#library::__private::serde::Serialize, #library::__private::serde::Deserialize)]
        #[serde(crate = #serde_path)]
        #visibility enum #task { #(#variants),* }
    }
}

fn variant(service: &Service, method: &Method) -> TokenStream {
    let docs = docs::of_variant(service, method);
    let (cfgs, variant) = (&method.forwarded.cfgs, &method.variant);
    let arguments = method.arguments.iter().map(|argument| field(service, argument));
    let reply = method.reply.as_ref().map(|reply| reply_field(service, reply));
    let fields: Vec<TokenStream> = arguments.chain(reply).collect();
    let body = (!fields.is_empty()).then(|| quote!({ #(#fields),* }));
    quote!(#docs #(#cfgs)* #variant #body)
}

fn field(service: &Service, argument: &Argument) -> TokenStream {
    let docs = match &argument.passing {
        Passing::Context => "What is known of the call; no part of the message.".to_owned(),
        _ => format!("The argument `{}`.", names::plain(&argument.name)),
    };
    let (name, held) = (&argument.name, types::held(service, &argument.passing));
    let with = serde::attribute(service, &argument.passing);
    quote!(#[doc = #docs] #with #name: #held)
}

fn reply_field(service: &Service, reply: &Reply) -> TokenStream {
    let (library, written) = (&service.library, reply.written());
    quote!(#[doc = "Takes the reply."]
        reply: #library::Sender<#written>)
}

/// The traits of the task, and what calls the method.
pub(super) fn impls(service: &Service) -> TokenStream {
    let debug = debug(service);
    let description = description(service);
    let dispatch = dispatch(service);
    quote!(#debug #description #dispatch)
}

/// ```text
/// Output:  impl Debug for CalculatorTask { .. "Add { .. }" .. }
/// ```
///
/// By name only: it asks nothing of the arguments.
fn debug(service: &Service) -> TokenStream {
    let (task, formatter) = (service.task(), local("formatter"));
    let arms = service.methods.iter().map(|method| {
        let (cfgs, variant) = (&method.forwarded.cfgs, &method.variant);
        let is_empty = method.arguments.is_empty() && method.reply.is_none();
        let shown = if is_empty { variant.to_string() } else { format!("{variant} {{ .. }}") };
        quote!(#(#cfgs)* Self::#variant { .. } => ::core::fmt::Formatter::write_str(#formatter, #shown))
    });
    // `*self`: without any method, by their `cfg`s, it has no arm, as only a place may.
    quote! {
        #[automatically_derived]
        impl ::core::fmt::Debug for #task {
            fn fmt(&self, #formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match *self { #(#arms),* }
            }
        }
    }
}

/// ```text
/// Output:  impl Task for CalculatorTask {
///              const SERVICE: &'static str = "Calculator";
///              const METHODS: &'static [Method] = &[Method::new("add", "add(a: i64, b: i64) -> i64", false)];
///          }
/// ```
fn description(service: &Service) -> TokenStream {
    let (library, task, name) = (&service.library, service.task(), service.plain_name());
    let methods = service.methods.iter().map(|method| {
        let cfgs = &method.forwarded.cfgs;
        let (name, signature, oneway) =
            (method.plain_name(), text::signature(method), method.reply.is_none());
        let context = method.has_context().then(|| quote!(.with_context()));
        let idempotent = method.idempotent.then(|| quote!(.idempotent()));
        let method = quote!(#library::__private::Method::new(#name, #signature, #oneway));
        quote!(#(#cfgs)* #method #context #idempotent)
    });
    quote! {
        #[automatically_derived]
        impl #library::__private::Sealed for #task {}

        #[automatically_derived]
        impl #library::Task for #task {
            const SERVICE: &'static ::core::primitive::str = #name;
            const METHODS: &'static [#library::__private::Method] = &[#(#methods),*];
        }
    }
}

/// ```text
/// Output:  impl CalculatorTask {
///              pub fn dispatch(self, service: &(impl Calculator + ?Sized)) {
///                  match self {
///                      Self::Add { a, b, reply } => <i64 as Message>::answer(reply, move || Calculator::add(service, a, b)),
///                      Self::Log { line } => Calculator::log(service, &line),
///                  }
///              }
///          }
/// ```
fn dispatch(service: &Service) -> TokenStream {
    let (visibility, name, task) = (&service.visibility, &service.name, service.task());
    let exclusive = service.exclusive().then(|| quote!(mut));
    let arms = service.methods.iter().map(|method| arm(service, method));
    let docs = docs::of_shortcut(&[
        &format!(
            "Calls the method of [`{}`] that the task stands for, and sends its reply.",
            service.plain_name()
        ),
        "",
        "A reply that nobody waits for any more is dropped.",
        "",
        "# Panics",
        "",
        "Where the method panics: the caller is told first, then the panic goes on.",
    ]);
    quote! {
        impl #task {
            #docs
            #visibility fn dispatch(self, service: &#exclusive (impl #name + ?::core::marker::Sized)) {
                match self { #(#arms),* }
            }
        }
    }
}

fn arm(service: &Service, method: &Method) -> TokenStream {
    let library = &service.library;
    let (cfgs, variant) = (&method.forwarded.cfgs, &method.variant);
    let fields = method.arguments.iter().map(|argument| {
        let (name, local) = (&argument.name, argument_local(argument));
        quote!(#name: #local)
    });
    let call = call(service, method);
    let Some(reply) = &method.reply else {
        return quote!(#(#cfgs)* Self::#variant { #(#fields),* } => #call);
    };
    let written = reply.written();
    let answer = match reply {
        Reply::Value(_) => {
            quote_spanned!(written.span()=> <#written as #library::__private::Message>::answer)
        }
        Reply::Result { .. } => {
            quote_spanned!(written.span()=> <#written as #library::__private::Returned<_>>::answer)
        }
    };
    let sender = local("reply");
    quote!(#(#cfgs)* Self::#variant { #(#fields,)* reply: #sender } => #answer(#sender, move || #call))
}

/// `Calculator::add(service, a, &b)`: by the trait's name, because the service may have a method of its own.
fn call(service: &Service, method: &Method) -> TokenStream {
    let (name, method_name) = (&service.name, &method.name);
    let arguments = method.arguments.iter().map(|argument| {
        let local = argument_local(argument);
        match &argument.passing {
            Passing::Value(_) => quote!(#local),
            Passing::Reference(_) | Passing::Unsized(_) | Passing::Context => quote!(&#local),
            Passing::OptionalUnsized(_) => quote!(::core::option::Option::as_deref(&#local)),
        }
    });
    quote!(#name::#method_name(service, #(#arguments),*))
}

/// A local of the generated code, which no name of the user's can be.
pub(super) fn local(name: &str) -> Ident {
    format_ident!("__{name}", span = Span::mixed_site())
}

/// The local that holds an argument: never the same as another local, whatever the argument is called.
fn argument_local(argument: &Argument) -> Ident {
    format_ident!("__argument_{}", argument.name, span = Span::mixed_site())
}
