//! Programs of others: packages outside of the workspace, built with what they have in their own Cargo.toml.

#[path = "../util/mod.rs"]
mod util;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use util::Watchdog;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A package: its name, its one source file under `programs`, where that goes, and its dependencies.
const PACKAGES: [(&str, &str, &str); 6] = [
    ("alone", "src/main.rs", "unix-ipc = { path = \"{root}/unix-ipc\" }"),
    ("host", "src/main.rs", "unix-ipc = { path = \"{root}/unix-ipc\" }"),
    ("renamed", "src/main.rs", "ipc = { package = \"unix-ipc\", path = \"{root}/unix-ipc\" }"),
    (
        "api",
        "src/lib.rs",
        "unix-ipc = { path = \"{root}/unix-ipc\" }\nserde = { version = \"1\", features = [\"derive\"] }",
    ),
    ("server", "src/main.rs", "unix-ipc = { path = \"{root}/unix-ipc\" }\napi = { path = \"../api\" }"),
    ("client", "src/main.rs", "unix-ipc = { path = \"{root}/unix-ipc\" }\napi = { path = \"../api\" }"),
];

/// Where the programs are, once they are built: all at once and offline, with the versions of our own lock file.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside");
    for (name, place, dependencies) in PACKAGES {
        let dependencies = dependencies.replace("{root}", ROOT);
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependencies}\n"
        );
        let source = fs::read_to_string(format!("{ROOT}/tests/outside/programs/{name}.rs"));
        put(&folder.join(name).join("Cargo.toml"), &manifest);
        put(&folder.join(name).join(place), &source.expect("the program is in the repository"));
    }
    let members = PACKAGES.map(|(name, ..)| format!("{name:?}")).join(", ");
    put(
        &folder.join("Cargo.toml"),
        &format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n\n[profile.dev]\ndebug = false\n"),
    );
    if !folder.join("Cargo.lock").exists() {
        fs::copy(format!("{ROOT}/Cargo.lock"), folder.join("Cargo.lock"))
            .expect("the workspace has a lock file");
    }
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--offline", "--workspace", "--quiet", "--target-dir"]).arg(folder.join("target"));
    let output = cargo.current_dir(&folder).output().expect("cargo runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("warning"), "{said}");
    folder.join("target/debug")
});

/// Writes a file that is not there so already: cargo builds again what is newer.
fn put(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return;
    }
    fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("there is room");
    fs::write(path, text).expect("there is room");
}

fn program(name: &str) -> Command {
    Command::new(PROGRAMS.join(name))
}

/// What a program printed, which has to end well.
#[track_caller]
fn output_of(command: &mut Command) -> String {
    let output = command.output().expect("the program is built");
    assert!(output.status.success(), "{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Longer than usual: the first of these tests builds the library anew.
fn watchdog() -> Watchdog {
    Watchdog::after(Duration::from_secs(600))
}

#[test]
fn a_program_needs_no_dependency_but_unix_ipc() {
    let _watchdog = watchdog();
    let expected = "longest: Some(\"abc\")\n\
                    shelved: shelf/3\n\
                    refused: InvalidInput\n\
                    read: 300\n\
                    `process`: the server process exited with status 7\n\
                    here: true\n";
    assert_eq!(output_of(&mut program("alone")), expected);
}

#[test]
fn a_program_can_rename_the_crate() {
    let _watchdog = watchdog();
    let expected = "42 7 Err(Some(\"by nothing\"))\n1\n";
    assert_eq!(output_of(&mut program("renamed")), expected);
}

#[test]
fn two_programs_share_the_trait_of_a_library() {
    let _watchdog = watchdog();
    let server = PROGRAMS.join("server");
    let spawned = output_of(program("client").arg("spawn").arg(&server));
    assert_eq!(spawned, "stored: 1\nfound: true\ntried: 1\n");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map");
    let mut listening = Command::new(server).arg(&path).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(listening.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "listening\n");
    for count in 1..=2 {
        let connected = output_of(program("client").arg("connect").arg(&path));
        assert_eq!(connected, format!("stored: {count}\nfound: true\ntried: {count}\n"));
    }
    listening.kill().unwrap();
    listening.wait().unwrap();
}

#[test]
fn p24_sigpipe_with_its_default_action_ends_neither_side() {
    let _watchdog = watchdog();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(output_of(program("host").arg("sigpipe").arg(folder.path())), "alive\n");
}

#[test]
fn a_copy_of_a_process_can_use_nothing_of_it_and_ends_nothing_of_it() {
    let _watchdog = watchdog();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(output_of(program("host").arg("fork").arg(folder.path())), "alive\n");
}
