//! The client: the methods of the trait, called in another process.

use proc_macro2::TokenStream;
use quote::quote;

use super::task::local;
use super::{docs, method, shortcuts};
use crate::model::Service;

/// ```text
/// Output:  pub struct CalculatorClient { inner: Client<CalculatorTask> }
/// ```
pub(super) fn structure(service: &Service) -> TokenStream {
    let (library, visibility) = (&service.library, &service.visibility);
    let (client, task, deprecated) = (service.client(), service.task(), &service.forwarded.deprecated);
    let sentence =
        format!("Client of [`{}`]: sends a [`{task}`] and waits for its reply.", service.plain_name());
    let docs = docs::of_type(service, &sentence);
    quote! {
        #docs
        #(#deprecated)*
        #visibility struct #client { inner: #library::__private::Client<#task> }
    }
}

/// The client's methods and traits.
pub(super) fn impls(service: &Service) -> TokenStream {
    let client = service.client();
    let shortcuts = shortcuts::all(service);
    let waiting = service.methods.iter().map(|of| method::waiting(service, of));
    let beginning = service.methods.iter().filter_map(|of| {
        let cfgs = shortcuts::unless_method(service, &of.begin_name())?;
        let beginning = method::beginning(service, of)?;
        Some(quote!(#cfgs #beginning))
    });
    let traits = traits(service);
    quote! {
        impl #client {
            #shortcuts
            #(#waiting)*
            #(#beginning)*
        }
        #traits
    }
}

/// ```text
/// Output:  impl Clone for CalculatorClient { .. }     impl Debug for CalculatorClient { .. }
///          impl From<Connection> for CalculatorClient { .. }
///          impl Serialize for CalculatorClient { .. } impl<'de> Deserialize<'de> for CalculatorClient { .. }
///          impl ServiceClient for CalculatorClient { type Task = CalculatorTask; .. }
/// ```
///
/// Written out because each is the inner client's, whatever the task's type is.
fn traits(service: &Service) -> TokenStream {
    let (library, client, task) = (&service.library, service.client(), service.task());
    let serde = quote!(#library::__private::serde);
    let (formatter, connection) = (local("formatter"), local("connection"));
    let (serializer, deserializer) = (local("serializer"), local("deserializer"));
    let inner = local("inner");
    quote! {
        #[automatically_derived]
        impl ::core::clone::Clone for #client {
            fn clone(&self) -> Self {
                Self { inner: ::core::clone::Clone::clone(&self.inner) }
            }
        }

        #[automatically_derived]
        impl ::core::fmt::Debug for #client {
            fn fmt(&self, #formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Debug::fmt(&self.inner, #formatter)
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<#library::Connection> for #client {
            fn from(#connection: #library::Connection) -> Self {
                Self { inner: ::core::convert::From::from(#connection) }
            }
        }

        #[automatically_derived]
        impl #library::__private::Sealed for #client {}

        #[automatically_derived]
        impl #library::ServiceClient for #client {
            type Task = #task;

            fn __from_inner(#inner: #library::__private::Client<#task>) -> Self {
                Self { inner: #inner }
            }

            fn __inner(&self) -> &#library::__private::Client<#task> {
                &self.inner
            }
        }

        #[automatically_derived]
        impl #serde::Serialize for #client {
            fn serialize<__S: #serde::Serializer>(
                &self,
                #serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                #serde::Serialize::serialize(&self.inner, #serializer)
            }
        }

        #[automatically_derived]
        impl<'de> #serde::Deserialize<'de> for #client {
            fn deserialize<__D: #serde::Deserializer<'de>>(
                #deserializer: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                ::core::result::Result::map(
                    #serde::Deserialize::deserialize(#deserializer),
                    |#inner| Self { inner: #inner },
                )
            }
        }
    }
}
