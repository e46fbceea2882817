//! One method of the trait.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{
    FnArg, GenericParam, Pat, PatType, Receiver, ReceiverKind, ReturnType, Safety, Signature, TraitItemFn,
    Type,
};

use super::{borrow, reply};
use crate::attributes;
use crate::errors::Errors;
use crate::model::{Argument, Method};
use crate::names;

/// What a mistake in a signature is told with.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) method: &'a Ident,
    /// The name of the enum that the method becomes a variant of.
    pub(super) task: &'a Ident,
}

impl Context<'_> {
    /// Type parameters, and `impl Trait`, which is one without a name.
    pub(super) fn refuse_generic(self, tokens: impl ToTokens, errors: &mut Errors) {
        let (method, task) = (names::plain(self.method), self.task);
        errors.at(
            tokens,
            format_args!("method `{method}` cannot be generic -- it becomes one variant of `{task}`"),
        );
    }
}

/// The method, or nothing where its name or a part of it cannot be used; `errors` says why.
pub(super) fn parse(written: &TraitItemFn, task: &Ident, errors: &mut Errors) -> Option<Method> {
    let signature = &written.sig;
    let context = Context { method: &signature.ident, task };
    refuse_qualifiers(signature, errors);
    refuse_generics(signature, context, errors);
    refuse_self_type(signature, errors);
    let exclusive = receiver(signature, errors);
    let arguments = arguments(written, context, errors);
    let oneway = attributes::oneway(&written.attrs, errors);
    let idempotent = attributes::idempotent(&written.attrs, oneway, errors);
    let reply = if oneway {
        refuse_reply(&signature.output, errors);
        None
    } else {
        Some(reply::parse(&signature.output, errors))
    };
    let variant = variant(context, errors)?;
    Some(Method {
        name: signature.ident.clone(),
        variant,
        forwarded: attributes::forwarded(&written.attrs),
        exclusive: exclusive?,
        arguments,
        reply,
        idempotent,
    })
}

/// `unsafe`, `const`, `async` and `extern`; a variadic method is rustc's to refuse.
fn refuse_qualifiers(signature: &Signature, errors: &mut Errors) {
    let mut refuse = |keyword: &dyn ToTokens, name: &str| {
        errors.at(keyword, format_args!("`{name} fn` cannot be called from another process"));
    };
    if let Some(keyword) = &signature.constness {
        refuse(keyword, "const");
    }
    if let Some(keyword) = &signature.asyncness {
        refuse(keyword, "async");
    }
    if let Safety::Unsafe(keyword) = &signature.safety {
        refuse(keyword, "unsafe");
    }
    if let Some(abi) = &signature.abi {
        refuse(&abi.extern_token, "extern");
    }
    if signature.variadic.is_some() || matches!(signature.safety, Safety::Safe(_)) {
        errors.leave_to_rustc();
    }
}

/// Lifetimes may stay: nothing that the task holds has one.
fn refuse_generics(signature: &Signature, context: Context<'_>, errors: &mut Errors) {
    let generics = &signature.generics;
    if generics.params.iter().any(|parameter| !matches!(parameter, GenericParam::Lifetime(_))) {
        context.refuse_generic(generics, errors);
    }
    if let Some(clause) = &generics.where_clause {
        let (method, task) = (names::plain(context.method), context.task);
        let message =
            format!("method `{method}` cannot have a `where` clause -- it becomes one variant of `{task}`");
        errors.at(clause, message);
    }
}

/// `Self` and `Self::Item` anywhere behind the receiver.
fn refuse_self_type(signature: &Signature, errors: &mut Errors) {
    for argument in &signature.inputs {
        if let FnArg::Typed(argument) = argument {
            refuse_self_in(argument.ty.to_token_stream(), errors);
        }
    }
    if let ReturnType::Type(_, ty) = &signature.output {
        refuse_self_in(ty.to_token_stream(), errors);
    }
}

fn refuse_self_in(tokens: TokenStream, errors: &mut Errors) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if let TokenTree::Group(group) = &token {
            refuse_self_in(group.stream(), errors);
        }
        if !matches!(&token, TokenTree::Ident(name) if name == "Self") {
            continue;
        }
        // `Self::Item` is underlined to its end.
        let mut path = quote!(#token);
        let mut behind_colon = false;
        while let Some(next) = tokens.next_if(|next| continues_path(next, behind_colon)) {
            behind_colon = matches!(next, TokenTree::Punct(_));
            path.extend([next]);
        }
        errors.at(path, "`Self` cannot be used here -- the other process does not know the server's type");
    }
}

fn continues_path(token: &TokenTree, behind_colon: bool) -> bool {
    match token {
        TokenTree::Punct(punct) => punct.as_char() == ':',
        TokenTree::Ident(_) => behind_colon,
        TokenTree::Group(_) | TokenTree::Literal(_) => false,
    }
}

/// Whether the method takes `&mut self`, or nothing where it takes `self` in a way that a server cannot give.
fn receiver(signature: &Signature, errors: &mut Errors) -> Option<bool> {
    let name = names::plain(&signature.ident);
    let message =
        format!("method `{name}` must take `&self` or `&mut self` -- the server outlives each call");
    let Some(receiver) = signature.receiver() else {
        errors.at(&signature.ident, message);
        return None;
    };
    let exclusive = borrows_exclusively(receiver);
    if exclusive.is_none() {
        errors.at(receiver, message);
    }
    exclusive
}

/// `&mut self` and `&self`, in either notation.
fn borrows_exclusively(receiver: &Receiver) -> Option<bool> {
    match &receiver.kind {
        ReceiverKind::Reference(_, _, mutability) => Some(mutability.is_some()),
        ReceiverKind::Typed(_, ty) => match &**ty {
            Type::Reference(reference) => match &*reference.elem {
                Type::Path(referent) if referent.path.is_ident("Self") => {
                    Some(reference.mutability.is_some())
                }
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn arguments(written: &TraitItemFn, context: Context<'_>, errors: &mut Errors) -> Vec<Argument> {
    let mut arguments = Vec::new();
    for input in &written.sig.inputs {
        let FnArg::Typed(input) = input else { continue };
        refuse_conditional(input, errors);
        let name = argument_name(input, written.default.is_some(), context, errors);
        let passing = borrow::passing(&input.ty, context, errors);
        arguments.extend(name.zip(passing).map(|(name, passing)| Argument { name, passing }));
    }
    refuse_same_names(&arguments, written.default.is_some(), errors);
    arguments
}

/// With a body, rustc refuses this itself (E0415).
fn refuse_same_names(arguments: &[Argument], has_body: bool, errors: &mut Errors) {
    for (index, argument) in arguments.iter().enumerate() {
        let name = names::plain(&argument.name);
        if arguments.iter().take(index).all(|before| names::plain(&before.name) != name) {
            continue;
        }
        if has_body {
            errors.leave_to_rustc();
        } else {
            let message = format!("identifier `{name}` is bound more than once in this parameter list");
            errors.at(&argument.name, message);
        }
    }
}

/// The name of the task's field.
fn argument_name(
    input: &PatType,
    has_body: bool,
    context: Context<'_>,
    errors: &mut Errors,
) -> Option<Ident> {
    match &*input.pat {
        Pat::Ident(pattern) => return Some(pattern.ident.clone()),
        // Without a body, rustc itself refuses every pattern that is no name but `_` (E0642).
        pattern if !has_body && !matches!(pattern, Pat::Wild(_)) => errors.leave_to_rustc(),
        pattern => {
            let task = context.task;
            let variant = names::camel_case(context.method).unwrap_or_else(|| context.method.clone());
            errors.at(
                pattern,
                format_args!("argument needs a name -- it becomes a field of `{task}::{variant}`"),
            );
        }
    }
    None
}

/// The signature is part of what two processes compare, so an argument is there or it is not.
fn refuse_conditional(input: &PatType, errors: &mut Errors) {
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")) {
        errors.at(attribute, "an argument cannot have a `#[cfg]` -- write a method for each `#[cfg]`");
    }
}

fn refuse_reply(output: &ReturnType, errors: &mut Errors) {
    if let ReturnType::Type(_, ty) = output
        && !matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty())
    {
        errors.at(ty, "a `#[oneway]` method returns nothing -- the caller does not wait for it");
    }
}

fn variant(context: Context<'_>, errors: &mut Errors) -> Option<Ident> {
    let variant = names::camel_case(context.method);
    if variant.is_none() {
        let (name, task) = (names::plain(context.method), context.task);
        errors.at(
            context.method,
            format_args!("`{name}` has no CamelCase name for `{task}` -- rename the method"),
        );
    }
    variant
}
