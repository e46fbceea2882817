//! What may stand in a method's signature, and what a generated client and dispatch do with it.

use std::any::Any;
use std::convert::Infallible;
use std::io;
use std::panic::{self, AssertUnwindSafe};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::client::{Call, Pending};
use super::current::Running;
use super::error::CallError;
use crate::channel::Sender;
use crate::codec::{self, DecodeError, Failure};
use crate::deadline::Deadline;
use crate::error::SendError;
use crate::limits::Limits;
use crate::raw_channel;

/// Anything serde can carry. Generated code names every type of the user's through this trait, so that one without
/// serde gives one error, at the type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent through a `unix_ipc` channel",
    label = "not a message",
    note = "implement `serde::Serialize` and `serde::de::DeserializeOwned`, or wrap a descriptor owner in `unix_ipc::Handle`"
)]
pub trait Message: Sized {
    /// As `Serialize::serialize`.
    ///
    /// # Errors
    ///
    /// The serializer's.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    /// As `Deserialize::deserialize`.
    ///
    /// # Errors
    ///
    /// The deserializer's.
    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// As [`serialize`](Self::serialize), for the `Vec` that a borrowed slice becomes.
    ///
    /// # Errors
    ///
    /// The serializer's.
    fn serialize_slice<S: Serializer>(items: &[Self], serializer: S) -> Result<S::Ok, S::Error>;

    /// As [`deserialize`](Self::deserialize), for the `Vec` that a borrowed slice becomes.
    ///
    /// # Errors
    ///
    /// The deserializer's.
    fn deserialize_slice<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Self>, D::Error>;

    /// The same for an optional slice.
    ///
    /// # Errors
    ///
    /// The serializer's.
    fn serialize_optional_slice<S: Serializer>(
        items: &Option<Vec<Self>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error>;

    /// The same for an optional slice.
    ///
    /// # Errors
    ///
    /// The deserializer's.
    fn deserialize_optional_slice<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<Self>>, D::Error>;

    /// Encodes the next argument of a call.
    fn argument<'a>(&'a self, call: &mut Call<'a>);

    /// Encodes the next argument of a call, which the handler has as a `Vec`.
    fn slice_argument<'a>(items: &'a [Self], call: &mut Call<'a>);

    /// Encodes the next argument of a call, which the handler has as an `Option` of a `Vec`.
    fn optional_slice_argument(items: Option<&[Self]>, call: &mut Call<'_>);

    /// Sends a call of a method that returns this.
    ///
    /// # Errors
    ///
    /// Where the call could not be encoded or sent.
    fn begin(call: &mut Call<'_>) -> Result<Pending<Self>, CallError>;

    /// The same, and waits for the reply.
    ///
    /// # Errors
    ///
    /// What became of the call instead of a reply.
    fn wait(call: &mut Call<'_>) -> Result<Self, CallError>;

    /// Runs the handler of a method that returns this, and sends the reply; not where nobody waits for it any more. A panic of the
    /// handler is answered with its message, and goes on.
    fn answer(reply: Sender<Self>, handler: impl FnOnce() -> Self);
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Message for T {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(self, serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer)
    }

    fn serialize_slice<S: Serializer>(items: &[Self], serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(items, serializer)
    }

    fn deserialize_slice<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Self>, D::Error> {
        Deserialize::deserialize(deserializer)
    }

    fn serialize_optional_slice<S: Serializer>(
        items: &Option<Vec<Self>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Serialize::serialize(items, serializer)
    }

    fn deserialize_optional_slice<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<Self>>, D::Error> {
        Deserialize::deserialize(deserializer)
    }

    fn argument<'a>(&'a self, call: &mut Call<'a>) {
        call.encode_lent(self);
    }

    fn slice_argument<'a>(items: &'a [Self], call: &mut Call<'a>) {
        call.encode_lent_slice(items);
    }

    fn optional_slice_argument(items: Option<&[Self]>, call: &mut Call<'_>) {
        call.encode(&items);
    }

    fn begin(call: &mut Call<'_>) -> Result<Pending<Self>, CallError> {
        call.begin(decode_value)
    }

    fn wait(call: &mut Call<'_>) -> Result<Self, CallError> {
        call.wait(decode_value)
    }

    fn answer(reply: Sender<Self>, handler: impl FnOnce() -> Self) {
        let Some(deadline) = begin(&reply) else { return };
        if let Err(error) = reply.send(run(&reply, deadline, handler)) {
            report(&reply, error);
        }
    }
}

fn decode_value<T: DeserializeOwned>(
    message: &mut raw_channel::Message,
    limits: &Limits,
) -> Result<Result<T, Infallible>, DecodeError> {
    codec::decode_message(message, limits).map(Ok)
}

/// Finds the two halves of a result, whatever alias it is written as.
pub trait ResultType {
    /// What is returned when all went well.
    type Ok;
    /// What is returned when it did not.
    type Err;
}

impl<T, E> ResultType for Result<T, E> {
    type Ok = T;
    type Err = E;
}

/// A call on its way.
type Begun<T, E> = Result<Pending<T, E>, CallError<E>>;

/// A result that can be a reply: both halves are messages, or the error is an [`io::Error`], which is none.
///
/// `M` only keeps the two cases apart, and is always inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent through a `unix_ipc` channel",
    label = "not a message",
    note = "both halves have to implement `serde::Serialize` and `serde::de::DeserializeOwned`; as an error, `std::io::Error` can be sent too"
)]
pub trait Returned<M>: ResultType + Sized {
    /// As [`Message::begin`].
    ///
    /// # Errors
    ///
    /// Where the call could not be encoded or sent.
    fn begin(call: &mut Call<'_>) -> Begun<Self::Ok, Self::Err>;

    /// As [`Message::wait`].
    ///
    /// # Errors
    ///
    /// The method's own, or what became of the call instead of a reply.
    fn wait(call: &mut Call<'_>) -> Result<Self::Ok, CallError<Self::Err>>;

    /// As [`Message::answer`].
    fn answer(reply: Sender<Self>, handler: impl FnOnce() -> Self);
}

/// Marks results that serde carries as they are.
#[derive(Debug)]
pub enum Plain {}

/// Marks results with an [`io::Error`].
#[derive(Debug)]
pub enum WithIoError {}

#[diagnostic::do_not_recommend]
impl<T, E> Returned<Plain> for Result<T, E>
where
    Self: Serialize + DeserializeOwned,
{
    fn begin(call: &mut Call<'_>) -> Begun<T, E> {
        call.begin(codec::decode_message::<Self>).map_err(CallError::widen)
    }

    fn wait(call: &mut Call<'_>) -> Result<T, CallError<E>> {
        call.wait(codec::decode_message::<Self>)
    }

    fn answer(reply: Sender<Self>, handler: impl FnOnce() -> Self) {
        <Self as Message>::answer(reply, handler);
    }
}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Returned<WithIoError> for io::Result<T> {
    fn begin(call: &mut Call<'_>) -> Begun<T, io::Error> {
        call.begin(decode_io_result).map_err(CallError::widen)
    }

    fn wait(call: &mut Call<'_>) -> Result<T, CallError<io::Error>> {
        call.wait(decode_io_result)
    }

    fn answer(reply: Sender<Self>, handler: impl FnOnce() -> Self) {
        let Some(deadline) = begin(&reply) else { return };
        let value = run(&reply, deadline, handler).map_err(PortableIoError::from);
        let reply = reply.retype::<Result<T, PortableIoError>>();
        if let Err(error) = reply.send(value) {
            report(&reply, error);
        }
    }
}

fn decode_io_result<T: DeserializeOwned>(
    message: &mut raw_channel::Message,
    limits: &Limits,
) -> Result<io::Result<T>, DecodeError> {
    let result: Result<T, PortableIoError> = codec::decode_message(message, limits)?;
    Ok(result.map_err(io::Error::from))
}

/// Until when somebody waits for what a handler comes to, which has not begun: `None` where nobody does any more. A task may have
/// waited in a queue of the user's own.
#[inline]
fn begin<T>(reply: &Sender<T>) -> Option<Deadline> {
    reply.reply_path().map_or(Some(Deadline::NEVER), |path| path.begin())
}

/// Runs a handler, in the time that the caller has; where it panics, the caller gets the message before anything around sees
/// the panic.
fn run<T, R>(reply: &Sender<T>, deadline: Deadline, handler: impl FnOnce() -> R) -> R {
    let _running = (deadline != Deadline::NEVER).then(|| Running::until(deadline));
    match panic::catch_unwind(AssertUnwindSafe(handler)) {
        Ok(value) => value,
        Err(payload) => {
            if let Some(path) = reply.reply_path() {
                path.fail(Failure::Panicked(message_of(&*payload).to_owned()));
            }
            panic::resume_unwind(payload)
        }
    }
}

/// What a panic said.
pub(super) fn message_of(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

/// Tells the caller why the reply could not be sent; that nobody waits for it is no error.
#[cold]
fn report<T>(reply: &Sender<T>, error: SendError<T>) {
    let Some(path) = reply.reply_path() else { return };
    let failure = match error {
        SendError::Disconnected(_) => return,
        SendError::Refused { source, .. } => Failure::Refused(source),
        SendError::Encode { source, .. } => Failure::Unsendable(source.to_string()),
        SendError::Io { source, .. } => Failure::Unsendable(source.to_string()),
        other => Failure::Unsendable(other.to_string()),
    };
    path.fail(failure);
}

/// An [`io::Error`] as it travels: the system's code, or a kind and a text.
#[derive(Serialize, Deserialize)]
enum PortableIoError {
    Os(i32),
    Other { kind: PortableKind, text: String },
}

/// The kinds of [`io::Error`] that errors without a code are made with.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum PortableKind {
    Other,
    NotFound,
    PermissionDenied,
    ConnectionRefused,
    ConnectionReset,
    ConnectionAborted,
    NotConnected,
    AddrInUse,
    AddrNotAvailable,
    BrokenPipe,
    AlreadyExists,
    WouldBlock,
    InvalidInput,
    InvalidData,
    TimedOut,
    WriteZero,
    Interrupted,
    Unsupported,
    UnexpectedEof,
    OutOfMemory,
}

const KINDS: [(PortableKind, io::ErrorKind); 20] = [
    (PortableKind::Other, io::ErrorKind::Other),
    (PortableKind::NotFound, io::ErrorKind::NotFound),
    (PortableKind::PermissionDenied, io::ErrorKind::PermissionDenied),
    (PortableKind::ConnectionRefused, io::ErrorKind::ConnectionRefused),
    (PortableKind::ConnectionReset, io::ErrorKind::ConnectionReset),
    (PortableKind::ConnectionAborted, io::ErrorKind::ConnectionAborted),
    (PortableKind::NotConnected, io::ErrorKind::NotConnected),
    (PortableKind::AddrInUse, io::ErrorKind::AddrInUse),
    (PortableKind::AddrNotAvailable, io::ErrorKind::AddrNotAvailable),
    (PortableKind::BrokenPipe, io::ErrorKind::BrokenPipe),
    (PortableKind::AlreadyExists, io::ErrorKind::AlreadyExists),
    (PortableKind::WouldBlock, io::ErrorKind::WouldBlock),
    (PortableKind::InvalidInput, io::ErrorKind::InvalidInput),
    (PortableKind::InvalidData, io::ErrorKind::InvalidData),
    (PortableKind::TimedOut, io::ErrorKind::TimedOut),
    (PortableKind::WriteZero, io::ErrorKind::WriteZero),
    (PortableKind::Interrupted, io::ErrorKind::Interrupted),
    (PortableKind::Unsupported, io::ErrorKind::Unsupported),
    (PortableKind::UnexpectedEof, io::ErrorKind::UnexpectedEof),
    (PortableKind::OutOfMemory, io::ErrorKind::OutOfMemory),
];

impl From<io::Error> for PortableIoError {
    fn from(error: io::Error) -> Self {
        if let Some(code) = error.raw_os_error() {
            return Self::Os(code);
        }
        let known = KINDS.iter().find(|(_, kind)| *kind == error.kind());
        let kind = known.map_or(PortableKind::Other, |(portable, _)| *portable);
        Self::Other { kind, text: error.to_string() }
    }
}

impl From<PortableIoError> for io::Error {
    fn from(error: PortableIoError) -> Self {
        match error {
            PortableIoError::Os(code) => Self::from_raw_os_error(code),
            PortableIoError::Other { kind, text } => {
                let (_, kind) = KINDS.get(kind as usize).unwrap_or(&KINDS[0]);
                Self::new(*kind, text)
            }
        }
    }
}
