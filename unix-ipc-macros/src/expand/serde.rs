//! How serde's derive on the task reaches the user's types.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{LitStr, Type};

use super::{docs, types};
use crate::model::{Passing, Service, Unsized};

/// The path of serde for `#[serde(crate = "..")]`: the user's crate need not depend on it.
pub(super) fn library(service: &Service) -> String {
    format!("{}::__private::serde", docs::library(service))
}

/// `#[serde(serialize_with = "<T as Message>::serialize", ..)]`, which points at the type.
///
/// All that is asked of a type is written as `<T as Message>::..` at the type's place: the errors about
/// one that is no message are then the same, and rustc shows one.
pub(super) fn attribute(service: &Service, passing: &Passing) -> Option<TokenStream> {
    let ty = types::message(passing)?;
    let suffix = match passing {
        Passing::Value(_) | Passing::Reference(_) | Passing::Context => "",
        Passing::OptionalUnsized(_) => "_optional_slice",
        Passing::Unsized(Unsized::Str | Unsized::Path | Unsized::Slice(_)) => "_slice",
    };
    let message = message(service, ty);
    let function = |name: &str| LitStr::new(&format!("{message}::{name}{suffix}"), types::place(ty));
    let (serialize, deserialize) = (function("serialize"), function("deserialize"));
    Some(quote!(#[serde(serialize_with = #serialize, deserialize_with = #deserialize)]))
}

/// `<T as Message>` as text, or `Message` alone where the type is not text: `$crate`, which a
/// `macro_rules!` may have left in it, means nothing in a literal. Serde's code then infers the type.
fn message(service: &Service, ty: &Type) -> String {
    let library = docs::library(service);
    if names_a_macro_crate(ty.to_token_stream()) {
        return format!("{library}::__private::Message");
    }
    format!("<{} as {library}::__private::Message>", ty.to_token_stream())
}

fn names_a_macro_crate(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => names_a_macro_crate(group.stream()),
        TokenTree::Ident(name) => name == "$crate",
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
