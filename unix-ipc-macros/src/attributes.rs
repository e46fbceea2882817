//! The attributes in the trait: `#[oneway]`, which is taken out, and those that are forwarded.

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
    let Meta::List(list) = &attribute.meta else { return };
    if !list.path.is_ident("cfg_attr") {
        return;
    }
    // The condition comes first; behind each comma stands an attribute.
    let mut behind_comma = false;
    for token in list.tokens.clone() {
        let text = token.to_string();
        if behind_comma && (text == "oneway" || text == "cfg") {
            errors.at(
                token,
                format_args!("`{text}` cannot stand in `cfg_attr` -- write a method for each `#[cfg]`"),
            );
        }
        behind_comma = text == ",";
    }
}

/// Takes `#[oneway]` out of the trait: rustc does not know it.
pub(crate) fn remove_oneway(item: &mut ItemTrait) {
    for item in &mut item.items {
        if let TraitItem::Fn(method) = item {
            method.attrs.retain(|attribute| !is_oneway(attribute));
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
