//! How a method's name becomes a variant's.

use proc_macro2::Ident;
use syn::ext::IdentExt;

/// The name without `r#`: what is shown, sent and compared.
pub(crate) fn plain(name: &Ident) -> String {
    name.unraw().to_string()
}

/// `get_size` → `GetSize`, or nothing where that is not a name (`_1a`, `self_`).
///
/// Keeps the place of the method's name, so that what is said about the variant points at the method.
pub(crate) fn camel_case(name: &Ident) -> Option<Ident> {
    let words = plain(name);
    let camel: String = words.split('_').flat_map(capitalised).collect();
    let mut variant: Ident = syn::parse_str(&camel).ok()?;
    variant.set_span(name.span());
    Some(variant)
}

/// The word with its first letter in upper case.
fn capitalised(word: &str) -> impl Iterator<Item = char> {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters)
}

#[cfg(test)]
mod tests {
    use proc_macro2::{Ident, Span};

    fn camel_case(name: &str) -> Option<String> {
        let name = name.strip_prefix("r#").map_or_else(
            || Ident::new(name, Span::call_site()),
            |raw| Ident::new_raw(raw, Span::call_site()),
        );
        super::camel_case(&name).map(|variant| variant.to_string())
    }

    #[test]
    fn words_are_joined_with_capitals() {
        assert_eq!(camel_case("add").as_deref(), Some("Add"));
        assert_eq!(camel_case("get_size").as_deref(), Some("GetSize"));
        assert_eq!(camel_case("get__size_").as_deref(), Some("GetSize"));
        assert_eq!(camel_case("_hidden").as_deref(), Some("Hidden"));
        assert_eq!(camel_case("x_86_64").as_deref(), Some("X8664"));
        assert_eq!(camel_case("getSize").as_deref(), Some("GetSize"));
        assert_eq!(camel_case("über_setzen").as_deref(), Some("ÜberSetzen"));
    }

    #[test]
    fn a_raw_name_loses_its_prefix() {
        assert_eq!(camel_case("r#type").as_deref(), Some("Type"));
    }

    #[test]
    fn what_is_no_name_in_camel_case_has_none() {
        assert_eq!(camel_case("self_"), None);
        assert_eq!(camel_case("_1a"), None);
        assert_eq!(camel_case("__"), None);
    }
}
