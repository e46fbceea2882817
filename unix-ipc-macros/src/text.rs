//! Types and tokens as text: in the signatures that two processes compare, and in messages.
//!
//! The text must be the same whatever compiler printed it, so nothing here is left to the spacing of
//! `TokenStream::to_string`.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    AngleBracketedGenericArguments, Expr, ExprLit, ExprPath, GenericArgument, Lit, Path, PathArguments, Type,
    TypePath, TypeReference,
};

use crate::model::{Argument, Method, Passing, Reply, Unsized};
use crate::names;

/// What two processes compare: `divide(a: i64, b: i64) -> Result<i64, DivideError>`.
pub(crate) fn signature(method: &Method) -> String {
    let arguments: Vec<String> = method.arguments.iter().filter_map(argument).collect();
    let call = format!("{}({})", method.plain_name(), arguments.join(", "));
    match method.reply.as_ref().map(|reply| owned(Reply::written(reply))) {
        None => format!("oneway {call}"),
        Some(unit) if unit == "()" => call,
        Some(written) => format!("{call} -> {written}"),
    }
}

/// `line: String`.
fn argument(argument: &Argument) -> Option<String> {
    let held = match &argument.passing {
        Passing::Context => return None,
        Passing::Value(ty) | Passing::Reference(ty) => owned(ty),
        Passing::Unsized(referent) => held(referent),
        Passing::OptionalUnsized(referent) => format!("Option<{}>", held(referent)),
    };
    Some(format!("{}: {held}", names::plain(&argument.name)))
}

fn held(referent: &Unsized) -> String {
    match referent {
        Unsized::Str => "String".to_owned(),
        Unsized::Path => "PathBuf".to_owned(),
        Unsized::Slice(item) => format!("Vec<{}>", owned(item)),
    }
}

/// The type with last path segments only, and what owns in the place of what borrows.
pub(crate) fn owned(ty: &Type) -> String {
    Form::Owned.text(ty)
}

/// The type with last path segments only.
pub(crate) fn written(ty: &Type) -> String {
    Form::Written.text(ty)
}

/// A type that is an argument, with what owns in the place of what borrows *inside* it: `&[String]`.
pub(crate) fn owned_inside(ty: &Type) -> String {
    match ty {
        Type::Reference(reference) => format!("&{}", owned(&reference.elem)),
        ty => owned(ty),
    }
}

/// A type's name for a message: `Vec<..>`, `&[..]`, `[..]`, `(..)`.
pub(crate) fn outline(ty: &Type) -> String {
    match ty {
        Type::Path(TypePath { path, .. }) => match path.segments.last() {
            Some(segment) if segment.arguments.is_none() => names::plain(&segment.ident),
            Some(segment) => format!("{}<..>", names::plain(&segment.ident)),
            None => String::new(),
        },
        Type::Reference(reference) => format!("&{}", outline(&reference.elem)),
        Type::Slice(_) | Type::Array(_) => "[..]".to_owned(),
        Type::Tuple(_) => "(..)".to_owned(),
        ty => written(ty),
    }
}

/// How a reference is written.
#[derive(Clone, Copy)]
enum Form {
    Owned,
    Written,
}

impl Form {
    fn text(self, ty: &Type) -> String {
        match ty {
            Type::Group(group) => self.text(&group.elem),
            Type::Paren(paren) => self.text(&paren.elem),
            Type::Path(TypePath { path, .. }) => self.path(path),
            Type::Reference(reference) => self.reference(reference),
            Type::Slice(slice) => format!("[{}]", self.text(&slice.elem)),
            Type::Array(array) => format!("[{}; {}]", self.text(&array.elem), constant(&array.len)),
            Type::Tuple(tuple) => {
                let items: Vec<String> = tuple.elems.iter().map(|item| self.text(item)).collect();
                match items.as_slice() {
                    [only] => format!("({only},)"),
                    items => format!("({})", items.join(", ")),
                }
            }
            ty => tokens(ty),
        }
    }

    fn path(self, path: &Path) -> String {
        let Some(last) = path.segments.last() else { return tokens(path) };
        let name = names::plain(&last.ident);
        match &last.arguments {
            PathArguments::None => name,
            PathArguments::AngleBracketed(arguments) => format!("{name}<{}>", self.arguments(arguments)),
            PathArguments::Parenthesized(arguments) => format!("{name}{}", tokens(arguments)),
        }
    }

    fn arguments(self, arguments: &AngleBracketedGenericArguments) -> String {
        let arguments: Vec<String> = arguments.args.iter().map(|argument| self.generic(argument)).collect();
        arguments.join(", ")
    }

    fn generic(self, argument: &GenericArgument) -> String {
        match argument {
            GenericArgument::Type(ty) => self.text(ty),
            GenericArgument::Const(value) => constant(value),
            GenericArgument::Lifetime(lifetime) => lifetime.to_string(),
            argument => tokens(argument),
        }
    }

    fn reference(self, reference: &TypeReference) -> String {
        match self {
            Self::Owned => owned_referent(&reference.elem),
            Self::Written => {
                let lifetime =
                    reference.lifetime.as_ref().map_or(String::new(), |lifetime| format!("{lifetime} "));
                let mutable = if reference.mutability.is_some() { "mut " } else { "" };
                format!("&{lifetime}{mutable}{}", self.text(&reference.elem))
            }
        }
    }
}

/// What owns a value of the type behind a reference.
pub(crate) fn owned_referent(ty: &Type) -> String {
    match ty {
        Type::Slice(slice) => format!("Vec<{}>", owned(&slice.elem)),
        ty => match owned(ty).as_str() {
            "str" => "String".to_owned(),
            "Path" => "PathBuf".to_owned(),
            "OsStr" => "OsString".to_owned(),
            "CStr" => "CString".to_owned(),
            referent => referent.to_owned(),
        },
    }
}

/// The length of an array or a constant parameter.
fn constant(value: &Expr) -> String {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Int(literal), .. }) => literal.base10_digits().to_owned(),
        Expr::Path(ExprPath { path, .. }) => Form::Written.path(path),
        value => tokens(value),
    }
}

/// A path as it is written, without its arguments.
pub(crate) fn path(path: &Path) -> String {
    let segments: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
    segments.join("::")
}

/// Any tokens, with one space between each two.
fn tokens(tokens: &impl ToTokens) -> String {
    let mut words = Vec::new();
    collect_words(tokens.to_token_stream(), &mut words);
    words.join(" ")
}

fn collect_words(tokens: TokenStream, words: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = delimiters(group.delimiter());
                words.extend(open.map(str::to_owned));
                collect_words(group.stream(), words);
                words.extend(close.map(str::to_owned));
            }
            TokenTree::Ident(name) => words.push(names::plain(&name)),
            token => words.push(token.to_string()),
        }
    }
}

fn delimiters(delimiter: Delimiter) -> (Option<&'static str>, Option<&'static str>) {
    match delimiter {
        Delimiter::Parenthesis => (Some("("), Some(")")),
        Delimiter::Brace => (Some("{"), Some("}")),
        Delimiter::Bracket => (Some("["), Some("]")),
        Delimiter::None => (None, None),
    }
}
