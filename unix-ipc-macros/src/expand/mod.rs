//! From the model to code. Nothing here can fail: a service that reaches it has been checked.
//!
//! Every path starts with `::` or with the path of the library, so that no name of the user's is in the
//! way; locals start with `__` and are invisible to him by their span.

mod client;
mod docs;
mod method;
mod number;
mod serde;
mod server;
mod shortcuts;
mod task;
mod types;

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::Service;

/// Everything that is added beside the trait.
///
/// ```text
/// Input:   pub trait Calculator { .. }
/// Output:  pub enum CalculatorTask { .. }
///          pub struct CalculatorClient { .. }
///          pub struct CalculatorServer<S> { .. }
///          const _: () = { enum __Number { .. } impl .. };
/// ```
pub(crate) fn service(service: &Service) -> TokenStream {
    let number = number::enumeration(service);
    let impls = [task::impls(service), client::impls(service), server::impls(service)];
    let items = [
        task::enumeration(service),
        client::structure(service),
        server::structure(service),
        quote! {
            const _: () = {
                #number
                #(#impls)*
            };
        },
    ];
    let cfgs = &service.forwarded.cfgs;
    let lints = lints();
    items.into_iter().map(|item| quote!(#(#cfgs)* #lints #item)).collect()
}

/// The lints that what the user wrote may have been allowed to break, once, in the trait.
///
/// Generated code repeats his names, types and docs where that `allow` does not reach.
fn lints() -> TokenStream {
    quote! {
        #[allow(
            dead_code,
            deprecated,
            non_snake_case,
            clippy::box_collection,
            clippy::implied_bounds_in_impls,
            clippy::iter_not_returning_iterator,
            clippy::len_without_is_empty,
            clippy::linkedlist,
            clippy::option_option,
            clippy::redundant_allocation,
            clippy::too_many_arguments,
            clippy::type_complexity,
            clippy::used_underscore_binding,
            clippy::vec_box,
            rustdoc::broken_intra_doc_links,
            rustdoc::private_intra_doc_links,
        )]
    }
}
