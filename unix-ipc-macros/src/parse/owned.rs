//! What may stand inside a type that the task or the reply holds: nothing borrowed, nothing without a name.

use syn::{GenericArgument, PathArguments, Type, TypePath, TypeReference};

use super::borrow::plain;
use super::method::Context;
use crate::errors::Errors;
use crate::text;

/// Where a type stands.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Argument(Context<'a>),
    Reply,
}

/// Refuses what cannot be held, anywhere in the type.
pub(super) fn check(ty: &Type, place: Place<'_>, errors: &mut Errors) {
    check_in(None, ty, place, errors);
}

/// The same for a type inside another, which a message shows.
pub(super) fn check_inside(outer: &Type, ty: &Type, place: Place<'_>, errors: &mut Errors) {
    check_in(Some(outer), ty, place, errors);
}

fn check_in(outer: Option<&Type>, ty: &Type, place: Place<'_>, errors: &mut Errors) {
    let ty = plain(ty);
    match ty {
        Type::Reference(reference) => refuse_reference(outer, ty, reference, place, errors),
        Type::Path(path) => check_path(ty, path, place, errors),
        Type::Tuple(tuple) => {
            for item in &tuple.elems {
                check_inside(ty, item, place, errors);
            }
        }
        Type::Array(array) => check_inside(ty, &array.elem, place, errors),
        Type::Slice(slice) => check_inside(ty, &slice.elem, place, errors),
        Type::ImplTrait(_) => refuse_impl_trait(ty, place, errors),
        Type::TraitObject(_) => {
            errors.at(ty, "a `dyn` type cannot be sent to another process -- use a concrete type");
        }
        Type::Never(_) if matches!(place, Place::Reply) && outer.is_none() => {
            errors.at(ty, "a method that never returns has no reply -- write `#[oneway]` and no return type");
        }
        // `_` is no type of a signature, and `!` is not one elsewhere.
        Type::Infer(_) | Type::Never(_) => errors.leave_to_rustc(),
        // Function and raw pointers are not messages, which rustc says at the type. What a macro makes is
        // not known here.
        _ => {}
    }
}

fn check_path(ty: &Type, path: &TypePath, place: Place<'_>, errors: &mut Errors) {
    if let Some(qself) = &path.qself {
        check_inside(ty, &qself.ty, place, errors);
    }
    for segment in &path.path.segments {
        let PathArguments::AngleBracketed(arguments) = &segment.arguments else { continue };
        for argument in &arguments.args {
            match argument {
                GenericArgument::Type(inner) => check_inside(ty, inner, place, errors),
                GenericArgument::Lifetime(lifetime) => {
                    let outline = text::outline(ty);
                    errors.at(
                        lifetime,
                        format_args!("lifetimes cannot stand inside `{outline}` here -- use an owned type"),
                    );
                }
                _ => {}
            }
        }
    }
}

fn refuse_reference(
    outer: Option<&Type>,
    ty: &Type,
    reference: &TypeReference,
    place: Place<'_>,
    errors: &mut Errors,
) {
    match (place, outer) {
        (Place::Argument(_), Some(outer)) => {
            let (outline, instead) = (text::outline(outer), text::owned_inside(outer));
            errors.at(
                reference,
                format_args!("references cannot stand inside `{outline}` here -- use `{instead}`"),
            );
        }
        _ => {
            let (written, owned) = (text::written(ty), text::owned(ty));
            errors.at(
                reference,
                format_args!("`{written}` cannot be returned from another process -- use `{owned}`"),
            );
        }
    }
}

fn refuse_impl_trait(ty: &Type, place: Place<'_>, errors: &mut Errors) {
    match place {
        Place::Argument(context) => context.refuse_generic(ty, errors),
        Place::Reply => errors.at(ty, "`impl Trait` cannot be returned -- return `Receiver<T>`"),
    }
}
