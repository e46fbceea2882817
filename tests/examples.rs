//! Every example, run as a process, with its output.
#![cfg(test)]

mod util;

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

use util::Watchdog;

const EXAMPLES: [&str; 6] =
    ["calculator", "checksums", "events", "file_broker", "sandboxed_decoder", "task_enum"];
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn every_example_has_a_test_here() {
    let entries = fs::read_dir(Path::new(ROOT).join("examples")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().path().file_stem().and_then(OsStr::to_str).unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, EXAMPLES);
}

#[test]
fn calculator_calculates_in_another_process() {
    let _watchdog = watched();
    assert_prints(
        "calculator",
        "the child notes: somebody is here\n\
         23 + 42 = 65\n\
         1 / 0 is refused: ByZero\n\
         calculated in another process: true\n",
    );
}

#[test]
fn task_enum_is_answered_by_both_loops() {
    let _watchdog = watched();
    assert_prints(
        "task_enum",
        "by hand: sum 65\n\
         by hand: exit status: 0\n\
         generated: largest Some(42)\n\
         generated: sum 500000500000\n",
    );
}

#[test]
fn file_broker_opens_what_the_child_cannot() {
    let _watchdog = watched();
    assert_prints(
        "file_broker",
        "opened here: Permission denied (os error 13)\n\
         opened by the broker: MIT License\n\
         refused by the broker: `../secret` is not for you\n",
    );
}

#[test]
fn events_come_through_a_sender_and_a_receiver() {
    let _watchdog = watched();
    assert_prints(
        "events",
        "line: one\n\
         line: two\n\
         event: Started { job: 1 }\n\
         event: Ended { job: 1, status: Some(0) }\n\
         event: Started { job: 2 }\n\
         event: Ended { job: 2, status: Some(3) }\n",
    );
}

#[test]
fn sandboxed_decoder_goes_on_behind_a_picture_that_kills_it() {
    let _watchdog = watched();
    assert_prints(
        "sandboxed_decoder",
        "a.png: 64 x 48, #c87e1e\n\
         hostile.png: `decode`: the server process was killed by signal 6 (SIGABRT)\n\
         b.jpg: 64 x 48, #c87d1d\n",
    );
}

#[test]
fn sandboxed_decoder_decodes_what_is_named_and_says_what_is_none() {
    let _watchdog = watched();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("red.png");
    image::RgbImage::from_pixel(7, 5, [255, 1, 2].into()).save(&path).unwrap();
    let path = path.to_str().unwrap();
    let output = run("sandboxed_decoder", &["LICENSE-MIT", path]);
    assert_succeeded(&output);
    let expected = format!("LICENSE-MIT: The image format could not be determined\n{path}: 7 x 5, #ff0102\n");
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn checksums_of_the_sources_are_those_of_sha256sum() {
    let _watchdog = watched();
    let output = run("checksums", &[]);
    assert_succeeded(&output);
    let lines = text(&output.stdout);
    let names: Vec<&str> = lines.lines().filter_map(|line| line.get(66..)).collect();
    assert!(names.contains(&"unix-ipc/src/lib.rs") && names.contains(&"examples/checksums.rs"), "{names:?}");
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(lines, sha256sum(&names));
}

#[test]
fn checksums_of_named_files_come_sorted() {
    let _watchdog = watched();
    let output = run("checksums", &["LICENSE-MIT", "/dev/null", "Cargo.toml"]);
    assert_succeeded(&output);
    assert_eq!(text(&output.stdout), sha256sum(&["/dev/null", "Cargo.toml", "LICENSE-MIT"]));
}

#[test]
fn checksums_retries_once_where_a_worker_is_killed() {
    let _watchdog = watched();
    let files = ["Cargo.lock", "Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "clippy.toml"];
    let output = run("checksums", &[&["--kill"], files.as_slice()].concat());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), sha256sum(&files));
    let retries = text(&output.stderr);
    assert_eq!(retries.lines().count(), 1, "{retries}");
    assert!(
        retries.contains("killed by signal 9 (SIGKILL)") && retries.ends_with("Cargo.lock\n"),
        "{retries}"
    );
}

#[test]
fn checksums_names_the_file_that_it_cannot_open() {
    let _watchdog = watched();
    let output = run("checksums", &["no such file"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(text(&output.stdout), "");
    assert!(text(&output.stderr).contains("no such file: No such file or directory"), "{output:?}");
}

/// Watches the current test, once the examples are built: that takes as long as it takes.
fn watched() -> Watchdog {
    binaries();
    Watchdog::new()
}

/// What the example prints, to the letter, and nothing else.
#[track_caller]
fn assert_prints(example: &str, expected: &str) {
    let output = run(example, &[]);
    assert_eq!(text(&output.stdout), expected, "{output:?}");
    assert_succeeded(&output);
}

#[track_caller]
fn assert_succeeded(output: &Output) {
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

/// Runs an example in the repository's root, and waits for its end.
fn run(name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(binaries().join(name));
    command.args(arguments).current_dir(ROOT).stdin(Stdio::null());
    command.output().unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("what is printed is text")
}

fn sha256sum(files: &[&str]) -> String {
    let output =
        Command::new("sha256sum").args(files).current_dir(ROOT).output().expect("coreutils are there");
    assert_succeeded(&output);
    text(&output.stdout).to_owned()
}

/// Where the examples are: `cargo test` has built them, `cargo test --test examples` has not.
fn binaries() -> &'static Path {
    static BINARIES: OnceLock<PathBuf> = OnceLock::new();
    BINARIES.get_or_init(|| {
        let this = env::current_exe().expect("the test knows its executable");
        let profile = this.ancestors().nth(2).expect("a test is in `deps` of its profile");
        let binaries = profile.join("examples");
        if !are_fresh(&binaries).unwrap_or(false) {
            build(profile);
        }
        binaries
    })
}

fn are_fresh(binaries: &Path) -> io::Result<bool> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for folder in ["examples", "unix-ipc/src", "unix-ipc-macros/src"] {
        newest = newest.max(newest_in(&Path::new(ROOT).join(folder))?);
    }
    for example in EXAMPLES {
        if fs::metadata(binaries.join(example))?.modified()? < newest {
            return Ok(false);
        }
    }
    Ok(true)
}

fn newest_in(folder: &Path) -> io::Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let is_folder = entry.file_type()?.is_dir();
        newest =
            newest.max(if is_folder { newest_in(&entry.path())? } else { entry.metadata()?.modified()? });
    }
    Ok(newest)
}

fn build(profile: &Path) {
    let profile = match profile.file_name().and_then(OsStr::to_str) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "--quiet",
        "--examples",
        "--package",
        env!("CARGO_PKG_NAME"),
        "--profile",
        profile,
    ]);
    let status = command.current_dir(ROOT).status().expect("cargo starts");
    assert!(status.success(), "the examples do not build");
}
