//! Collects the mistakes of a trait, so that one build shows them all.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::Error;

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    found: Option<Error>,
    left_to_rustc: bool,
}

impl Errors {
    /// A mistake, underlined at all of `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.add(Error::new_spanned(tokens, message));
    }

    /// A mistake that syn has already worded and placed.
    pub(crate) fn add(&mut self, error: Error) {
        match &mut self.found {
            Some(found) => found.combine(error),
            None => self.found = Some(error),
        }
    }

    /// The trait is wrong in a way that rustc reports at the same tokens: nothing is generated from it,
    /// and nothing is said twice.
    pub(crate) fn leave_to_rustc(&mut self) {
        self.left_to_rustc = true;
    }

    /// Whether the trait must not be expanded.
    pub(crate) fn any(&self) -> bool {
        self.found.is_some() || self.left_to_rustc
    }

    /// All that was found, as one error.
    pub(crate) fn into_error(self) -> Option<Error> {
        self.found
    }

    /// The errors, beside what the user wrote: what implements or uses it must not fail too.
    pub(crate) fn emit(self, written: &impl ToTokens) -> TokenStream {
        let errors = self.into_error().map(Error::into_compile_error);
        quote!(#errors #written)
    }
}
