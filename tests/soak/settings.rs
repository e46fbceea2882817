//! What the environment sets, and how a part of the soak runs.

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use unix_ipc::test_command;

/// The longest that anything here may take to come to an end. A hang is what takes longer.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// A number from the environment.
pub(crate) fn number(name: &str, otherwise: u64) -> u64 {
    let Some(text) = env::var_os(name) else { return otherwise };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("{name} is {text:?}, and no number"))
}

/// Where this run's random numbers begin.
pub(crate) fn seed() -> u64 {
    // 32 bits are easier to type.
    number("SOAK_SEED", RandomState::new().build_hasher().finish() >> 32)
}

/// Runs the rest of the current test in a process of its own, as `util::alone` does, but lets it print what it measured, and
/// one part after another: true in that process.
pub(crate) fn alone() -> bool {
    const GUARD: &str = "UNIX_IPC_TEST_SOAK";
    static TURN: Mutex<()> = Mutex::new(());
    if env::var_os(GUARD).is_some() {
        return true;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let status = test_command().env(GUARD, "1").env_remove("UNIX_IPC_TEST_COMMAND").status();
    let status = status.expect("the test runs again");
    assert!(status.success(), "{status}");
    false
}
