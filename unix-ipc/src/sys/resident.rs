//! How much memory another process takes.
#![allow(unsafe_code)]

use std::fs;

use nix::libc;

/// The resident memory of a process, in bytes: what proc(5) calls `resident` in `/proc/PID/statm`, shared pages
/// included. `None` where the process is gone or /proc is not mounted.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(page_bytes()?)
}

fn page_bytes() -> Option<u64> {
    // SAFETY: the call takes and returns an integer.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_takes_what_it_uses_and_a_small_one_takes_less() {
        const MUCH: usize = 64 << 20;
        let block = std::hint::black_box(vec![1_u8; MUCH]);
        assert!(resident_bytes(std::process::id()).unwrap() >= MUCH as u64);
        drop(block);
        let mut sleeper = Command::new("/bin/sleep").arg("1000").spawn().unwrap();
        let bytes = resident_bytes(sleeper.id()).unwrap();
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        assert!(bytes > 0 && bytes < MUCH as u64, "{bytes}");
    }

    #[test]
    fn a_process_that_is_not_there_takes_none() {
        assert_eq!(resident_bytes(u32::MAX), None);
    }
}
