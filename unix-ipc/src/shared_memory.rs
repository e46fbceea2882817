use std::fmt;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::sys::mapping::Mapping;
use crate::sys::memory;
use crate::{LimitExceeded, codec};

/// Bytes in memory that several processes share and that nobody can change any more.
///
/// In a message it is one descriptor: clones, and what peers receive, are the same memory. It pays for
/// bytes that several readers want or that are kept; a single transfer is faster as a `Vec<u8>`,
/// because fresh pages are slow. The memory is freed when the last process has dropped it.
///
/// What a peer sends is refused unless it is memory whose size and content are sealed, and no longer
/// than the [`Limits`](crate::Limits) allow a message to be: the slice never changes and reading it
/// cannot fault.
///
/// ```
/// use unix_ipc::{SharedMemory, deserialize, serialize};
///
/// let dictionary = SharedMemory::new(b"aardvark abacus")?;
/// let (bytes, descriptors) = serialize(&dictionary)?;
/// let received: SharedMemory = deserialize(&bytes, descriptors)?;
/// assert_eq!(received.split(|byte| *byte == b' ').count(), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct SharedMemory {
    descriptor: Arc<OwnedFd>,
    mapping: Arc<Mapping>,
}

impl SharedMemory {
    /// Copies bytes into new shared memory.
    ///
    /// # Errors
    ///
    /// What the system says, as where the process has no descriptor left or may not call
    /// `memfd_create`; it can still fill a [`SharedMemoryMut`] that a peer gives it. [`FileTooLarge`](io::ErrorKind::FileTooLarge)
    /// above the process's `RLIMIT_FSIZE` (setrlimit(2)).
    pub fn new(bytes: &[u8]) -> io::Result<Self> {
        Self::map(Arc::new(memory::sealed_copy(&[bytes])?))
    }

    fn map(descriptor: Arc<OwnedFd>) -> io::Result<Self> {
        let mapping = Arc::new(Mapping::sealed(descriptor.as_fd())?);
        Ok(Self { descriptor, mapping })
    }
}

impl Deref for SharedMemory {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.mapping
    }
}

impl AsRef<[u8]> for SharedMemory {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsFd for SharedMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// The length, and not the bytes, which may be many.
impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMemory").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Serialize for SharedMemory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        codec::attach(Arc::clone(&self.descriptor)).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedMemory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let descriptor =
            codec::take_descriptor(u32::deserialize(deserializer)?).map_err(de::Error::custom)?;
        check_len(memory::sealed_len(descriptor.as_fd()).map_err(de::Error::custom)?)?;
        Self::map(Arc::new(descriptor)).map_err(de::Error::custom)
    }
}

/// Refuses memory from a peer that is longer than a message may be.
fn check_len<E: de::Error>(actual: u64) -> Result<(), E> {
    let limit = codec::longest_message();
    if actual > limit {
        return Err(E::custom(codec::refuse(LimitExceeded::MessageBytes { actual, limit })));
    }
    Ok(())
}

/// Shared memory that can still be written, until [`freeze`](Self::freeze) makes it [`SharedMemory`].
///
/// It has a fixed size and begins as zeroes. A process that may not make memory of its own is sent one,
/// fills it and sends back what `freeze` gave it. As an [`io::Write`] it is filled from the start and
/// takes no more than its length; a write past it is [`WriteZero`](io::ErrorKind::WriteZero).
///
/// Whoever it was sent to can write to it as well until it is frozen; nothing here reads it before.
///
/// ```
/// use std::io::Write;
/// use unix_ipc::SharedMemoryMut;
///
/// let mut page = SharedMemoryMut::new(16)?;
/// write!(page, "temperature {}", 21)?;
/// page.write_at(12, b"22")?;
/// assert_eq!(&page.freeze()?[..], b"temperature 22\0\0");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct SharedMemoryMut {
    descriptor: Arc<OwnedFd>,
    len: usize,
    /// Where the next [`io::Write`] goes.
    position: usize,
}

impl SharedMemoryMut {
    /// Makes memory of this many bytes, all of them 0.
    ///
    /// # Errors
    ///
    /// What the system says, as where the process may not call `memfd_create`;
    /// [`FileTooLarge`](io::ErrorKind::FileTooLarge) above the process's `RLIMIT_FSIZE` (setrlimit(2)).
    pub fn new(len: usize) -> io::Result<Self> {
        Ok(Self { descriptor: Arc::new(memory::create(len)?), len, position: 0 })
    }

    /// The length in bytes, which never changes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is not a byte in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes all of the bytes at a place, and leaves alone where the next [`io::Write`] goes.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput), with nothing written, where they would reach past
    /// the end; otherwise what the system says, as `EPERM` where a peer has frozen it.
    pub fn write_at(&mut self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        if offset.checked_add(bytes.len()).is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        memory::write_at(self.descriptor.as_fd(), offset, bytes)
    }

    /// Ends all writing, by everybody.
    ///
    /// # Errors
    ///
    /// `EBUSY` while another process has the memory mapped for writing, and otherwise what the system says.
    pub fn freeze(self) -> io::Result<SharedMemory> {
        memory::seal(self.descriptor.as_fd())?;
        SharedMemory::map(self.descriptor)
    }
}

impl io::Write for SharedMemoryMut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.len - self.position);
        let bytes = bytes.get(..count).unwrap_or_default();
        memory::write_at(self.descriptor.as_fd(), self.position, bytes)?;
        self.position += count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for SharedMemoryMut {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl fmt::Debug for SharedMemoryMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMemoryMut").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Serialize for SharedMemoryMut {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        codec::attach(Arc::clone(&self.descriptor)).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedMemoryMut {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let descriptor =
            codec::take_descriptor(u32::deserialize(deserializer)?).map_err(de::Error::custom)?;
        let actual = memory::fixed_len(descriptor.as_fd()).map_err(de::Error::custom)?;
        check_len(actual)?;
        let len = usize::try_from(actual).map_err(de::Error::custom)?;
        Ok(Self { descriptor: Arc::new(descriptor), len, position: 0 })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{ErrorKind, Write};
    use std::os::fd::{AsFd, OwnedFd};

    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    use nix::libc;
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use nix::unistd::ftruncate;

    use super::{SharedMemory, SharedMemoryMut};
    use crate::{DecodeError, LimitExceeded, deserialize, serialize};

    /// A memory file as a hostile peer makes it.
    fn hostile(seals: SealFlag, len: i64) -> OwnedFd {
        seal(memfd_create(c"hostile", FLAGS).unwrap(), seals, len)
    }

    const FLAGS: MFdFlags = MFdFlags::MFD_CLOEXEC.union(MFdFlags::MFD_ALLOW_SEALING);

    fn seal(file: OwnedFd, seals: SealFlag, len: i64) -> OwnedFd {
        ftruncate(&file, len).unwrap();
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
        file
    }

    fn received(file: OwnedFd) -> Result<SharedMemory, DecodeError> {
        deserialize(&[0; 4], vec![file])
    }

    fn received_mut(file: OwnedFd) -> Result<SharedMemoryMut, DecodeError> {
        deserialize(&[0; 4], vec![file])
    }

    const SIZED: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW);
    const SEALED: SealFlag = SIZED.union(SealFlag::F_SEAL_WRITE);

    #[test]
    fn p63_memory_that_can_still_change_is_refused() {
        assert_eq!(received(hostile(SEALED, 4096)).unwrap().len(), 4096);
        for missing in [SealFlag::F_SEAL_SHRINK, SealFlag::F_SEAL_GROW, SealFlag::F_SEAL_WRITE] {
            let error = received(hostile(SEALED.difference(missing), 4096)).unwrap_err();
            assert!(
                matches!(&error, DecodeError::Value(text) if text.contains("sealed")),
                "{missing:?}: {error}"
            );
        }
        let future = SIZED | SealFlag::from_bits_retain(libc::F_SEAL_FUTURE_WRITE);
        assert!(received(hostile(future, 4096)).is_err());
    }

    #[test]
    fn p63_memory_that_can_still_be_cut_off_is_not_filled() {
        assert!(received_mut(hostile(SIZED, 4096)).is_ok());
        assert!(received_mut(hostile(SealFlag::F_SEAL_GROW, 4096)).is_err());
        assert!(received_mut(hostile(SealFlag::F_SEAL_SHRINK, 4096)).is_err());
    }

    #[test]
    fn p63_a_file_that_is_not_memory_is_refused() {
        assert!(received(File::open("/dev/null").unwrap().into()).is_err());
        assert!(received(File::open("/proc/self/exe").unwrap().into()).is_err());
        assert!(received_mut(tempfile::tempfile().unwrap().into()).is_err());
    }

    #[test]
    fn p63_huge_pages_are_refused() {
        // A kernel built without them has none to refuse.
        let Ok(file) = memfd_create(c"hostile", FLAGS | MFdFlags::MFD_HUGETLB) else { return };
        let error = received(seal(file, SEALED, 0)).unwrap_err();
        assert!(matches!(&error, DecodeError::Value(text) if text.contains("not memory")), "{error}");
    }

    #[test]
    fn memory_longer_than_a_message_is_refused() {
        let limit = 64 << 20;
        assert!(received(hostile(SEALED, limit)).is_ok());
        for actual in [limit + 1, 1 << 50] {
            let refusal = LimitExceeded::MessageBytes { actual: actual as u64, limit: limit as u64 };
            let error = received(hostile(SEALED, actual)).unwrap_err();
            assert_eq!(error, DecodeError::Limit(refusal));
            let error = received_mut(hostile(SIZED, actual)).unwrap_err();
            assert_eq!(error, DecodeError::Limit(refusal));
        }
    }

    #[test]
    fn memory_and_its_clones_are_the_same_in_every_message() {
        let memory = SharedMemory::new(b"shared").unwrap();
        let (bytes, descriptors) = serialize((&memory, memory.clone())).unwrap();
        drop(memory);
        let (first, second): (SharedMemory, SharedMemory) = deserialize(&bytes, descriptors).unwrap();
        assert_eq!((&first[..], &second[..]), (&b"shared"[..], &b"shared"[..]));
        let inode = |memory: &SharedMemory| nix::sys::stat::fstat(memory.as_fd()).unwrap().st_ino;
        assert_eq!(inode(&first), inode(&second));
    }

    #[test]
    fn empty_memory_is_memory() {
        let (bytes, descriptors) = serialize(SharedMemory::new(b"").unwrap()).unwrap();
        assert!(deserialize::<SharedMemory>(&bytes, descriptors).unwrap().is_empty());
        assert!(SharedMemoryMut::new(0).unwrap().freeze().unwrap().is_empty());
    }

    #[test]
    fn a_region_filled_by_a_peer_and_frozen_comes_back_as_memory() {
        let (bytes, descriptors) = serialize(SharedMemoryMut::new(6).unwrap()).unwrap();
        let mut region: SharedMemoryMut = deserialize(&bytes, descriptors).unwrap();
        region.write_all(b"fillxx").unwrap();
        region.write_at(4, b"ed").unwrap();
        let (bytes, descriptors) = serialize(region.freeze().unwrap()).unwrap();
        assert_eq!(&deserialize::<SharedMemory>(&bytes, descriptors).unwrap()[..], b"filled");
    }

    #[test]
    fn writes_past_the_end_are_refused() {
        let mut region = SharedMemoryMut::new(4).unwrap();
        for (offset, bytes) in [(0, &b"12345"[..]), (4, b"1"), (5, b""), (usize::MAX, b"1")] {
            assert_eq!(region.write_at(offset, bytes).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        region.write_at(4, b"").unwrap();
        assert_eq!(region.write(b"123456").unwrap(), 4);
        assert_eq!(region.write_all(b"7").unwrap_err().kind(), ErrorKind::WriteZero);
        assert_eq!(&region.freeze().unwrap()[..], b"1234");
    }

    #[test]
    fn p63_nobody_writes_to_frozen_memory() {
        let region = SharedMemoryMut::new(4).unwrap();
        let (bytes, descriptors) = serialize(&region).unwrap();
        let mut peers: SharedMemoryMut = deserialize(&bytes, descriptors).unwrap();
        peers.write_at(0, b"good").unwrap();
        let frozen = region.freeze().unwrap();
        assert_eq!(peers.write_at(0, b"evil").unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert_eq!(&frozen[..], b"good");
        assert_eq!(&peers.freeze().unwrap()[..], b"good");
    }
}
