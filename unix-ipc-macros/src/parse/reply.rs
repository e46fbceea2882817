//! What a method returns.

use syn::{GenericArgument, PathArguments, ReturnType, Type, parse_quote};

use super::borrow::plain;
use super::owned::{self, Place};
use crate::errors::Errors;
use crate::model::{Parts, Reply};

/// The reply of a method that is not one-way.
pub(super) fn parse(output: &ReturnType, errors: &mut Errors) -> Reply {
    let ReturnType::Type(_, ty) = output else { return Reply::Value(parse_quote!(())) };
    let ty = plain(ty);
    owned::check(ty, Place::Reply, errors);
    if is_result(ty) {
        return Reply::Result { whole: ty.clone(), parts: result_parts(ty).map(Box::new) };
    }
    Reply::Value(ty.clone())
}

/// Whether the last path segment is `Result`: std's, or an alias that a crate named so.
fn is_result(ty: &Type) -> bool {
    match ty {
        Type::Path(ty) => ty.path.segments.last().is_some_and(|last| last.ident == "Result"),
        _ => false,
    }
}

/// `T` and `E`, where both are written and nothing else, and the path does not lead to somebody's alias, whose
/// parameters may be others.
fn result_parts(ty: &Type) -> Option<Parts> {
    let Type::Path(ty) = ty else { return None };
    let modules = ty.path.segments.iter().rev().skip(1);
    if !modules
        .zip([&["result"][..], &["std", "core"]])
        .all(|(module, names)| names.iter().any(|name| module.ident == name))
    {
        return None;
    }
    let PathArguments::AngleBracketed(arguments) = &ty.path.segments.last()?.arguments else { return None };
    let mut arguments = arguments.args.iter();
    match (arguments.next(), arguments.next(), arguments.next()) {
        (Some(GenericArgument::Type(value)), Some(GenericArgument::Type(error)), None) => {
            Some(Parts { value: value.clone(), error: error.clone() })
        }
        _ => None,
    }
}
