//! What is said of a trait that cannot become messages, and traits that must be accepted.
//!
//! `TRYBUILD=overwrite cargo test --test ui` writes what the compiler says now; read the difference as prose.

use std::process::Command;

/// The compiler whose words the `.stderr` files hold. Another one says the same in other words; the attribute's own
/// messages are also tested as text, in its crate.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn accepted_traits_compile_and_refused_ones_say_why() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    let version = Command::new("rustc").arg("--version").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    if version.starts_with(COMPILER) {
        cases.compile_fail("tests/ui/*.rs");
    } else {
        println!("the words of {COMPILER}x are not compared with those of {version}");
    }
}
