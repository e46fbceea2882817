//! How an argument's type is written by the task, which holds it, and by the client, which takes it.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Type, TypePath};

use crate::model::{Passing, Service, Unsized};

/// `&str` → `String`, `&[T]` → `Vec<T>`, `Option<&Path>` → `Option<PathBuf>`, `&T` → `T`.
pub(super) fn held(service: &Service, passing: &Passing) -> TokenStream {
    match passing {
        Passing::Context => context(service),
        Passing::Value(ty) | Passing::Reference(ty) => quote!(#ty),
        Passing::Unsized(referent) => held_referent(referent),
        Passing::OptionalUnsized(referent) => {
            let held = held_referent(referent);
            quote!(::core::option::Option<#held>)
        }
    }
}

fn held_referent(referent: &Unsized) -> TokenStream {
    match referent {
        Unsized::Str => quote!(::std::string::String),
        Unsized::Path => quote!(::std::path::PathBuf),
        Unsized::Slice(item) => quote!(::std::vec::Vec<#item>),
    }
}

/// The type as the user wrote it, without lifetimes: nothing that the client returns has one.
pub(super) fn taken(service: &Service, passing: &Passing) -> TokenStream {
    match passing {
        Passing::Context => {
            let context = context(service);
            quote!(&#context)
        }
        Passing::Value(ty) => quote!(#ty),
        Passing::Reference(ty) => quote!(&#ty),
        Passing::Unsized(referent) => borrowed(referent),
        Passing::OptionalUnsized(referent) => {
            let borrowed = borrowed(referent);
            quote!(::core::option::Option<#borrowed>)
        }
    }
}

fn context(service: &Service) -> TokenStream {
    let library = &service.library;
    quote!(#library::CallContext)
}

fn borrowed(referent: &Unsized) -> TokenStream {
    match referent {
        Unsized::Str => quote!(&::core::primitive::str),
        Unsized::Path => quote!(&::std::path::Path),
        Unsized::Slice(item) => quote!(&[#item]),
    }
}

/// The type of the user's that must be a message, if there is one.
pub(super) fn message(passing: &Passing) -> Option<&Type> {
    match passing {
        Passing::Value(ty) | Passing::Reference(ty) => Some(ty),
        Passing::Unsized(referent) | Passing::OptionalUnsized(referent) => match referent {
            Unsized::Slice(item) => Some(item),
            Unsized::Str | Unsized::Path => None,
        },
        Passing::Context => None,
    }
}

/// `<T as Message>`, all of it at the place where an error about the argument's type points.
///
/// Serde's attributes take a literal, which has the place of one token. Were the other uses of the type
/// underlined to its end, rustc would show two errors for one type.
pub(super) fn as_message(service: &Service, ty: &Type) -> TokenStream {
    let library = &service.library;
    let place = place(ty);
    let ty = moved_to(place, quote!(#ty));
    quote_spanned!(place=> <#ty as #library::__private::Message>)
}

/// The one token that stands for the type: its name without the path before it.
pub(super) fn place(ty: &Type) -> Span {
    match ty {
        Type::Path(TypePath { path, .. }) => {
            path.segments.last().map_or_else(|| ty.span(), |last| last.ident.span())
        }
        ty => ty.span(),
    }
}

/// The tokens, all at one place; what they mean stays as it is.
fn moved_to(place: Span, tokens: TokenStream) -> TokenStream {
    tokens.into_iter().map(|token| move_to(place, token)).collect()
}

fn move_to(place: Span, mut token: TokenTree) -> TokenTree {
    if let TokenTree::Group(group) = &token {
        let mut moved = Group::new(group.delimiter(), moved_to(place, group.stream()));
        moved.set_span(group.span());
        token = TokenTree::Group(moved);
    }
    token.set_span(token.span().located_at(place));
    token
}
