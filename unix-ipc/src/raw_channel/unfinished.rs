use super::long_body::LongBody;
use crate::error::ProtocolError;
use crate::frame::{Form, Fragment, Header, Kind};
use crate::sys::process;

/// A long message of which only the beginning is there.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) stream: u64,
    pub(super) kind: Kind,
    pub(super) id: u64,
    pub(super) body: LongBody,
    /// Refused at its first piece: the rest is passed over.
    pub(super) refused: bool,
    /// The sending process, where packets name it.
    pub(super) process: Option<u32>,
}

impl Unfinished {
    /// Adds a piece.
    pub(super) fn push(
        &mut self,
        header: &Header,
        place: Fragment,
        piece: &[u8],
    ) -> Result<(), ProtocolError> {
        let body = &mut self.body;
        if (header.kind, header.id, place.total as usize) != (self.kind, self.id, body.total()) {
            return Err(ProtocolError::Call(header.id));
        }
        let (offset, expected) = (place.offset.into(), body.received() as u64);
        if offset != expected {
            return Err(ProtocolError::Fragment { offset, expected });
        }
        // `Fragment::decode` has checked that the piece ends within the total.
        match header.form {
            _ if self.refused => body.count(piece.len()),
            Form::Head => body.push_head(piece)?,
            _ => body.push(piece),
        }
        Ok(())
    }

    /// Whether a packet with nothing beside it is the next piece of this message, and may be kept.
    #[cfg(feature = "macros")]
    pub(super) fn continues(&self, header: &Header, place: Fragment) -> bool {
        let is_same = (header.kind, header.id, place.stream, place.total as usize)
            == (self.kind, self.id, self.stream, self.body.total());
        is_same
            && (header.form, header.descriptors, self.refused) == (Form::Fragment, 0, false)
            && place.offset as usize == self.body.received()
    }

    pub(super) fn sender_is_gone(&self) -> bool {
        self.process.is_some_and(process::has_ended)
    }
}
