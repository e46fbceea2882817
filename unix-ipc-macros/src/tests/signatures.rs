//! The text by which two processes agree on a method.

use crate::errors::Errors;
use crate::text;

/// The signature of a trait's only method.
fn signature(method: &str) -> String {
    let mut errors = Errors::default();
    let source = super::tokens(&format!("trait Calc {{ {method} }}"));
    let (_, service) = crate::read(super::tokens(""), &source, &mut errors).unwrap();
    assert!(!errors.any());
    text::signature(&service.methods[0])
}

#[test]
fn arguments_and_reply_are_in_standard_spacing() {
    assert_eq!(signature("fn add(&self,a:i64,b : i64)->i64;"), "add(a: i64, b: i64) -> i64");
    assert_eq!(
        signature("fn pair(&self, p: ( i64,i64 , ), one: (u8,)) -> [ u8;4 ];"),
        "pair(p: (i64, i64), one: (u8,)) -> [u8; 4]"
    );
    assert_eq!(signature("fn nested(&self) -> Option < Vec < u8 > >;"), "nested() -> Option<Vec<u8>>");
}

#[test]
fn a_unit_reply_is_left_out() {
    assert_eq!(signature("fn call(&self);"), "call()");
    assert_eq!(signature("fn call(&self) -> ();"), "call()");
    assert_eq!(signature("fn call(&mut self) -> Result<(), ()>;"), "call() -> Result<(), ()>");
}

#[test]
fn a_oneway_method_says_so() {
    assert_eq!(signature("#[oneway] fn log(&self, line: &str);"), "oneway log(line: String)");
}

#[test]
fn borrowed_arguments_have_their_owned_form() {
    assert_eq!(
        signature("fn f<'a>(&self, a: &'a str, b: &Path, c: &[u8], d: &u8);"),
        "f(a: String, b: PathBuf, c: Vec<u8>, d: u8)"
    );
    assert_eq!(
        signature(
            "fn f(&self, a: Option<&str>, b: Option<&std::path::Path>, c: std::option::Option<&[my::T]>);"
        ),
        "f(a: Option<String>, b: Option<PathBuf>, c: Option<Vec<T>>)"
    );
    assert_eq!(signature("fn f(&self, a: &Handle<std::fs::File>);"), "f(a: Handle<File>)");
}

#[test]
fn paths_are_cut_to_their_last_segment_at_every_depth() {
    assert_eq!(
        signature(
            "fn f(&self, m: ::std::collections::HashMap<std::string::String, (my::T, [my::T; 2])>) -> std::io::Result<my::T>;"
        ),
        "f(m: HashMap<String, (T, [T; 2])>) -> Result<T>"
    );
    assert_eq!(signature("fn f(&self) -> <u8 as my::Trait<my::T>>::Out;"), "f() -> Out");
}

#[test]
fn constants_are_written_in_one_way() {
    assert_eq!(
        signature("fn f(&self, a: [u8; 0x10], b: [u8; 1_6usize], c: [u8; my::LEN]);"),
        "f(a: [u8; 16], b: [u8; 16], c: [u8; LEN])"
    );
    assert_eq!(
        signature("fn f(&self, a: [u8; { 1+2 }], b: Matrix<3, {N}>);"),
        "f(a: [u8; { 1 + 2 }], b: Matrix<3, { N }>)"
    );
}

#[test]
fn raw_names_lose_their_prefix() {
    assert_eq!(signature("fn r#type(&self, r#match: r#struct::r#T) -> u8;"), "type(match: T) -> u8");
}

#[test]
fn parentheses_are_not_part_of_a_type() {
    assert_eq!(
        signature("fn f(&self, a: (u8), b: &(str), c: (&[(u8)])) -> (u8);"),
        "f(a: u8, b: String, c: Vec<u8>) -> u8"
    );
}

#[test]
fn lifetimes_and_receivers_do_not_matter() {
    assert_eq!(signature("fn f<'a>(&'a mut self, a: &'a str);"), signature("fn f(&self, a: &str);"));
    assert_eq!(signature("fn f(self: &Self, a: &String);"), signature("fn f(&self, a: String);"));
}
