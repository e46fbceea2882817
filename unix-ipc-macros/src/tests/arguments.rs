//! What becomes of an argument, by the way it is written.

use super::{dense, expanded};

/// What the task holds, what the client takes, how it encodes it, and how the handler gets it.
#[track_caller]
fn assert_passed(written: &str, held: &str, taken: &str, encoded: &str, lent: &str) {
    let output = expanded(&format!("trait Calc {{ #[oneway] fn f<'a>(&self, x: {written}); }}"));
    let dense = dense(&output);
    for part in [
        format!("x:{held}}}"),
        format!("fnf(&self,x:{taken})->::core"),
        encoded.to_owned(),
        format!("Calc::f(service,{lent})"),
    ] {
        assert!(dense.contains(&part), "{part} in\n{output}");
    }
}

#[test]
fn arguments_are_held_taken_and_lent() {
    let call = "::unix_ipc::__private::Call";
    let lent = "&__argument_x";
    let option = "::core::option::Option";
    let as_deref = "::core::option::Option::as_deref(&__argument_x)";
    assert_passed("u8", "u8", "u8", "Message>::argument(&x,&mut__call", "__argument_x");
    assert_passed("&'a my::T<u8>", "my::T<u8>", "&my::T<u8>", "Message>::argument(x,&mut__call", lent);
    let taken = "&::core::primitive::str";
    assert_passed(
        "&'a str",
        "::std::string::String",
        taken,
        &format!("{call}::str_argument(&mut__call,x"),
        lent,
    );
    let taken = "&::std::path::Path";
    assert_passed(
        "&std::path::Path",
        "::std::path::PathBuf",
        taken,
        &format!("{call}::path_argument(&mut__call,x"),
        lent,
    );
    assert_passed(
        "&'a [T]",
        "::std::vec::Vec<T>",
        "&[T]",
        "<Tas::unix_ipc::__private::Message>::slice_argument(x,&mut__call",
        lent,
    );
    let (held, taken) =
        (format!("{option}<::std::string::String>"), format!("{option}<&::core::primitive::str>"));
    assert_passed("Option<&str>", &held, &taken, "optional_str_argument(&mut__call,x", as_deref);
    let (held, taken) = (format!("{option}<::std::path::PathBuf>"), format!("{option}<&::std::path::Path>"));
    assert_passed("Option<&Path>", &held, &taken, "optional_path_argument(&mut__call,x", as_deref);
    let (held, taken) = (format!("{option}<::std::vec::Vec<T>>"), format!("{option}<&[T]>"));
    assert_passed(
        "Option<&'a [T]>",
        &held,
        &taken,
        "Message>::optional_slice_argument(x,&mut__call",
        as_deref,
    );
}

#[test]
fn a_path_of_another_module_is_the_users_own() {
    assert_passed(
        "&geometry::Path",
        "geometry::Path",
        "&geometry::Path",
        "Message>::argument(x,&mut__call",
        "&__argument_x",
    );
}
