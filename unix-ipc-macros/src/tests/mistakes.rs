//! Every case that is refused: its words, and the tokens it points at.

use super::{assert_accepted, assert_left_to_rustc, assert_refused, expanded, mistakes};

#[test]
fn case_1_only_a_trait_is_a_service() {
    let message = "`#[ipc_service]` can only be applied to a trait";
    assert_eq!(mistakes("pub struct Calc;"), [format!("1:4..10 {message}")]);
    assert_eq!(mistakes("#[a] impl Calc {}"), [format!("1:5..9 {message}")]);
    assert_eq!(mistakes("pub(crate) mod calc {}"), [format!("1:11..14 {message}")]);
    assert_eq!(mistakes("unsafe impl Calc for u8 {}"), [format!("1:7..11 {message}")]);
    assert!(expanded("pub struct Calc;").contains("pub struct Calc;"));
}

#[test]
fn case_2_the_trait_is_not_generic() {
    let message =
        "an `#[ipc_service]` trait cannot be generic -- both processes must agree on one concrete `CalcTask`";
    assert_eq!(mistakes("trait Calc<T> { fn f(&self); }"), [format!("1:10..13 {message}")]);
    assert_eq!(mistakes("trait Calc<'a, const N: usize> { fn f(&self); }"), [format!("1:10..30 {message}")]);
    assert_eq!(
        mistakes("trait Calc where Self: Send { fn f(&self); }"),
        [
            "1:11..27 an `#[ipc_service]` trait cannot have a `where` clause -- write the bounds as supertraits"
        ]
    );
}

#[test]
fn case_3_a_service_has_methods_only() {
    let message = "only methods are allowed in an `#[ipc_service]` trait";
    assert_refused("const X: u8 = 1;", &[&format!("0..16 {message}")]);
    assert_refused("type X: Send;", &[&format!("0..13 {message}")]);
    assert_refused("make!{}", &[&format!("0..7 {message}")]);
}

#[test]
fn case_4_a_method_borrows_the_service() {
    let message = "method `c` must take `&self` or `&mut self` -- the server outlives each call";
    assert_refused("fn c();", &[&format!("3..4 {message}")]);
    assert_refused("fn c(a: u8);", &[&format!("3..4 {message}")]);
    assert_refused("fn c(self);", &[&format!("5..9 {message}")]);
    assert_refused("fn c(mut self) {}", &[&format!("5..13 {message}")]);
    assert_refused("fn c(self: Box<Self>);", &[&format!("5..20 {message}")]);
    assert_refused("fn c(self: &Box<Self>);", &[&format!("5..21 {message}")]);
    assert_accepted("fn c(self: &Self);");
    assert_accepted("fn c<'a>(self: &'a mut Self);");
}

#[test]
fn case_5_a_method_is_a_plain_fn() {
    assert_refused("unsafe fn c(&self);", &["0..6 `unsafe fn` cannot be called from another process"]);
    assert_refused("const fn c(&self);", &["0..5 `const fn` cannot be called from another process"]);
    assert_refused("extern \"C\" fn c(&self);", &["0..6 `extern fn` cannot be called from another process"]);
    assert_refused("async fn c(&self);", &["0..5 `async fn` cannot be called from another process"]);
}

#[test]
fn case_6_a_method_is_not_generic() {
    let message = "method `b` cannot be generic -- it becomes one variant of `CalcTask`";
    assert_refused("fn b<T>(&self, t: T);", &[&format!("4..7 {message}")]);
    assert_refused("fn b<'a, const N: usize>(&self, a: &'a str);", &[&format!("4..24 {message}")]);
    assert_refused("fn b(&self, a: impl Send);", &[&format!("15..24 {message}")]);
    assert_refused(
        "fn b(&self, a: &impl Send, c: Vec<impl Send>);",
        &[&format!("16..25 {message}"), &format!("34..43 {message}")],
    );
    assert_refused(
        "fn b<'a>(&self, a: &'a str) where 'a: 'static;",
        &["28..45 method `b` cannot have a `where` clause -- it becomes one variant of `CalcTask`"],
    );
    assert_accepted("fn b<'a, 'b: 'a>(&'a self, a: &'a str, b: Option<&'b [u8]>);");
}

#[test]
fn case_7_nothing_borrowed_is_returned() {
    assert_refused(
        "fn f(&self) -> &str;",
        &["15..19 `&str` cannot be returned from another process -- use `String`"],
    );
    assert_refused(
        "fn f(&self) -> Result<&'static [u8], &mut my::E>;",
        &[
            "22..35 `&'static [u8]` cannot be returned from another process -- use `Vec<u8>`",
            "37..47 `&mut E` cannot be returned from another process -- use `E`",
        ],
    );
    assert_refused(
        "fn f(&self) -> Cow<'static, str>;",
        &["19..26 lifetimes cannot stand inside `Cow<..>` here -- use an owned type"],
    );
    assert_refused(
        "fn f(&self) -> impl Iterator<Item = u8>;",
        &["15..39 `impl Trait` cannot be returned -- return `Receiver<T>`"],
    );
    assert_refused(
        "fn f(&self) -> !;",
        &["15..16 a method that never returns has no reply -- write `#[oneway]` and no return type"],
    );
}

#[test]
fn case_7_references_do_not_stand_inside_types() {
    assert_refused(
        "fn f(&self, a: Vec<&str>);",
        &["19..23 references cannot stand inside `Vec<..>` here -- use `Vec<String>`"],
    );
    assert_refused(
        "fn f(&self, a: &[&Path]);",
        &["17..22 references cannot stand inside `&[..]` here -- use `&[PathBuf]`"],
    );
    assert_refused(
        "fn f(&self, a: Option<&[&[u8]]>);",
        &["24..29 references cannot stand inside `Option<..>` here -- use `Option<Vec<Vec<u8>>>`"],
    );
    assert_refused(
        "fn f(&self, a: Option<&u64>);",
        &["22..26 references cannot stand inside `Option<..>` here -- use `Option<u64>`"],
    );
    assert_refused(
        "fn f(&self, a: &std::collections::HashMap<u8, (u8, &'static str)>);",
        &["51..63 references cannot stand inside `(..)` here -- use `(u8, String)`"],
    );
    assert_refused(
        "fn f(&self, a: [&OsStr; 2]);",
        &["16..22 references cannot stand inside `[..]` here -- use `[OsString; 2]`"],
    );
    assert_refused(
        "fn f(&self, a: &&str);",
        &["15..20 references cannot stand inside `&..` here -- use `&str`"],
    );
    assert_refused(
        "fn f<'a>(&self, a: Vec<Cow<'a, str>>);",
        &["27..29 lifetimes cannot stand inside `Cow<..>` here -- use an owned type"],
    );
}

#[test]
fn case_7_a_reference_is_shared_and_lasts_for_the_call() {
    assert_refused(
        "fn f(&self, a: &mut Config);",
        &["15..26 `&mut Config` cannot reach into another process -- take `Config` and return it"],
    );
    assert_refused(
        "fn f(&self, a: Option<&mut [u8]>);",
        &["22..31 `&mut [u8]` cannot reach into another process -- take `Vec<u8>` and return it"],
    );
    assert_refused(
        "fn f(&self, a: &'static str);",
        &["15..27 nothing from another process is `'static` -- write `&str`"],
    );
    assert_refused(
        "fn f(&self, a: Option<&'static Path>);",
        &["22..35 nothing from another process is `'static` -- write `&Path`"],
    );
}

#[test]
fn case_7_a_receiver_is_passed_by_value() {
    assert_refused(
        "fn f(&self, a: &Receiver<u8>);",
        &["15..28 a receiver has one owner -- pass it by value"],
    );
    assert_refused(
        "fn f(&self, a: &unix_ipc::Receiver<u8>);",
        &["15..38 a receiver has one owner -- pass it by value"],
    );
    assert_accepted("fn f(&self, a: Receiver<u8>, b: &Sender<u8>);");
    // A type of the user's that happens to be called so.
    assert_accepted("fn f(&self, a: &Receiver);");
}

#[test]
fn case_7_what_has_no_size_is_borrowed() {
    assert_refused("fn f(&self, a: str);", &["15..18 `str` has no size of its own -- write `&str`"]);
    assert_refused("fn f(&self, a: [u8]);", &["15..19 `[u8]` has no size of its own -- write `&[u8]`"]);
    assert_refused("fn f(&self, a: &OsStr);", &["15..21 `&OsStr` has no owned form here -- use `&OsString`"]);
    assert_refused(
        "fn f(&self, a: &ffi::CStr);",
        &["15..25 `&CStr` has no owned form here -- use `&CString`"],
    );
    let dynamic = "a `dyn` type cannot be sent to another process -- use a concrete type";
    assert_refused(
        "fn f(&self, a: &dyn Send, b: Box<dyn Send>);",
        &[&format!("16..24 {dynamic}"), &format!("33..41 {dynamic}")],
    );
}

#[test]
fn case_8_an_argument_has_a_name() {
    let message = "argument needs a name -- it becomes a field of `CalcTask::GetF`";
    assert_refused("fn get_f(&self, _: u8);", &[&format!("16..17 {message}")]);
    assert_refused("fn get_f(&self, (a, b): (u8, u8)) {}", &[&format!("16..22 {message}")]);
    assert_left_to_rustc("fn get_f(&self, (a, b): (u8, u8));");
    assert_accepted("fn get_f(&self, mut a: u8) {}");
}

#[test]
fn case_9_the_type_of_the_server_is_unknown() {
    let message = "`Self` cannot be used here -- the other process does not know the server's type";
    assert_refused(
        "fn f(&self, a: Self, b: &[Self]);",
        &[&format!("15..19 {message}"), &format!("26..30 {message}")],
    );
    assert_refused("fn f(&self) -> Vec<Self::Item>;", &[&format!("19..29 {message}")]);
    assert_refused("fn f(&self) -> <Self as Iterator>::Item;", &[&format!("16..20 {message}")]);
    assert_refused("fn f(&self, a: [u8; Self::LEN]);", &[&format!("20..29 {message}")]);
    assert_accepted("fn f(&self) -> u8 { Self::own() }");
}

#[test]
fn case_10_names_do_not_meet() {
    let message = "methods `get_x` and `get__x` would both become `CalcTask::GetX`";
    assert_eq!(
        mistakes("trait Calc {\nfn get_x(&self);\nfn get__x(&self);\n}"),
        [format!("3:3..9 {message}"), format!("2:3..8 {message}")]
    );
    let reply = "`reply` is the field that holds the reply sender -- rename the argument";
    assert_refused("fn f(&self, reply: u8);", &[&format!("12..17 {reply}")]);
    assert_refused("fn f(&self, r#reply: u8);", &[&format!("12..19 {reply}")]);
    assert_accepted("#[oneway] fn f(&self, reply: u8);");
    assert_refused(
        "fn f(&self, a: u8, r#a: u8);",
        &["19..22 identifier `a` is bound more than once in this parameter list"],
    );
    assert_left_to_rustc("fn f(&self, a: u8, a: u8) {}");
}

#[test]
fn case_10_two_methods_of_one_name_are_rustcs_to_refuse() {
    assert_left_to_rustc("fn f(&self); fn f(&self, a: u8);");
    assert_accepted("#[cfg(a)] fn f(&self); #[cfg(not(a))] fn f(&self, a: u8);");
}

#[test]
fn case_13_a_method_has_a_name_in_camel_case() {
    assert_refused(
        "fn self_(&self);",
        &["3..8 `self_` has no CamelCase name for `CalcTask` -- rename the method"],
    );
    assert_refused(
        "fn _1a(&self);",
        &["3..6 `_1a` has no CamelCase name for `CalcTask` -- rename the method"],
    );
}

#[test]
fn case_13_a_service_has_a_method() {
    assert_eq!(mistakes("trait Calc {}"), ["1:6..10 `#[ipc_service]` trait has no methods"]);
}

#[test]
fn case_13_a_oneway_method_returns_nothing() {
    let message = "a `#[oneway]` method returns nothing -- the caller does not wait for it";
    assert_refused("#[oneway] fn f(&self) -> u8;", &[&format!("25..27 {message}")]);
    assert_refused("#[oneway] fn f(&self) -> Result<(), ()>;", &[&format!("25..39 {message}")]);
    assert_accepted("#[oneway] fn f(&self) -> ();");
}

#[test]
fn what_rustc_refuses_is_not_refused_twice() {
    assert_left_to_rustc("fn f(&self, a: Vec<_>);");
    assert_left_to_rustc("fn f(&self, a: !);");
    assert_left_to_rustc("fn f(&self, ...);");
}

#[test]
fn a_message_fits_on_a_line() {
    let worst = mistakes(
        "trait Calculator<T> { const X: u8; fn f(&self, &mut a: u8, b: &mut Vec<&'static str>, reply: u8); }",
    );
    assert!(worst.len() >= 4);
    for mistake in worst {
        let (_, message) = mistake.split_once(' ').unwrap();
        assert!(message.len() <= 120 && !message.ends_with('.'), "{message}");
    }
}
