//! The attributes in the trait: `#[oneway]` and `#[idempotent]`, which are taken out, and those that are forwarded.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{Attribute, ItemTrait, Meta, TraitItem};

use crate::errors::Errors;
use crate::model::Forwarded;

const ONEWAY: &str = "oneway";
const IDEMPOTENT: &str = "idempotent";

/// Whether a method with these attributes is one-way.
pub(crate) fn oneway(attributes: &[Attribute], errors: &mut Errors) -> bool {
    for attribute in attributes.iter().filter(|attribute| own_name(attribute).is_none()) {
        refuse_conditional(attribute, errors);
    }
    find(attributes, ONEWAY, errors).is_some()
}

/// Whether a method with these attributes may be called twice where once was meant.
pub(crate) fn idempotent(attributes: &[Attribute], oneway: bool, errors: &mut Errors) -> bool {
    let Some(attribute) = find(attributes, IDEMPOTENT, errors) else { return false };
    if oneway {
        let message = "`#[idempotent]` cannot stand on a `#[oneway]` method -- \
                       nobody learns what became of its calls, so none is repeated";
        errors.at(attribute, message);
    }
    true
}

/// The first attribute with a name of ours, which stands once and alone.
fn find<'a>(attributes: &'a [Attribute], name: &str, errors: &mut Errors) -> Option<&'a Attribute> {
    let mut found = None;
    for attribute in attributes.iter().filter(|attribute| own_name(attribute) == Some(name)) {
        if !matches!(attribute.meta, Meta::Path(_)) {
            errors.at(attribute, format_args!("`#[{name}]` takes no arguments"));
        } else if found.is_some() {
            errors.at(attribute, format_args!("duplicate attribute `#[{name}]`"));
        }
        found = found.or(Some(attribute));
    }
    found
}

/// The attribute's name, if it is one that rustc does not know.
fn own_name(attribute: &Attribute) -> Option<&'static str> {
    [ONEWAY, IDEMPOTENT].into_iter().find(|name| attribute.path().is_ident(name))
}

/// `cfg_attr` is evaluated after this macro, which cannot know what it would have added.
fn refuse_conditional(attribute: &Attribute, errors: &mut Errors) {
    for name in conditional(attribute).filter(|name| is_own(name) || name == "cfg") {
        errors.at(
            &name,
            format_args!("`{name}` cannot stand in `cfg_attr` -- write a method for each `#[cfg]`"),
        );
    }
}

fn is_own(name: &Ident) -> bool {
    name == ONEWAY || name == IDEMPOTENT
}

/// The names of the attributes in a `cfg_attr`: what stands behind a comma, because a condition comes first.
fn conditional(attribute: &Attribute) -> impl Iterator<Item = Ident> {
    let list = match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg_attr") => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    let mut behind_comma = false;
    list.into_iter().filter_map(move |token| {
        let is_name = behind_comma;
        behind_comma = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',');
        match token {
            TokenTree::Ident(name) if is_name => Some(name),
            _ => None,
        }
    })
}

/// Takes `#[oneway]` and `#[idempotent]` out of the trait: rustc does not know them.
pub(crate) fn remove_own(item: &mut ItemTrait) {
    let is_unknown = |attribute: &Attribute| {
        own_name(attribute).is_some() || conditional(attribute).any(|name| is_own(&name))
    };
    for item in &mut item.items {
        if let TraitItem::Fn(method) = item {
            method.attrs.retain(|attribute| !is_unknown(attribute));
        }
    }
}

/// The attributes that what is made from the trait or a method has too.
pub(crate) fn forwarded(attributes: &[Attribute]) -> Forwarded {
    let named =
        |name: &str| attributes.iter().filter(|attribute| attribute.path().is_ident(name)).cloned().collect();
    Forwarded { docs: named("doc"), cfgs: named("cfg"), deprecated: named("deprecated") }
}
