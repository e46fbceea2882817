//! From the user's trait to the model. What cannot be part of a message is refused here, at its tokens;
//! the rest of the trait is read on, so that all mistakes are found at once.

mod borrow;
mod method;
mod owned;
mod reply;

use proc_macro2::{TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, Error, ItemTrait, Path, Token, TraitItem, Visibility};

use crate::attributes;
use crate::errors::Errors;
use crate::model::{self, Method, Service};

/// The trait under the attribute.
pub(crate) fn trait_item(input: TokenStream) -> syn::Result<ItemTrait> {
    let parse = |stream: ParseStream<'_>| {
        require_trait(&stream.fork())?;
        ItemTrait::parse(stream)
    };
    parse.parse2(input)
}

/// Points at the keyword of what is not a trait, which `ItemTrait` would call an unexpected token.
fn require_trait(ahead: ParseStream<'_>) -> syn::Result<()> {
    Attribute::parse_outer(ahead)?;
    Visibility::parse(ahead)?;
    Option::<Token![unsafe]>::parse(ahead)?;
    if ahead.peek(Token![trait]) || ahead.peek(Token![auto]) {
        return Ok(());
    }
    let keyword = TokenTree::parse(ahead)?;
    Err(Error::new_spanned(keyword, "`#[ipc_service]` can only be applied to a trait"))
}

/// The service that the trait describes, as far as it is sound: with errors, it lacks what they are about.
pub(crate) fn service(item: &ItemTrait, library: Path, errors: &mut Errors) -> Service {
    refuse_generics(item, errors);
    if item.items.is_empty() {
        errors.at(&item.ident, "`#[ipc_service]` trait has no methods");
    }
    Service {
        library,
        visibility: item.vis.clone(),
        name: item.ident.clone(),
        forwarded: attributes::forwarded(&item.attrs),
        methods: methods(item, errors),
    }
}

fn refuse_generics(item: &ItemTrait, errors: &mut Errors) {
    let task = model::task(&item.ident);
    if !item.generics.params.is_empty() {
        let message = format!(
            "an `#[ipc_service]` trait cannot be generic -- both processes must agree on one concrete `{task}`"
        );
        errors.at(&item.generics, message);
    }
    if let Some(clause) = &item.generics.where_clause {
        errors.at(
            clause,
            "an `#[ipc_service]` trait cannot have a `where` clause -- write the bounds as supertraits",
        );
    }
}

fn methods(item: &ItemTrait, errors: &mut Errors) -> Vec<Method> {
    let task = model::task(&item.ident);
    let mut methods = Vec::new();
    for item in &item.items {
        match item {
            TraitItem::Fn(written) => methods.extend(method::parse(written, &task, errors)),
            item => errors.at(item, "only methods are allowed in an `#[ipc_service]` trait"),
        }
    }
    methods
}
