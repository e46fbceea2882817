//! The header in front of every packet. Pure: bytes in, bytes out.
//!
//! All integers are little-endian. `WIRE.md` describes each field.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::panic_in_result_fn)]

use crate::error::ProtocolError;

/// The longest packet: above about 84 KiB the kernel needs contiguous pages for one.
pub(crate) const PACKET_BYTES: usize = 64 << 10;
/// The length of [`Header`] on the wire.
pub(crate) const HEADER_BYTES: usize = 16;
/// The length of [`Fragment`] on the wire.
pub(crate) const FRAGMENT_BYTES: usize = 16;
/// The length of the body of a message whose value is in a memory file.
pub(crate) const MEMORY_BYTES: usize = 8;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A value on a plain channel.
    Value = 1,
    /// One end introduces itself.
    Hello = 2,
    /// The first packet to a spawned child, with what it cannot make itself.
    Welcome = 3,
    /// The first packet of a spawned child.
    Joined = 4,
    /// A call that is answered under its id.
    Call = 5,
    /// A call without an answer.
    OneWay = 6,
    /// The answer to a call.
    Reply = 7,
    /// Why there is no answer to a call.
    Failure = 8,
    /// A call's answer comes through the socket that rides along.
    Forwarded = 9,
    /// Why the sender hangs up: the receiver broke the protocol.
    Fault = 10,
    /// Memory for two rings, one for each direction, which the receiver may use from now on.
    Ring = 11,
    /// The last message of an end over the socket: what follows is in its ring.
    Switch = 12,
    /// Beside the rings: there is something to read, or room.
    Bell = 13,
    /// Beside the rings: the descriptors of a message that follows in one.
    Descriptors = 14,
    /// An end that has moved to another process goes on without rings; and the answer to that.
    Reset = 15,
    /// Nobody waits for the answer to a call any more.
    Cancel = 16,
    /// A call that is worth answering until a moment, which stands in front of it.
    TimedCall = 17,
    /// A client's way to learn that the calls before it were begun: the server sends it back.
    Mark = 18,
    /// A client has its server end; a server begins no more calls, or has answered all that it has begun.
    Shutdown = 19,
}

impl TryFrom<u8> for Kind {
    type Error = ProtocolError;

    #[inline]
    fn try_from(byte: u8) -> Result<Self, ProtocolError> {
        Ok(match byte {
            1 => Self::Value,
            2 => Self::Hello,
            3 => Self::Welcome,
            4 => Self::Joined,
            5 => Self::Call,
            6 => Self::OneWay,
            7 => Self::Reply,
            8 => Self::Failure,
            9 => Self::Forwarded,
            10 => Self::Fault,
            11 => Self::Ring,
            12 => Self::Switch,
            13 => Self::Bell,
            14 => Self::Descriptors,
            15 => Self::Reset,
            16 => Self::Cancel,
            17 => Self::TimedCall,
            18 => Self::Mark,
            19 => Self::Shutdown,
            other => return Err(ProtocolError::Kind(other)),
        })
    }
}

/// How a packet holds its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Form {
    /// Whole.
    Whole = 0,
    /// A piece of it, behind a [`Fragment`].
    Fragment = 1,
    /// Its length alone: the bytes are in a memory file, the first of the descriptors.
    Memory = 2,
    /// The first piece of it, behind a [`Fragment`], up to where a block begins: its last eight bytes say how long that is.
    Head = 3,
}

impl TryFrom<u8> for Form {
    type Error = ProtocolError;

    #[inline]
    fn try_from(byte: u8) -> Result<Self, ProtocolError> {
        match byte {
            0 => Ok(Self::Whole),
            1 => Ok(Self::Fragment),
            2 => Ok(Self::Memory),
            3 => Ok(Self::Head),
            other => Err(ProtocolError::Flags(other)),
        }
    }
}

/// How many descriptors a packet that begins so says that it carries.
#[cfg(feature = "macros")]
pub(crate) fn descriptors_of_start([_, _, low, high]: [u8; 4]) -> usize {
    u16::from_le_bytes([low, high]).into()
}

/// What stands in front of every packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) form: Form,
    /// The descriptors that ride on this packet.
    pub(crate) descriptors: u16,
    /// The bytes behind the header.
    pub(crate) length: u32,
    /// The call this is about; 0 where it is about none.
    pub(crate) id: u64,
}

impl Header {
    #[inline]
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        // As the words that a ring takes it as: bytes that are written one by one are slow to read as words.
        let first = (self.kind as u64)
            | (self.form as u64) << 8
            | u64::from(self.descriptors) << 16
            | u64::from(self.length) << 32;
        (u128::from(first) | u128::from(self.id) << 64).to_le_bytes()
    }

    /// The header, whatever is behind it.
    #[inline]
    pub(crate) fn decode_alone(header: &[u8; HEADER_BYTES]) -> Result<Self, ProtocolError> {
        let &[kind, form, d0, d1, l0, l1, l2, l3, i0, i1, i2, i3, i4, i5, i6, i7] = header;
        Ok(Self {
            kind: Kind::try_from(kind)?,
            form: Form::try_from(form)?,
            descriptors: u16::from_le_bytes([d0, d1]),
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            id: u64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]),
        })
    }

    /// The header and the bytes behind it, which are as many as it says.
    #[inline]
    pub(crate) fn decode(packet: &[u8]) -> Result<(Self, &[u8]), ProtocolError> {
        if packet.is_empty() {
            return Err(ProtocolError::EmptyPacket);
        }
        let Some((header, body)) = packet.split_first_chunk::<HEADER_BYTES>() else {
            return Err(ProtocolError::ShortHeader { actual: packet.len(), expected: HEADER_BYTES });
        };
        let header = Self::decode_alone(header)?;
        if usize::try_from(header.length) != Ok(body.len()) {
            return Err(ProtocolError::Length { declared: header.length.into(), actual: body.len() as u64 });
        }
        Ok((header, body))
    }
}

/// Where a piece of a long message belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// Which of the messages that are on their way: a sender has one at a time.
    pub(crate) stream: u64,
    /// Where the piece begins in the message's body, in bytes.
    pub(crate) offset: u32,
    /// The length of the whole body, in bytes.
    pub(crate) total: u32,
}

impl Fragment {
    #[inline]
    pub(crate) fn encode(&self) -> [u8; FRAGMENT_BYTES] {
        let [s0, s1, s2, s3, s4, s5, s6, s7] = self.stream.to_le_bytes();
        let [o0, o1, o2, o3] = self.offset.to_le_bytes();
        let [t0, t1, t2, t3] = self.total.to_le_bytes();
        [s0, s1, s2, s3, s4, s5, s6, s7, o0, o1, o2, o3, t0, t1, t2, t3]
    }

    /// Which message a piece belongs to, whether or not the rest of it is sound.
    pub(crate) fn stream(body: &[u8]) -> Option<u64> {
        body.first_chunk().copied().map(u64::from_le_bytes)
    }

    /// The place, whatever is behind it.
    #[inline]
    pub(crate) fn decode_alone(place: &[u8; FRAGMENT_BYTES]) -> Self {
        let &[s0, s1, s2, s3, s4, s5, s6, s7, o0, o1, o2, o3, t0, t1, t2, t3] = place;
        Self {
            stream: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
            offset: u32::from_le_bytes([o0, o1, o2, o3]),
            total: u32::from_le_bytes([t0, t1, t2, t3]),
        }
    }

    /// The fragment's place and its bytes: at least one, and none behind the end of the message.
    #[inline]
    pub(crate) fn decode(body: &[u8]) -> Result<(Self, &[u8]), ProtocolError> {
        let Some((place, piece)) = body.split_first_chunk::<FRAGMENT_BYTES>() else {
            return Err(ProtocolError::ShortHeader { actual: body.len(), expected: FRAGMENT_BYTES });
        };
        let fragment = Self::decode_alone(place);
        let end = u64::from(fragment.offset).saturating_add(piece.len() as u64);
        if piece.is_empty() || end > u64::from(fragment.total) {
            return Err(ProtocolError::Length { declared: fragment.total.into(), actual: end });
        }
        Ok((fragment, piece))
    }
}

/// The length of the body that a memory file holds.
pub(crate) fn decode_memory_length(body: &[u8]) -> Result<u64, ProtocolError> {
    let Ok(bytes) = <[u8; MEMORY_BYTES]>::try_from(body) else {
        return Err(ProtocolError::Length { declared: MEMORY_BYTES as u64, actual: body.len() as u64 });
    };
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header =
        Header { kind: Kind::Call, form: Form::Whole, descriptors: 0x0102, length: 3, id: 0x0A0B };

    fn packet(header: Header, body: &[u8]) -> Vec<u8> {
        [header.encode().as_slice(), body].concat()
    }

    #[test]
    fn a_header_comes_back_as_it_was() {
        let packet = packet(HEADER, b"abc");
        assert_eq!(packet[..8], [5, 0, 2, 1, 3, 0, 0, 0]);
        assert_eq!(Header::decode(&packet), Ok((HEADER, b"abc".as_slice())));
    }

    #[test]
    fn every_cut_header_is_short() {
        let whole = packet(HEADER, b"abc");
        assert_eq!(Header::decode(&[]), Err(ProtocolError::EmptyPacket));
        for length in 1..HEADER_BYTES {
            let expected = ProtocolError::ShortHeader { actual: length, expected: HEADER_BYTES };
            assert_eq!(Header::decode(&whole[..length]), Err(expected));
        }
    }

    #[test]
    fn p32_every_wrong_length_is_named() {
        for length in [0, 2, 4, u32::MAX] {
            let packet = packet(Header { length, ..HEADER }, b"abc");
            let expected = ProtocolError::Length { declared: length.into(), actual: 3 };
            assert_eq!(Header::decode(&packet), Err(expected));
        }
    }

    #[test]
    fn every_unknown_kind_and_form_is_named() {
        let mut packet = packet(HEADER, b"abc");
        for kind in (0..=u8::MAX).filter(|kind| !(1..=19).contains(kind)) {
            packet[0] = kind;
            assert_eq!(Header::decode(&packet), Err(ProtocolError::Kind(kind)));
        }
        packet[0] = Kind::Value as u8;
        for form in 4..=u8::MAX {
            packet[1] = form;
            assert_eq!(Header::decode(&packet), Err(ProtocolError::Flags(form)));
        }
    }

    #[test]
    fn a_fragment_comes_back_as_it_was() {
        let fragment = Fragment { stream: 7, offset: 2, total: 5 };
        let body = [fragment.encode().as_slice(), b"cde"].concat();
        assert_eq!(Fragment::decode(&body), Ok((fragment, b"cde".as_slice())));
    }

    #[test]
    fn a_fragment_past_the_end_is_refused_without_overflow() {
        let fragment = Fragment { stream: 7, offset: u32::MAX, total: u32::MAX };
        let body = [fragment.encode().as_slice(), b"x"].concat();
        let expected = ProtocolError::Length { declared: u32::MAX.into(), actual: u64::from(u32::MAX) + 1 };
        assert_eq!(Fragment::decode(&body), Err(expected));
        assert!(Fragment::decode(&body[..FRAGMENT_BYTES]).is_err(), "a piece without a byte");
        assert!(Fragment::decode(&body[..3]).is_err());
    }

    #[test]
    fn a_memory_length_has_eight_bytes() {
        assert_eq!(decode_memory_length(&5u64.to_le_bytes()), Ok(5));
        assert!(decode_memory_length(&[0; 7]).is_err());
        assert!(decode_memory_length(&[0; 9]).is_err());
    }
}
