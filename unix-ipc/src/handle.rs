use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::codec;

/// An open file inside a message: anything that turns into an owned descriptor and back.
///
/// Serialised, `&Handle` lends: the peer gets a descriptor of its own, on the same open file, and
/// this one stays usable. A handle that is given away with its message is closed here once the
/// message has left, and is still in the value that a failed send gives back.
///
/// Both descriptors have one position in the file: what one process reads or writes moves the other's too.
///
/// Who has only a `&Handle<File>`, as the method of a service may, has its descriptor through [`AsFd`]. For a file
/// of his own he duplicates that; a method that takes the `Handle` by value can take the file out.
///
/// Outside of a message, as with `serde_json`, serialising and deserialising a handle is an error.
///
/// ```
/// use std::fs::File;
/// use unix_ipc::{Handle, deserialize, serialize};
///
/// let handle = Handle::from(File::open("/dev/null")?);
/// let (bytes, descriptors) = serialize(&handle)?;
/// let peers: Handle<File> = deserialize(&bytes, descriptors)?;
/// assert!(peers.into_inner().metadata().is_ok());
/// assert!(handle.into_inner().metadata().is_ok());
///
/// fn length(lent: &Handle<File>) -> std::io::Result<u64> {
///     use std::os::fd::AsFd;
///     Ok(File::from(lent.as_fd().try_clone_to_owned()?).metadata()?.len())
/// }
/// # assert_eq!(length(&File::open("/dev/null")?.into())?, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Handle<F> {
    descriptor: Arc<OwnedFd>,
    /// Only the descriptor is here, so it can be sent and shared whatever `F` is.
    kind: PhantomData<fn() -> F>,
}

impl<F: Into<OwnedFd> + From<OwnedFd>> From<F> for Handle<F> {
    fn from(file: F) -> Self {
        Self { descriptor: Arc::new(file.into()), kind: PhantomData }
    }
}

impl<F: Into<OwnedFd> + From<OwnedFd>> Handle<F> {
    /// Takes the file out.
    ///
    /// # Panics
    ///
    /// While a message that this handle was lent to waits to be sent by another thread, the
    /// descriptor is that message's too and is duplicated here; this panics if the process may not
    /// have one more (`EMFILE`).
    pub fn into_inner(self) -> F {
        let descriptor = Arc::try_unwrap(self.descriptor).or_else(|shared| shared.try_clone());
        match descriptor {
            Ok(descriptor) => F::from(descriptor),
            Err(error) => panic!("the handle's descriptor could not be duplicated: {error}"),
        }
    }
}

impl<F> AsFd for Handle<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl<F> fmt::Debug for Handle<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.descriptor).finish()
    }
}

impl<F> Serialize for Handle<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        codec::attach(Arc::clone(&self.descriptor)).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

impl<'de, F> Deserialize<'de> for Handle<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let index = u32::deserialize(deserializer)?;
        let descriptor = codec::take_descriptor(index).map_err(de::Error::custom)?;
        Ok(Self { descriptor: Arc::new(descriptor), kind: PhantomData })
    }
}

/// A borrowed file inside a message, for one's own `Serialize`: the peer receives a [`Handle`].
///
/// The descriptor is duplicated when it is serialised, so it may be closed before the message is
/// sent; a duplicate that cannot be made is an error of that `Serialize`.
///
/// ```
/// use std::fs::File;
/// use unix_ipc::{Handle, HandleRef, deserialize, serialize};
///
/// let file = File::open("/dev/null")?;
/// let (bytes, descriptors) = serialize(HandleRef::from(&file))?;
/// drop(file);
/// assert!(deserialize::<Handle<File>>(&bytes, descriptors)?.into_inner().metadata().is_ok());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HandleRef<'a>(BorrowedFd<'a>);

impl<'a, F: AsFd + ?Sized> From<&'a F> for HandleRef<'a> {
    fn from(file: &'a F) -> Self {
        Self(file.as_fd())
    }
}

impl AsFd for HandleRef<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0
    }
}

impl Serialize for HandleRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let descriptor = self.0.try_clone_to_owned().map_err(ser::Error::custom)?;
        codec::attach(Arc::new(descriptor)).map_err(ser::Error::custom)?.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::net::UnixStream;

    use super::{Handle, HandleRef};
    use crate::codec::Encoder;
    use crate::{deserialize, serialize};

    #[test]
    fn into_inner_is_the_file_that_went_in() {
        let file = File::open("/dev/null").unwrap();
        let number = file.as_raw_fd();
        let handle = Handle::from(file);
        assert_eq!(handle.as_fd().as_raw_fd(), number);
        assert_eq!(handle.into_inner().as_raw_fd(), number);
    }

    #[test]
    fn a_handle_lent_to_a_message_in_hand_gives_a_duplicate() {
        let (ours, mut peer) = UnixStream::pair().unwrap();
        let handle = Handle::from(ours);
        let mut encoder = Encoder::new();
        encoder.put(&handle).unwrap();
        handle.into_inner().write_all(b"x").unwrap();
        drop(encoder);
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"x");
    }

    #[test]
    fn a_received_descriptor_is_close_on_exec() {
        let (bytes, descriptors) = serialize(HandleRef::from(&File::open("/dev/null").unwrap())).unwrap();
        let handle: Handle<File> = deserialize(&bytes, descriptors).unwrap();
        let flags = nix::fcntl::fcntl(&handle, nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags & nix::libc::FD_CLOEXEC, nix::libc::FD_CLOEXEC);
    }

    #[test]
    fn handles_are_send_and_sync_whatever_they_hold() {
        fn both<T: Send + Sync>() {}
        both::<Handle<std::rc::Rc<std::cell::Cell<u8>>>>();
        both::<HandleRef<'_>>();
    }
}
