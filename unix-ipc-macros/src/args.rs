//! The arguments of the attribute: `#[ipc_service(crate = "path")]`.

use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Lit, LitStr, Meta, Path, Token, parse_quote};

use crate::errors::Errors;

/// The path under which generated code finds the library.
pub(crate) fn parse(args: TokenStream, errors: &mut Errors) -> Path {
    let default = parse_quote!(::unix_ipc);
    let written = match Punctuated::<Meta, Token![,]>::parse_terminated.parse2(args) {
        Ok(written) => written,
        Err(error) => {
            errors.add(error);
            return default;
        }
    };
    let mut library = None;
    for argument in &written {
        let path = argument.path();
        if !path.is_ident("crate") {
            let name = crate::text::path(path);
            errors.at(path, format_args!("unknown argument `{name}`, expected `crate`"));
        } else if library.is_some() {
            errors.at(argument, "duplicate argument `crate`");
        } else {
            library = Some(library_path(argument, errors));
        }
    }
    library.flatten().unwrap_or(default)
}

/// The path in `crate = "path"`, or nothing where that is not what was written.
fn library_path(argument: &Meta, errors: &mut Errors) -> Option<Path> {
    let Some(literal) = string(argument) else {
        errors.at(argument, "`crate` takes a path in quotes -- write `crate = \"::unix_ipc\"`");
        return None;
    };
    match literal.parse_with(Path::parse_mod_style) {
        Ok(path) => Some(as_generated(path)),
        Err(_) => {
            errors.at(literal, "`crate` takes the path of the library -- write `crate = \"::unix_ipc\"`");
            None
        }
    }
}

/// Gives every token of the path the span of the attribute: lints on paths are for code that a person
/// wrote, and the path stands wherever generated code names the library.
fn as_generated(mut path: Path) -> Path {
    let span = Span::call_site();
    if let Some(colon) = &mut path.leading_colon {
        colon.spans = [span, span];
    }
    for mut pair in path.segments.pairs_mut() {
        pair.value_mut().ident.set_span(span);
        if let Some(colon) = pair.punct_mut() {
            colon.spans = [span, span];
        }
    }
    path
}

/// The string literal in `name = "literal"`.
fn string(argument: &Meta) -> Option<&LitStr> {
    match argument {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) => Some(literal),
            _ => None,
        },
        _ => None,
    }
}
