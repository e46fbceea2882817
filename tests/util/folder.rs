//! A folder for the files that the processes of a test leave each other.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use super::wait_until;

pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("there is room for a folder"))
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Waits for a file that a process leaves.
    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        let mut text = String::new();
        let found = wait_until(Duration::from_secs(20), || {
            let Ok(mut file) = File::open(self.file(name)) else { return false };
            text.clear();
            file.read_to_string(&mut text).expect("the file is text");
            !text.is_empty()
        });
        assert!(found, "nobody left `{name}`");
        text
    }
}
