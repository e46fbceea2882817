//! The whole pipeline: what is generated, what is refused and where, what is compared.

mod arguments;
mod attributes;
mod expansion;
mod mistakes;
mod signatures;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;

fn tokens(source: &str) -> TokenStream {
    source.parse().unwrap()
}

/// All that the attribute makes of the source, printed as rustfmt would.
fn expanded(source: &str) -> String {
    expanded_with("", source)
}

fn expanded_with(args: &str, source: &str) -> String {
    let output = crate::transform(tokens(args), &tokens(source));
    prettyplease::unparse(&syn::parse2(output).unwrap())
}

/// The code without its layout: no white space, no comma before a closing bracket.
fn dense(code: &str) -> String {
    let dense: String = code.split_whitespace().collect();
    dense.replace(",)", ")").replace(",>", ">").replace(",}", "}")
}

/// Each mistake as `line:column..column message`, columns from 0.
fn mistakes(source: &str) -> Vec<String> {
    mistakes_with("", source)
}

fn mistakes_with(args: &str, source: &str) -> Vec<String> {
    let mut errors = Errors::default();
    let _ = crate::read(tokens(args), &tokens(source), &mut errors);
    errors.into_error().into_iter().flatten().map(|error| located(&error)).collect()
}

fn located(error: &syn::Error) -> String {
    let (start, end) = (error.span().start(), error.span().end());
    format!("{}:{}..{} {error}", start.line, start.column, end.column)
}

/// The mistakes of one method, which stands in the first column of the second line.
#[track_caller]
fn assert_refused(method: &str, expected: &[&str]) {
    let found = mistakes(&format!("trait Calc {{\n{method}\n}}"));
    let expected: Vec<String> = expected.iter().map(|mistake| format!("2:{mistake}")).collect();
    assert_eq!(found, expected);
}

#[track_caller]
fn assert_accepted(method: &str) {
    assert_eq!(mistakes(&format!("trait Calc {{ {method} }}")), [""; 0]);
    assert!(expanded(&format!("trait Calc {{ {method} }}")).contains("enum CalcTask"));
}

/// Whether the attribute says nothing itself and generates nothing.
#[track_caller]
fn assert_left_to_rustc(method: &str) {
    let source = format!("trait Calc {{ {method} }}");
    assert_eq!(mistakes(&source), [""; 0]);
    let output = crate::transform(quote!(), &tokens(&source));
    assert_eq!(output.to_string(), tokens(&source).to_string());
}
