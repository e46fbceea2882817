#![doc = include_str!("sandbox.md")]

use std::fmt;

use nix::libc;

/// A system call, by the name and the number that it has on the processor this was built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SystemCall {
    name: &'static str,
    number: i64,
}

impl SystemCall {
    /// Of the C library's constant: `SYS_close` is `close`.
    #[allow(clippy::unnecessary_cast, reason = "a `long` has 32 bits on some processors")]
    const fn new(constant: &'static str, number: libc::c_long) -> Self {
        let (_, name) = constant.split_at("SYS_".len());
        Self { name, number: number as i64 }
    }

    /// The name, as the manual pages have it: `recvmsg`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The number, as filters have it.
    pub const fn number(&self) -> i64 {
        self.number
    }
}

impl fmt::Display for SystemCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! calls {
    ($($call:ident)*) => { &[$(SystemCall::new(stringify!($call), libc::$call)),*] };
}

/// What every server needs to answer calls, whatever they carry.
pub const SERVING: &[SystemCall] = calls! {
    SYS_clock_gettime SYS_close SYS_fcntl SYS_fstat SYS_fstatfs SYS_futex SYS_getcpu SYS_getgid SYS_getpid SYS_getuid
    SYS_ppoll SYS_recvmsg SYS_restart_syscall SYS_sendmsg SYS_sendto SYS_shutdown
};

/// What every program needs that takes memory and gives it back, a server for messages and for what it shares with its
/// client.
pub const MEMORY: &[SystemCall] = calls! { SYS_brk SYS_madvise SYS_mmap SYS_mprotect SYS_mremap SYS_munmap };

/// What the library and the C library try, and do without where it is an error (`EPERM`): allowed, it needs no place
/// in a filter that kills.
pub const REFUSABLE: &[SystemCall] = calls! { SYS_memfd_create SYS_openat SYS_socketpair };

/// What a method needs that fills memory which its caller lent it ([`SharedMemoryMut`](crate::SharedMemoryMut)).
pub const SHARED_MEMORY: &[SystemCall] = calls! { SYS_pwrite64 };

/// What a method needs that sends into a channel, makes one of the spare pairs, or calls a client that was its argument.
pub const CHANNELS: &[SystemCall] = calls! { SYS_getrandom SYS_getsockname SYS_getsockopt SYS_setsockopt };

/// What starts and ends a thread, as a server with `workers` does.
pub const THREADS: &[SystemCall] = calls! {
    SYS_clone SYS_clone3 SYS_exit SYS_gettid SYS_prctl SYS_rseq SYS_rt_sigprocmask SYS_sched_getaffinity
    SYS_set_robust_list SYS_sigaltstack
};

/// What the threads of a server with `workers` need beside [`THREADS`], and that of a server that listens.
#[cfg(target_arch = "x86_64")]
pub const WORKERS: &[SystemCall] = calls! { SYS_epoll_ctl SYS_epoll_wait SYS_write };
/// What the threads of a server with `workers` need beside [`THREADS`], and that of a server that listens.
#[cfg(not(target_arch = "x86_64"))]
pub const WORKERS: &[SystemCall] = calls! { SYS_epoll_ctl SYS_epoll_pwait SYS_write };

/// What a server that listens needs beside [`WORKERS`].
pub const LISTENING: &[SystemCall] = calls! { SYS_accept4 SYS_getsockname SYS_getsockopt };

/// What a server needs that SIGTERM ends, or its [`Stopper`](crate::Stopper).
pub const STOPPING: &[SystemCall] = calls! { SYS_rt_sigreturn SYS_write };

/// What a panic needs to print its message. Without a backtrace: that reads the program's file.
pub const PANICS: &[SystemCall] = calls! { SYS_gettid SYS_write };

/// What the end of `main` needs, and `process::exit`.
pub const ENDING: &[SystemCall] = calls! { SYS_exit_group SYS_sigaltstack };

/// What `process::abort` needs to end the process as SIGABRT, with the last words of an allocation that failed.
pub const ABORTING: &[SystemCall] = calls! { SYS_gettid SYS_rt_sigprocmask SYS_tgkill SYS_write };

#[cfg(test)]
mod tests {
    use super::*;

    /// The table in the docs, as name and calls.
    fn documented() -> Vec<(&'static str, Vec<&'static str>)> {
        let rows = include_str!("sandbox.md").lines().filter_map(|line| line.strip_prefix("| [`"));
        rows.map(|row| {
            let (name, rest) = row.split_once('`').unwrap();
            let calls = rest.split('|').nth(1).unwrap();
            (name, calls.split('`').skip(1).step_by(2).collect())
        })
        .collect()
    }

    #[test]
    fn the_table_in_the_docs_has_what_the_constants_have() {
        let constants = [
            ("SERVING", SERVING),
            ("MEMORY", MEMORY),
            ("SHARED_MEMORY", SHARED_MEMORY),
            ("CHANNELS", CHANNELS),
            ("THREADS", THREADS),
            ("WORKERS", WORKERS),
            ("LISTENING", LISTENING),
            ("STOPPING", STOPPING),
            ("PANICS", PANICS),
            ("ENDING", ENDING),
            ("ABORTING", ABORTING),
            ("REFUSABLE", REFUSABLE),
        ];
        let documented = documented();
        assert_eq!(documented.len(), constants.len());
        for ((name, calls), (constant, names)) in documented.into_iter().zip(constants) {
            let foreign = if cfg!(target_arch = "x86_64") { "epoll_pwait" } else { "epoll_wait" };
            let calls: Vec<_> = calls.into_iter().filter(|call| *call != foreign).collect();
            let names: Vec<_> = names.iter().map(SystemCall::name).collect();
            assert_eq!((name, calls), (constant, names));
        }
    }

    #[test]
    fn a_call_has_the_name_and_number_of_its_constant() {
        let call = SERVING.iter().find(|call| call.name() == "recvmsg").unwrap();
        assert_eq!((call.number(), call.to_string().as_str()), (libc::SYS_recvmsg, "recvmsg"));
    }
}
