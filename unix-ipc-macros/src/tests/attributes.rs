//! The arguments of the attribute, and the attributes in the trait.

use super::{assert_refused, expanded, expanded_with, mistakes, mistakes_with};

const TRAIT: &str = "trait Calc { fn call(&self); }";

#[test]
fn the_library_is_found_under_its_own_name() {
    assert!(expanded(TRAIT).contains("inner: ::unix_ipc::__private::Client<CalcTask>"));
    assert!(expanded(TRAIT).contains(r#"#[serde(crate = "::unix_ipc::__private::serde")]"#));
}

#[test]
fn the_library_is_found_where_the_argument_says() {
    let output = expanded_with(r#"crate = "crate::ipc""#, TRAIT);
    assert!(output.contains("inner: crate::ipc::__private::Client<CalcTask>"));
    assert!(output.contains(r#"#[serde(crate = "crate::ipc::__private::serde")]"#));
    assert!(output.contains("(crate::ipc::CallError)"));
    assert!(!output.contains("unix_ipc::"));
}

#[test]
fn an_unknown_argument_is_refused_at_its_name() {
    assert_eq!(mistakes_with("clone", TRAIT), ["1:0..5 unknown argument `clone`, expected `crate`"]);
    assert_eq!(
        mistakes_with(r#"crate = "a", task::name = "T""#, TRAIT),
        ["1:13..23 unknown argument `task::name`, expected `crate`"]
    );
}

#[test]
fn a_repeated_argument_is_refused_at_the_second() {
    assert_eq!(mistakes_with(r#"crate = "a", crate = "b""#, TRAIT), ["1:13..24 duplicate argument `crate`"]);
}

#[test]
fn a_malformed_argument_is_refused_with_what_to_write() {
    let quotes = r#"`crate` takes a path in quotes -- write `crate = "::unix_ipc"`"#;
    assert_eq!(mistakes_with("crate", TRAIT), [format!("1:0..5 {quotes}")]);
    assert_eq!(mistakes_with("crate = ipc", TRAIT), [format!("1:0..11 {quotes}")]);
    assert_eq!(mistakes_with("crate(ipc)", TRAIT), [format!("1:0..10 {quotes}")]);
    let path = r#"`crate` takes the path of the library -- write `crate = "::unix_ipc"`"#;
    assert_eq!(mistakes_with(r#"crate = """#, TRAIT), [format!("1:8..10 {path}")]);
    assert_eq!(mistakes_with(r#"crate = "a b""#, TRAIT), [format!("1:8..13 {path}")]);
    assert_eq!(mistakes_with(r#"crate = "a::<u8>""#, TRAIT), [format!("1:8..17 {path}")]);
}

#[test]
fn mistakes_of_the_arguments_and_of_the_trait_are_found_together() {
    assert_eq!(
        mistakes_with("clone", "trait Calc { const X: u8; fn f(&self); }"),
        [
            "1:0..5 unknown argument `clone`, expected `crate`",
            "1:13..25 only methods are allowed in an `#[ipc_service]` trait",
        ]
    );
}

#[test]
fn oneway_takes_no_arguments_and_stands_once_and_without_condition() {
    assert_refused("#[oneway(true)] fn f(&self);", &["0..15 `#[oneway]` takes no arguments"]);
    assert_refused("#[oneway] #[oneway] fn f(&self);", &["10..19 duplicate attribute `#[oneway]`"]);
    assert_refused(
        "#[cfg_attr(any(unix, windows), allow(unused), oneway)] fn f(&self);",
        &["46..52 `oneway` cannot stand in `cfg_attr` -- write a method for each `#[cfg]`"],
    );
    assert_refused(
        "#[cfg_attr(unix, cfg(windows))] fn f(&self);",
        &["17..20 `cfg` cannot stand in `cfg_attr` -- write a method for each `#[cfg]`"],
    );
}

#[test]
fn idempotent_takes_no_arguments_and_stands_once_and_without_condition() {
    assert_refused("#[idempotent(true)] fn f(&self);", &["0..19 `#[idempotent]` takes no arguments"]);
    assert_refused(
        "#[idempotent] #[idempotent] fn f(&self);",
        &["14..27 duplicate attribute `#[idempotent]`"],
    );
    assert_refused(
        "#[cfg_attr(unix, idempotent)] fn f(&self);",
        &["17..27 `idempotent` cannot stand in `cfg_attr` -- write a method for each `#[cfg]`"],
    );
}

#[test]
fn a_method_is_not_idempotent_and_oneway() {
    let message = "`#[idempotent]` cannot stand on a `#[oneway]` method -- \
                   nobody learns what became of its calls, so none is repeated";
    assert_refused("#[idempotent] #[oneway] fn f(&self);", &[&format!("0..13 {message}")]);
    assert_refused("#[oneway] #[idempotent] fn f(&self);", &[&format!("10..23 {message}")]);
}

#[test]
fn an_argument_has_no_condition() {
    assert_refused(
        "fn f(&self, #[cfg(unix)] a: u8);",
        &["12..24 an argument cannot have a `#[cfg]` -- write a method for each `#[cfg]`"],
    );
}

#[test]
fn attributes_of_ours_are_taken_out_of_a_trait_with_mistakes_too() {
    let output = expanded(
        "trait Calc { #[oneway] fn f(&self); #[cfg_attr(unix, oneway)] fn g(&self); \
         #[idempotent] fn h(&self); #[cfg_attr(unix, idempotent)] fn i(&self); }",
    );
    assert!(output.contains("compile_error!"));
    assert!(output.contains("fn f(&self);") && output.contains("fn h(&self);"));
    assert!(!output.contains("#[oneway]") && !output.contains("#[idempotent]"));
    assert!(!output.contains("#[cfg_attr"));
}

#[test]
fn the_condition_of_a_method_is_on_all_that_is_made_from_it() {
    let output = expanded("trait Calc { #[cfg(unix)] fn f(&self, a: &str) -> u8; fn g(&self); }");
    // Trait, variant, number, `Debug`, description, dispatch, the two methods of the client.
    assert_eq!(output.matches("#[cfg(unix)]").count(), 8);
}

#[test]
fn the_condition_of_the_trait_is_on_all_that_is_made_from_it() {
    let output = expanded("#[cfg(unix)] trait Calc { fn f(&self); }");
    // Trait, task, client, server, and the block with their impls.
    assert_eq!(output.matches("#[cfg(unix)]").count(), 5);
}

#[test]
fn deprecated_is_on_the_trait_and_its_client_alone() {
    let output = expanded("#[deprecated] trait Calc { fn f(&self); #[deprecated = \"old\"] fn g(&self); }");
    assert_eq!(output.matches("#[deprecated]").count(), 2);
    assert_eq!(output.matches("#[deprecated = \"old\"]").count(), 3);
}

#[test]
fn a_shortcut_is_left_out_where_the_trait_has_such_a_method() {
    let output = expanded("trait Calc { fn new(&self); fn call(&self); fn begin_call(&self); }");
    assert!(!output.contains("fn new(connection"));
    assert!(output.contains("fn spawn("));
    assert_eq!(output.matches("fn begin_call(").count(), 2);
    assert_eq!(output.matches("fn begin_begin_call(").count(), 1);
}

#[test]
fn a_shortcut_stands_where_the_method_of_its_name_does_not() {
    let output =
        expanded("trait Calc { #[cfg(a)] #[cfg(b)] fn spawn(&self); #[cfg(c)] fn spawn(&self, d: u8); }");
    let pretty = output.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(pretty.contains("#[cfg(not(all(a, b)))] #[cfg(not(all(c)))]"), "{output}");
}

#[test]
fn a_mistake_in_a_method_does_not_hide_those_of_the_next() {
    assert_eq!(
        mistakes("trait Calc {\nfn a(self);\nfn b(&self) -> &str;\n}"),
        [
            "2:5..9 method `a` must take `&self` or `&mut self` -- the server outlives each call",
            "3:15..19 `&str` cannot be returned from another process -- use `String`",
        ]
    );
}
