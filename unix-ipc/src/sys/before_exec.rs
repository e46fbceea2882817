//! What a child does between fork and exec.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Arc, Weak};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::libc;
use nix::sys::stat::Mode;

use super::inherit::FIRST_OWN;
use crate::SpawnOptions;

/// Code of the user's that may run between fork and exec.
#[derive(Clone)]
pub(crate) struct Hook(Arc<dyn Fn() -> io::Result<()> + Send + Sync>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// All that a child does there, for one start of a command.
#[derive(Debug)]
pub(crate) struct BeforeExec {
    /// Whether only the standard streams, and what is kept, are left to the program.
    pub(crate) close_descriptors: bool,
    pub(crate) hooks: Vec<Hook>,
    /// Inherited at the number that it has here.
    pub(crate) kept: Option<OwnedFd>,
}

impl BeforeExec {
    /// Has the children of `command` do all this, for as long as the caller keeps it: a command cannot forget what it
    /// was told, but what it was told does nothing once this is gone.
    ///
    /// Where there is nothing to do the command is left alone, and std starts its children without a fork.
    pub(crate) fn arm(self: &Arc<Self>, command: &mut Command) {
        if !self.close_descriptors && self.hooks.is_empty() && self.kept.is_none() {
            return;
        }
        let lent: Weak<Self> = Arc::downgrade(self);
        let act = move || lent.upgrade().map_or(Ok(()), |this| this.run());
        // SAFETY: between fork and exec this counts an atomic up and down (the parent's copy keeps it above zero, so
        // nothing is freed or closed) and makes system calls, whose errors are numbers; the makers of the hooks vouch
        // for the hooks.
        unsafe { command.pre_exec(act) };
    }

    fn run(&self) -> io::Result<()> {
        if self.close_descriptors {
            close_on_exec()?;
        }
        for Hook(hook) in &self.hooks {
            hook()?;
        }
        if let Some(kept) = &self.kept {
            fcntl(kept, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    }
}

impl SpawnOptions {
    /// Runs `hook` in each child that is started with these options, between fork and exec: of several, all of them, in the
    /// order given.
    ///
    /// It runs behind what the command itself was told ([`CommandExt::pre_exec`]) and behind
    /// [`close_descriptors`](Self::close_descriptors). A hook costs a fork of the parent, slow where the parent uses much memory, and
    /// this of every later start of the same command as well; the hook itself runs for starts with these options only.
    /// What may as well happen later belongs into the program, and into the generated server's `pre_serve`.
    ///
    /// An error of the hook is [`SpawnError::Start`](crate::SpawnError::Start), and no child is left. It crosses as the number of an OS error; any other
    /// kind of error becomes `EINVAL`.
    ///
    /// # Safety
    ///
    /// As [`CommandExt::pre_exec`] says: the hook runs in a copy of this process that has this thread alone. What other threads
    /// had locked stays locked, so that the hook may not allocate, print, panic or take a lock. It may do what signal-safety(7)
    /// lists, which are system calls in the main.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::process::Command;
    /// use unix_ipc::{Connection, SpawnOptions};
    ///
    /// # fn setsid() -> std::io::Result<()> { Ok(()) }
    /// // SAFETY: the hook makes one system call.
    /// let options = unsafe { SpawnOptions::new().pre_exec(|| setsid()) };
    /// let connection = Connection::spawn_with(Command::new("/usr/bin/decoder"), &options)?;
    /// # Ok::<(), unix_ipc::SpawnError>(())
    /// ```
    #[must_use]
    pub unsafe fn pre_exec(mut self, hook: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.hooks.push(Hook(Arc::new(hook)));
        self
    }
}

/// Has exec close every descriptor above the standard streams. Closed at once, std could not report an error of exec.
fn close_on_exec() -> io::Result<()> {
    let (first, last) = (FIRST_OWN.cast_unsigned(), u32::MAX);
    // SAFETY: the call takes three integers, and closes nothing yet.
    let marked = unsafe { libc::syscall(libc::SYS_close_range, first, last, libc::CLOSE_RANGE_CLOEXEC) };
    // Linux before 5.11 does not know the flag, one before 5.9 not the call; a filter may refuse what it does not know.
    if marked == 0 { Ok(()) } else { close_on_exec_one_by_one() }
}

/// The same by the list that proc(5) has. By number it could take minutes: the limit on descriptors may be a thousand million.
fn close_on_exec_one_by_one() -> io::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let folder = open(c"/proc/self/fd", flags, Mode::empty())?;
    let mut entries = [0; 1024];
    loop {
        let Some(mut rest) = read_entries(&folder, &mut entries)? else { return Ok(()) };
        while let Some((name, behind)) = next_entry(rest) {
            if let Some(number) = number(name).filter(|number| *number >= FIRST_OWN) {
                // SAFETY: the call takes integers and closes nothing yet; one that is gone is an error.
                Errno::result(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })?;
            }
            rest = behind;
        }
    }
}

/// Some entries of a folder as getdents64(2) writes them; `None` behind the last. Not std's or the C library's, which allocate.
fn read_entries<'b>(folder: &OwnedFd, entries: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
    let (number, room) = (folder.as_raw_fd(), entries.len());
    // SAFETY: the call writes at most as many bytes as there are to ours.
    let read = unsafe { libc::syscall(libc::SYS_getdents64, number, entries.as_mut_ptr(), room) };
    let count = usize::try_from(Errno::result(read)?).unwrap_or(0);
    Ok(entries.get(..count).filter(|entries| !entries.is_empty()))
}

/// The name of the first of these entries, and those behind it.
fn next_entry(entries: &[u8]) -> Option<(&[u8], &[u8])> {
    // An inode and an offset of 8 bytes each, the length of the entry, a byte for the type, and the name up to a zero.
    let length = entries.get(16..18)?.try_into().ok().map(u16::from_ne_bytes)?;
    let (entry, behind) = entries.split_at_checked(length.into())?;
    let name = entry.get(19..)?.split(|byte| *byte == 0).next()?;
    Some((name, behind))
}

fn number(name: &[u8]) -> Option<RawFd> {
    str::from_utf8(name).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;
    use crate::sys::fork::in_a_copy;

    fn is_inherited(file: impl AsFd) -> bool {
        fcntl(file, FcntlArg::F_GETFD).is_ok_and(|flags| flags & libc::FD_CLOEXEC == 0)
    }

    #[test]
    fn either_way_marks_all_descriptors_but_the_standard_streams() {
        let open = || -> Vec<File> {
            let files: Vec<_> = (0..100).map(|_| File::open("/dev/null").unwrap()).collect();
            for file in &files {
                fcntl(file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
            }
            files
        };
        for mark in [close_on_exec, close_on_exec_one_by_one] {
            // In a copy: other tests of this process start programs.
            assert!(in_a_copy(|| {
                let files = open();
                let before = files.iter().all(is_inherited) && is_inherited(io::stderr());
                let marked = mark().is_ok();
                before && marked && !files.iter().any(is_inherited) && is_inherited(io::stderr())
            }));
        }
    }

    #[test]
    fn entries_that_are_cut_off_are_none() {
        let mut entry = vec![0; 24];
        entry[16] = 24;
        entry[19..22].copy_from_slice(b"123");
        let (name, behind) = next_entry(&entry).unwrap();
        assert_eq!((number(name), behind.len()), (Some(123), 0));
        assert!((0..entry.len()).all(|length| next_entry(&entry[..length]).is_none()));
        assert_eq!(number(b".."), None);
    }
}
