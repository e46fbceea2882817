//! What README.md points at is there: each file that it links to, and each test that it names behind such a link.
#![cfg(test)]

use std::fs;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A link, and the text from there to the next one or to the end of its paragraph or item.
struct Link {
    to: String,
    behind: String,
}

/// The links of a text in Markdown, in order.
fn links(text: &str) -> Vec<Link> {
    let pieces = text.split("](").skip(1);
    let links = pieces.filter_map(|piece| {
        let (to, behind) = piece.split_once(')')?;
        let end = [behind.find("\n\n"), behind.find("\n- ")].into_iter().flatten().min();
        let behind = behind.get(..end.unwrap_or(behind.len()))?;
        Some(Link { to: to.to_owned(), behind: behind.to_owned() })
    });
    links.collect()
}

/// What stands in backticks and is called as tests are: words in lower case with underscores between them.
fn named_tests(text: &str) -> Vec<&str> {
    let is_name = |word: &&str| {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        word.matches('_').count() >= 3 && word.chars().all(letters)
    };
    text.split('`').skip(1).step_by(2).filter(is_name).collect()
}

fn readme() -> String {
    fs::read_to_string(Path::new(ROOT).join("README.md")).expect("README.md is there")
}

fn is_relative(link: &Link) -> bool {
    !link.to.contains("://") && !link.to.starts_with('#')
}

#[test]
fn every_relative_link_of_the_readme_leads_somewhere() {
    let text = readme();
    let links: Vec<_> = links(&text).into_iter().filter(is_relative).collect();
    assert!(links.len() > 40, "only {} were found", links.len());
    let missing: Vec<_> =
        links.iter().filter(|link| !Path::new(ROOT).join(&link.to).exists()).map(|link| &link.to).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_test_that_the_readme_names_is_in_the_file_that_it_links_to() {
    let text = readme();
    let links = links(&text);
    let mut found = 0;
    for link in links.iter().filter(|link| is_relative(link)) {
        for name in named_tests(&link.behind) {
            let file = fs::read_to_string(Path::new(ROOT).join(&link.to)).expect("the file is text");
            assert!(file.contains(&format!("#[test]\nfn {name}()")), "{name} is not in {}", link.to);
            found += 1;
        }
    }
    let all = named_tests(&text).len();
    assert!(found == all && found > 5, "{found} of {all} stand behind a link to their file");
}

#[test]
fn every_promise_of_the_readme_has_a_test_that_holds_it() {
    let text = readme();
    let (_, promises) = text.split_once("## What you can rely on\n").expect("there are promises");
    let (promises, _) = promises.split_once("\nAnd what you cannot:").expect("and what is none");
    let promises: Vec<_> = promises.split("\n- ").skip(1).collect();
    assert!(promises.len() > 10, "only {} were found", promises.len());
    for promise in promises {
        assert!(links(promise).iter().any(|link| link.to.starts_with("tests/")), "{promise}");
    }
}
