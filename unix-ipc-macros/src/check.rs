//! What is wrong between the parts of a service, each of which is right.

use std::collections::HashMap;

use proc_macro2::Ident;

use crate::errors::Errors;
use crate::model::{Method, Service};
use crate::names;

/// Refuses names that would meet in the generated code.
pub(crate) fn service(service: &Service, errors: &mut Errors) {
    methods_have_variants_of_their_own(service, errors);
    for method in &service.methods {
        no_argument_is_the_reply(method, errors);
        there_is_one_context(method, errors);
    }
}

fn methods_have_variants_of_their_own(service: &Service, errors: &mut Errors) {
    let task = service.task();
    let mut seen: HashMap<&Ident, &Method> = HashMap::new();
    for method in &service.methods {
        let Some(first) = seen.get(&method.variant) else {
            seen.insert(&method.variant, method);
            continue;
        };
        let (one, other) = (first.plain_name(), method.plain_name());
        if one != other {
            let message =
                format!("methods `{one}` and `{other}` would both become `{task}::{}`", method.variant);
            errors.at(&method.name, &message);
            errors.at(&first.name, &message);
        } else if first.forwarded.cfgs.is_empty() && method.forwarded.cfgs.is_empty() {
            // The trait itself has two methods of that name (E0428). With `cfg`s it may have one at a time.
            errors.leave_to_rustc();
        }
    }
}

fn no_argument_is_the_reply(method: &Method, errors: &mut Errors) {
    if method.reply.is_none() {
        return;
    }
    for argument in method.arguments.iter().filter(|argument| names::plain(&argument.name) == "reply") {
        errors.at(&argument.name, "`reply` is the field that holds the reply sender -- rename the argument");
    }
}

fn there_is_one_context(method: &Method, errors: &mut Errors) {
    for argument in method.arguments.iter().filter(|argument| argument.is_context()).skip(1) {
        errors.at(&argument.name, "a call has one context -- remove this argument");
    }
}
