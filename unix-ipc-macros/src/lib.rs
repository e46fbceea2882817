//! The `#[ipc_service]` attribute of the `unix-ipc` crate, which documents and re-exports it.
#![forbid(unsafe_code)]

mod args;
mod attributes;
mod check;
mod errors;
mod expand;
mod model;
mod names;
mod parse;
mod text;

#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemTrait;

use crate::errors::Errors;
use crate::model::Service;

/// Turns a trait into a service: a task enum, a client and a server.
///
/// `unix_ipc::ipc_service` is where this is documented.
#[proc_macro_attribute]
pub fn ipc_service(args: proc_macro::TokenStream, input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    transform(args.into(), &input.into()).into()
}

/// Everything the attribute does, on tokens that tests can make.
fn transform(args: TokenStream, input: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let Some((mut item, service)) = read(args, input, &mut errors) else { return errors.emit(input) };
    // The trait is emitted in any case, and without `#[oneway]` and `#[idempotent]`, so that its impls compile
    // and the only errors are its own.
    attributes::remove_own(&mut item);
    if errors.any() {
        return errors.emit(&item);
    }
    let generated = expand::service(&service);
    quote!(#item #generated)
}

/// The trait and what it means, which is to be expanded only if there were no errors.
fn read(args: TokenStream, input: &TokenStream, errors: &mut Errors) -> Option<(ItemTrait, Service)> {
    let library = args::parse(args, errors);
    let item = match parse::trait_item(input.clone()) {
        Ok(item) => item,
        Err(error) => {
            errors.add(error);
            return None;
        }
    };
    let service = parse::service(&item, library, errors);
    check::service(&service, errors);
    Some((item, service))
}
