//! What is generated.

use super::{dense, expanded};

/// The same code, however it is laid out.
#[track_caller]
fn assert_same(generated: &str, expected: &str) {
    assert_eq!(dense(generated), dense(expected), "{generated}");
}

/// What stands between the first line that starts with `from` and the next one that closes its braces.
fn item(output: &str, from: &str) -> String {
    let lines: Vec<&str> = output.lines().skip_while(|line| !line.trim_start().starts_with(from)).collect();
    let first = lines.first().unwrap_or_else(|| panic!("no `{from}` in\n{output}"));
    let indent = first.len() - first.trim_start().len();
    let close = format!("{}}}", " ".repeat(indent));
    let length = lines.iter().position(|line| *line == close).unwrap();
    lines[..=length].iter().map(|line| format!("{}\n", line.get(indent..).unwrap_or(""))).collect()
}

const CALCULATOR: &str = "
    /// Calculates.
    #[must_use]
    pub trait Calculator: Send {
        /// Adds.
        fn add(&self, a: i64, b: i64) -> i64;
        fn divide(&self, a: i64, b: i64) -> Result<i64, DivideError> { self.default() }
        #[oneway]
        fn log(&self, line: &str);
    }
";

#[test]
fn the_trait_stays_as_written_but_for_oneway() {
    let output = expanded(CALCULATOR);
    assert!(output.starts_with("/// Calculates.\n#[must_use]\npub trait Calculator: Send {\n"), "{output}");
    assert_same(
        &item(&output, "pub trait"),
        "
pub trait Calculator: Send {
    /// Adds.
    fn add(&self, a: i64, b: i64) -> i64;
    fn divide(&self, a: i64, b: i64) -> Result<i64, DivideError> {
        self.default()
    }
    fn log(&self, line: &str);
}
",
    );
}

#[test]
fn the_task_has_a_variant_for_each_method() {
    let output = expanded(
        "pub trait Calc { fn add(&self, a: i64) -> i64; #[oneway] fn log(&self, line: &str); #[oneway] fn stop(&self); }",
    );
    assert_same(
        &item(&output, "pub enum"),
        "
pub enum CalcTask {
    /// A call of [`Calc::add`].
    Add {
        /// The argument `a`.
        #[serde(
            serialize_with = \"<i64 as ::unix_ipc::__private::Message>::serialize\",
            deserialize_with = \"<i64 as ::unix_ipc::__private::Message>::deserialize\"
        )]
        a: i64,
        /// Takes the reply.
        reply: ::unix_ipc::Sender<i64>,
    },
    /// A call of [`Calc::log`].
    Log {
        /// The argument `line`.
        line: ::std::string::String,
    },
    /// A call of [`Calc::stop`].
    Stop,
}
",
    );
}

#[test]
fn dispatch_calls_the_method_by_the_trait_and_answers() {
    let output = expanded(CALCULATOR);
    assert_same(
        &item(&output, "pub fn dispatch"),
        "
pub fn dispatch(self, service: &(impl Calculator + ?::core::marker::Sized)) {
    match self {
        Self::Add { a: __argument_a, b: __argument_b, reply: __reply } => {
            <i64 as ::unix_ipc::__private::Message>::answer(
                __reply,
                move || Calculator::add(service, __argument_a, __argument_b),
            )
        }
        Self::Divide { a: __argument_a, b: __argument_b, reply: __reply } => {
            <Result<i64, DivideError> as ::unix_ipc::__private::Returned<_>>::answer(
                __reply,
                move || Calculator::divide(service, __argument_a, __argument_b),
            )
        }
        Self::Log { line: __argument_line } => {
            Calculator::log(service, &__argument_line)
        }
    }
}
",
    );
}

#[test]
fn the_description_names_every_method_with_its_signature() {
    let output = expanded(CALCULATOR);
    let description = item(&output, "impl ::unix_ipc::Task for CalculatorTask");
    for part in [
        "\"Calculator\"",
        "\"add\"",
        "\"divide(a: i64, b: i64) -> Result<i64, DivideError>\"",
        "\"oneway log(line: String)\"",
    ] {
        assert!(description.contains(part), "{part} in\n{description}");
    }
    assert!(!description.contains("idempotent"));
}

#[test]
fn an_idempotent_method_differs_in_its_description_alone() {
    let plain = expanded("trait Calc { fn f(&self, a: u8); fn g(&self); }");
    let marked = expanded("trait Calc { #[idempotent] fn f(&self, a: u8); fn g(&self); }");
    assert_same(&item(&marked, "trait Calc"), "trait Calc { fn f(&self, a: u8); fn g(&self); }");
    let (plain, marked) = (dense(&plain), dense(&marked));
    assert_eq!(marked.matches(".idempotent()").count(), 1);
    assert!(marked.contains("\"f(a:u8)\",false).idempotent()"), "{marked}");
    assert_eq!(marked.replace(".idempotent()", ""), plain);
}

#[test]
fn a_client_is_that_of_its_task() {
    assert_same(
        &item(&expanded("trait Calc { fn f(&self); }"), "impl ::unix_ipc::ServiceClient for CalcClient"),
        "
impl ::unix_ipc::ServiceClient for CalcClient {
    type Task = CalcTask;
    fn __from_inner(__inner: ::unix_ipc::__private::Client<CalcTask>) -> Self {
        Self { inner: __inner }
    }
    fn __inner(&self) -> &::unix_ipc::__private::Client<CalcTask> {
        &self.inner
    }
}
",
    );
}

#[test]
fn the_client_waits_or_begins() {
    let output = expanded("pub trait Calc { fn add(&self, a: i64) -> i64; }");
    assert_same(
        &item(&output, "pub fn add("),
        "
pub fn add(
    &self,
    a: i64,
) -> ::core::result::Result<i64, ::unix_ipc::CallError> {
    <i64 as ::unix_ipc::__private::Message>::wait(
        &mut {
            let mut __call = ::unix_ipc::__private::Client::call(
                &self.inner,
                __Number::Add as ::core::primitive::u32,
            );
            <i64 as ::unix_ipc::__private::Message>::argument(&a, &mut __call);
            __call
        },
    )
}
",
    );
    assert!(
        item(&output, "pub fn begin_add(")
            .contains("Result<::unix_ipc::Pending<i64>, ::unix_ipc::CallError>")
    );
}

#[test]
fn a_oneway_method_is_sent_and_never_begun() {
    let output = expanded(CALCULATOR);
    let log = item(&output, "pub fn log(");
    assert!(log.contains("-> ::core::result::Result<(), ::unix_ipc::CallError>"), "{log}");
    assert!(log.contains("Call::send(") && !log.contains("::wait("), "{log}");
    assert!(!output.contains("fn begin_log"));
}

#[test]
fn a_result_is_split_where_its_parts_are_written() {
    let output = dense(&expanded("trait Calc { fn f(&self) -> std::result::Result<my::T, E>; }"));
    assert!(
        output.contains("fnf(&self)->::core::result::Result<my::T,::unix_ipc::CallError<E>>"),
        "{output}"
    );
    let pending = "Result<::unix_ipc::Pending<my::T,E>,::unix_ipc::CallError<E>>";
    assert!(output.contains(&format!("fnbegin_f(&self)->::core::result::{pending}")), "{output}");
}

#[test]
fn a_result_is_projected_where_its_parts_are_not_written() {
    for result in ["io::Result<T>", "Result", "Result<A, B, C>", "a::Result<A, B>"] {
        let output = dense(&expanded(&format!("trait Calc {{ fn f(&self) -> {result}; }}")));
        let projection = format!("<{}as::unix_ipc::__private::ResultType>", dense(result));
        let outcome = format!("Result<{projection}::Ok,::unix_ipc::CallError<{projection}::Err>>");
        assert!(output.contains(&format!("fnf(&self)->::core::result::{outcome}")), "{output}");
    }
}

#[test]
fn what_is_no_result_is_returned_whole() {
    let output = dense(&expanded("trait Calc { fn f(&self) -> Option<Result<A, B>>; fn g(&self); }"));
    let whole = "Result<Option<Result<A,B>>,::unix_ipc::CallError>";
    assert!(output.contains(&format!("fnf(&self)->::core::result::{whole}")), "{output}");
    assert!(output.contains("fng(&self)->::core::result::Result<(),::unix_ipc::CallError>"), "{output}");
}

#[test]
fn exclusive_methods_make_an_exclusive_server() {
    let shared = expanded("trait Calc { fn f(&self); }");
    assert!(shared.contains("fn dispatch(self, service: &(impl Calc"));
    assert!(shared.contains("fn workers(") && shared.contains("fn pre_serve("));
    let exclusive = expanded("trait Calc { fn f(&self); #[cfg(never)] fn g(&mut self); }");
    assert!(exclusive.contains("fn dispatch(self, service: &mut (impl Calc"));
    assert!(!exclusive.contains("fn workers(") && exclusive.contains("fn pre_serve("));
}

#[test]
fn the_server_does_not_hide_a_trait_called_s() {
    assert!(expanded("trait Calc { fn f(&self); }").contains("struct CalcServer<S> {"));
    assert!(expanded("trait S { fn f(&self); }").contains("struct SServer<Service> {"));
}

#[test]
fn visibility_is_the_traits() {
    let output = expanded("pub(in a::b) trait Calc { fn f(&self); }");
    assert_eq!(output.matches("pub").count(), output.matches("pub(in a::b)").count());
    assert!(!expanded("trait Calc { fn f(&self); }").contains("pub"));
}

#[test]
fn raw_names_are_shown_plain_and_written_raw() {
    let output = expanded("trait Calc { fn r#type(&self, r#match: u8) -> u8; }");
    for part in [
        "Type {",
        "r#match: u8",
        "Calc::r#type(service",
        "fn r#type(",
        "fn begin_type(",
        "\"type(match: u8) -> u8\"",
        "[`Calc::type`]",
    ] {
        assert!(output.contains(part), "{part} in\n{output}");
    }
}

#[test]
fn docs_start_with_the_trait_and_end_with_their_origin() {
    let output = expanded(CALCULATOR);
    for (sentence, item) in [
        (
            "One call of a method of [`Calculator`], with its arguments and the sender of its reply.",
            "pub enum CalculatorTask",
        ),
        (
            "Client of [`Calculator`]: sends a [`CalculatorTask`] and waits for its reply.",
            "pub struct CalculatorClient",
        ),
        (
            "Server of [`Calculator`]: calls the methods of an `S` for its clients.",
            "pub struct CalculatorServer",
        ),
    ] {
        let end = output.find(item).unwrap();
        let start = output[..end]
            .rfind(&format!("///{sentence}"))
            .unwrap_or_else(|| panic!("{sentence} in\n{output}"));
        let docs = &output[start..end];
        assert!(docs.contains("/// Calculates."), "{docs}");
        assert!(docs.contains("///Generated by `#[ipc_service]`."), "{docs}");
    }
}

#[test]
fn docs_of_errors_are_under_one_heading() {
    let output = expanded(
        "trait Calc {\n/// Works.\n///\n/// # Errors\n///\n/// Mine.\nfn f(&self) -> Result<u8, E>;\n}",
    );
    let client = output.split("impl CalcClient").nth(1).unwrap();
    let docs = client.split("/// Works.").nth(1).unwrap().split("fn f(").next().unwrap();
    assert_eq!(docs.matches("# Errors").count(), 1, "{docs}");
    assert!(docs.contains("CallError::Service"), "{docs}");
}
