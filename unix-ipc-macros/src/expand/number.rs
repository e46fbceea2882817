//! The numbers of the methods.

use proc_macro2::TokenStream;
use quote::quote;

use crate::model::{Method, Service};

/// A private enum whose variants count the methods that are there.
///
/// ```text
/// Output:  enum __Number { Add, #[cfg(unix)] Divide }
/// ```
///
/// The macro cannot count: it does not know which `cfg`s hold.
pub(super) fn enumeration(service: &Service) -> TokenStream {
    let variants = service.methods.iter().map(|method| {
        let (cfgs, variant) = (&method.forwarded.cfgs, &method.variant);
        quote!(#(#cfgs)* #variant)
    });
    quote! {
        enum __Number { #(#variants),* }
    }
}

/// The method's number.
pub(super) fn of(method: &Method) -> TokenStream {
    let variant = &method.variant;
    quote!(__Number::#variant as ::core::primitive::u32)
}
