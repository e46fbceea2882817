//! Which borrowed arguments a task can own: `&str`, `&Path`, `&[T]`, `&T`, and options of the first three.

use syn::{GenericArgument, Path, PathArguments, PathSegment, Type, TypeReference};

use super::method::Context;
use super::owned::{self, Place};
use crate::errors::Errors;
use crate::model::{Passing, Unsized};
use crate::text;

/// How an argument of this type is passed, or nothing where it cannot be; `errors` says why.
pub(super) fn passing(ty: &Type, context: Context<'_>, errors: &mut Errors) -> Option<Passing> {
    let ty = plain(ty);
    if let Type::Reference(reference) = ty {
        return borrowed(ty, reference, context, errors);
    }
    if let Some((whole, reference)) = option_of_reference(ty)
        && let Some(referent) = unsized_referent(&reference.elem)
    {
        check_items(whole, &referent, context, errors);
        return is_lendable(reference, errors).then_some(Passing::OptionalUnsized(referent));
    }
    if unsized_referent(ty).is_some_and(|referent| !matches!(referent, Unsized::Path)) {
        let written = text::written(ty);
        errors.at(ty, format_args!("`{written}` has no size of its own -- write `&{written}`"));
        return None;
    }
    if is_context(ty) {
        errors.at(ty, "the context of a call is lent to the handler -- write `&CallContext`");
        return None;
    }
    owned::check(ty, Place::Argument(context), errors);
    Some(Passing::Value(ty.clone()))
}

/// `&str`, `&Path`, `&[T]`, `&T`.
fn borrowed(
    whole: &Type,
    reference: &TypeReference,
    context: Context<'_>,
    errors: &mut Errors,
) -> Option<Passing> {
    if !is_lendable(reference, errors) {
        return None;
    }
    if let Some(referent) = unsized_referent(&reference.elem) {
        check_items(whole, &referent, context, errors);
        return Some(Passing::Unsized(referent));
    }
    let referent = plain(&reference.elem);
    if is_context(referent) {
        return Some(Passing::Context);
    }
    if let Some(message) = refusal(referent) {
        errors.at(reference, message);
        return None;
    }
    owned::check(referent, Place::Argument(context), errors);
    Some(Passing::Reference(referent.clone()))
}

/// `CallContext`, wherever it is imported from.
fn is_context(ty: &Type) -> bool {
    let Type::Path(ty) = ty else { return false };
    ty.qself.is_none()
        && ty.path.segments.last().is_some_and(|last| last.ident == "CallContext" && last.arguments.is_none())
}

/// `str`, `Path` and `[T]`, which the task holds in another form.
fn unsized_referent(ty: &Type) -> Option<Unsized> {
    match plain(ty) {
        Type::Slice(slice) => Some(Unsized::Slice(Box::new(plain(&slice.elem).clone()))),
        Type::Path(ty) if ty.qself.is_none() && is_std(&ty.path, "str", "primitive") => Some(Unsized::Str),
        Type::Path(ty) if ty.qself.is_none() && is_std(&ty.path, "Path", "path") => Some(Unsized::Path),
        _ => None,
    }
}

/// Whether this is std's item and no other of that name: written alone or behind its own module.
fn is_std(path: &Path, name: &str, module: &str) -> bool {
    let mut segments = path.segments.iter().rev();
    let is_named = segments.next().is_some_and(|last| last.ident == name && last.arguments.is_none());
    is_named && segments.next().is_none_or(|before| before.ident == module)
}

/// The items of a slice are like any type inside another.
fn check_items(whole: &Type, referent: &Unsized, context: Context<'_>, errors: &mut Errors) {
    if let Unsized::Slice(item) = referent {
        owned::check_inside(whole, item, Place::Argument(context), errors);
    }
}

/// Refuses what no reference into another process can be: exclusive, or valid for ever.
fn is_lendable(reference: &TypeReference, errors: &mut Errors) -> bool {
    if reference.mutability.is_some() {
        let written = text::written(&reference.elem);
        let owned = text::owned_referent(&reference.elem);
        let message =
            format!("`&mut {written}` cannot reach into another process -- take `{owned}` and return it");
        errors.at(reference, message);
        return false;
    }
    if reference.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static") {
        let written = text::written(&reference.elem);
        errors.at(reference, format_args!("nothing from another process is `'static` -- write `&{written}`"));
        return false;
    }
    true
}

/// Why a reference to this type cannot be an argument although the type may be.
fn refusal(referent: &Type) -> Option<String> {
    match referent {
        Type::Reference(_) => {
            let written = text::written(referent);
            Some(format!("references cannot stand inside `&..` here -- use `{written}`"))
        }
        Type::Path(ty) => match ty.path.segments.last() {
            Some(PathSegment { ident, arguments }) if ident == "Receiver" && !arguments.is_none() => {
                Some("a receiver has one owner -- pass it by value".to_owned())
            }
            Some(PathSegment { ident, .. }) if ident == "OsStr" || ident == "CStr" => {
                let owned = text::owned_referent(referent);
                Some(format!("`&{ident}` has no owned form here -- use `&{owned}`"))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The reference in `Option<&T>`, beside the type that both are in.
fn option_of_reference(ty: &Type) -> Option<(&Type, &TypeReference)> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|last| last.ident == "Option")?;
    match only_type_argument(last).map(plain) {
        Some(Type::Reference(reference)) => Some((ty, reference)),
        _ => None,
    }
}

fn only_type_argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    let mut arguments = arguments.args.iter();
    match (arguments.next(), arguments.next()) {
        (Some(GenericArgument::Type(ty)), None) => Some(ty),
        _ => None,
    }
}

/// The type without parentheses and without the invisible group around a macro's `$t:ty`.
pub(super) fn plain(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => plain(&group.elem),
        Type::Paren(paren) => plain(&paren.elem),
        ty => ty,
    }
}
