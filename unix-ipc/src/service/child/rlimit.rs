use std::fmt;

use nix::sys::resource::Resource;

/// What [`SpawnOptions::rlimit`](crate::SpawnOptions::rlimit) limits: the resources of setrlimit(2), where each is
/// described in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rlimit {
    /// `RLIMIT_AS`, in bytes: everything that is mapped, used or not.
    ///
    /// Above it memory is refused, which ends a Rust program with SIGABRT. A small program that serves has mapped some
    /// 6 MiB; each thread takes the 2 MiB of its stack, and the C library reserves 64 MiB
    /// and more for what it allocates, if it may.
    AddressSpace,
    /// `RLIMIT_CPU`, in seconds of processor time, not of waiting: the kernel kills the child after that (SIGKILL).
    CpuTime,
    /// `RLIMIT_DATA`, in bytes: the heap, and memory that is mapped privately to be written. Above it memory is refused.
    Data,
    /// `RLIMIT_NOFILE`: one more than the highest number that a descriptor may have. It counts what comes in messages as well:
    /// a message for whose descriptors there is no room is an error.
    Descriptors,
    /// `RLIMIT_FSIZE`, in bytes: how far into a file the child may write. A write behind that ends it with SIGXFSZ, also one to
    /// standard error in a file, or to a [`SharedMemoryMut`](crate::SharedMemoryMut); memory that this library makes for itself is an error.
    FileSize,
    /// `RLIMIT_MEMLOCK`, in bytes: memory that is never swapped out (mlock(2)).
    LockedMemory,
    /// `RLIMIT_NPROC`: how many threads and processes there may be of the child's *user*, in all, when the child starts one.
    /// A privileged child is not bound by it.
    Processes,
    /// `RLIMIT_STACK`, in bytes: how far the stack of the main thread may grow. Above it the child ends with SIGSEGV.
    Stack,
}

impl Rlimit {
    pub(super) fn resource(self) -> Resource {
        match self {
            Self::AddressSpace => Resource::RLIMIT_AS,
            Self::CpuTime => Resource::RLIMIT_CPU,
            Self::Data => Resource::RLIMIT_DATA,
            Self::Descriptors => Resource::RLIMIT_NOFILE,
            Self::FileSize => Resource::RLIMIT_FSIZE,
            Self::LockedMemory => Resource::RLIMIT_MEMLOCK,
            Self::Processes => Resource::RLIMIT_NPROC,
            Self::Stack => Resource::RLIMIT_STACK,
        }
    }
}

/// In words, as errors have it.
impl fmt::Display for Rlimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddressSpace => "address space",
            Self::CpuTime => "processor time",
            Self::Data => "data",
            Self::Descriptors => "descriptors",
            Self::FileSize => "the length of files",
            Self::LockedMemory => "locked memory",
            Self::Processes => "processes",
            Self::Stack => "the stack",
        })
    }
}
