//! The attributes in the trait: `#[oneway]`, which is taken out, and those that are forwarded.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{Attribute, ItemTrait, Meta, TraitItem};

use crate::errors::Errors;
use crate::model::Forwarded;

/// Whether a method with these attributes is one-way.
pub(crate) fn oneway(attributes: &[Attribute], errors: &mut Errors) -> bool {
    let mut found = false;
    for attribute in attributes {
        if !is_oneway(attribute) {
            refuse_conditional(attribute, errors);
            continue;
        }
        if !matches!(attribute.meta, Meta::Path(_)) {
            errors.at(attribute, "`#[oneway]` takes no arguments");
        } else if found {
            errors.at(attribute, "duplicate attribute `#[oneway]`");
        }
        found = true;
    }
    found
}

/// `cfg_attr` is evaluated after this macro, which cannot know what it would have added.
fn refuse_conditional(attribute: &Attribute, errors: &mut Errors) {
    for name in conditional(attribute).filter(|name| name == "oneway" || name == "cfg") {
        errors.at(
            &name,
            format_args!("`{name}` cannot stand in `cfg_attr` -- write a method for each `#[cfg]`"),
        );
    }
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

/// Takes `#[oneway]` out of the trait: rustc does not know it.
pub(crate) fn remove_oneway(item: &mut ItemTrait) {
    let is_unknown =
        |attribute: &Attribute| is_oneway(attribute) || conditional(attribute).any(|name| name == "oneway");
    for item in &mut item.items {
        if let TraitItem::Fn(method) = item {
            method.attrs.retain(|attribute| !is_unknown(attribute));
        }
    }
}

fn is_oneway(attribute: &Attribute) -> bool {
    attribute.path().is_ident("oneway")
}

/// The attributes that what is made from the trait or a method has too.
pub(crate) fn forwarded(attributes: &[Attribute]) -> Forwarded {
    let named =
        |name: &str| attributes.iter().filter(|attribute| attribute.path().is_ident(name)).cloned().collect();
    Forwarded { docs: named("doc"), cfgs: named("cfg"), deprecated: named("deprecated") }
}
