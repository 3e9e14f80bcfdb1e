//! What is said: names of messages, protobuf messages, gRPC frames. Pure, and strict about every length.
//!
//! Layouts are those that `spu` 0.9.5 puts on the wire. A name is `{context}:{n}:ALLGATHER` where both say something and
//! hear the other's, `{context}:{n}:BARRIER` where both only meet, `{context}:P2P-{n}:{from}->{to}` from one to the other;
//! on the wire a name is followed by a mark and the number of the message, counted from 1 per direction.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use super::limits::{MOST_BATCH_ITEMS, MOST_KEY_BYTES, MOST_MESSAGE_BYTES};

/// Between name and number.
const MARK: &str = "\u{1}\u{2}";
pub(super) const ACK: &str = "ACK\u{1}\u{2}";
pub(super) const FIN: &str = "FIN\u{1}\u{2}";
/// The one method of the one service.
pub(super) const PATH: &str = "/org.interconnection.link.ReceiverService/Push";
/// What a twice-masked item is cut to: its last bytes.
pub const ANSWER_BYTES: usize = 12;
pub const POINT_BYTES: usize = 32;

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PushRequest {
    #[prost(uint64, tag = "1")]
    pub sender_rank: u64,
    #[prost(string, tag = "2")]
    pub key: String,
    #[prost(bytes = "bytes", tag = "3")]
    pub value: Bytes,
    /// 0: whole, 1: a piece.
    #[prost(int32, tag = "4")]
    pub trans_type: i32,
    #[prost(message, optional, tag = "5")]
    pub piece: Option<Piece>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Piece {
    #[prost(int64, tag = "1")]
    pub message_length: i64,
    #[prost(int64, tag = "2")]
    pub offset: i64,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PushResponse {
    #[prost(message, optional, tag = "1")]
    pub header: Option<ResponseHeader>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct ResponseHeader {
    #[prost(int32, tag = "1")]
    pub error_code: i32,
    #[prost(string, tag = "2")]
    pub error_msg: String,
}

/// What both parties must be set to alike, but for the role.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct PsiConfig {
    #[prost(message, optional, tag = "1")]
    pub protocol: Option<ProtocolConfig>,
    #[prost(message, optional, tag = "2")]
    pub input: Option<Place>,
    #[prost(message, optional, tag = "3")]
    pub output: Option<Place>,
    #[prost(string, repeated, tag = "6")]
    pub keys: Vec<String>,
    #[prost(message, optional, tag = "7")]
    pub debug: Option<Texts>,
    #[prost(bool, tag = "10")]
    pub disable_alignment: bool,
    #[prost(message, optional, tag = "11")]
    pub recovery: Option<Recovery>,
    #[prost(int32, tag = "12")]
    pub join: i32,
    #[prost(int32, tag = "13")]
    pub left_side: i32,
    #[prost(bool, tag = "14")]
    pub check_digest: bool,
    #[prost(message, optional, tag = "15")]
    pub input_attributes: Option<InputAttributes>,
    #[prost(message, optional, tag = "16")]
    pub output_attributes: Option<OutputAttributes>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct ProtocolConfig {
    #[prost(int32, tag = "1")]
    pub protocol: i32,
    #[prost(int32, tag = "2")]
    pub role: i32,
    #[prost(bool, tag = "3")]
    pub broadcast: bool,
    #[prost(message, optional, tag = "4")]
    pub ecdh: Option<EcdhConfig>,
    #[prost(message, optional, tag = "5")]
    pub kkrt: Option<Buckets>,
    #[prost(message, optional, tag = "6")]
    pub rr22: Option<Buckets>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct EcdhConfig {
    #[prost(int32, tag = "1")]
    pub curve: i32,
    #[prost(uint64, tag = "2")]
    pub batch_size: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Buckets {
    #[prost(uint64, tag = "1")]
    pub size: u64,
    #[prost(bool, tag = "2")]
    pub low_communication: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Place {
    #[prost(int32, tag = "1")]
    pub kind: i32,
    #[prost(string, tag = "2")]
    pub path: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Texts {
    #[prost(string, tag = "1")]
    pub level: String,
    #[prost(string, tag = "2")]
    pub trace: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct Recovery {
    #[prost(bool, tag = "1")]
    pub enabled: bool,
    #[prost(string, tag = "2")]
    pub folder: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct InputAttributes {
    #[prost(bool, tag = "1")]
    pub unique: bool,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct OutputAttributes {
    #[prost(string, tag = "1")]
    pub null: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Size {
    #[prost(uint64, tag = "1")]
    pub size: u64,
}

/// Items of one message. How often items repeat in the peer's list is said by spu (field 6) and not read by us.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Batch {
    #[prost(uint32, tag = "1")]
    pub count: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub items: Bytes,
    #[prost(bool, tag = "3")]
    pub last: bool,
    #[prost(uint32, tag = "4")]
    pub index: u32,
    #[prost(string, tag = "5")]
    pub kind: String,
}

/// Items masked once, and items masked twice.
pub(super) const ONCE: &str = "enc";
pub(super) const TWICE: &str = "dual.enc";

impl Batch {
    pub fn of(kind: &str, index: u32, count: usize, items: Vec<u8>) -> Vec<u8> {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let (last, kind) = (count == 0, kind.to_owned());
        Self { count, items: items.into(), last, index, kind }.encode_to_vec()
    }

    /// The items of a message that must be the `index`-th of its kind. None are the end.
    pub fn items<const BYTES: usize>(
        message: Bytes,
        kind: &str,
        index: u32,
    ) -> Result<Vec<[u8; BYTES]>, &'static str> {
        let it = Self::decode(message).map_err(|_| "a batch that cannot be read")?;
        if it.kind != kind || it.index != index {
            return Err("another batch than the next");
        }
        let count = it.count as usize;
        if count > MOST_BATCH_ITEMS || it.items.len() != count * BYTES {
            return Err("a batch whose length does not fit its number of items");
        }
        if it.last != (count == 0) {
            return Err("a batch that is the last and is not");
        }
        let (items, _) = it.items.as_chunks::<BYTES>();
        Ok(items.to_vec())
    }
}

/// A name with its number.
pub(super) fn numbered(name: &str, number: u64) -> String {
    format!("{name}{MARK}{number}")
}

/// Name and number of a message, if there are any.
pub(super) fn split(key: &str) -> Option<(&str, u64)> {
    if key.len() > MOST_KEY_BYTES {
        return None;
    }
    let (name, number) = key.split_once(MARK)?;
    Some((name, decimal(number.as_bytes())?)).filter(|_| !name.is_empty())
}

/// A number as spu writes it.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()
}

/// A gRPC frame around a message: not compressed, length, message.
pub fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    // The buffer grows: encoding into it cannot fail.
    message.encode(&mut frame).unwrap_or_default();
    frame.freeze()
}

/// The message of one gRPC frame that is all there is.
pub fn unframed<M: Message + Default>(mut frame: Bytes) -> Option<M> {
    let header = frame.get(..5)?;
    let [0, a, b, c, d] = *header.first_chunk::<5>()? else { return None };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if frame.len() != 5 + length {
        return None;
    }
    M::decode(frame.split_off(5)).ok()
}

/// Whether a message that goes in pieces may be this long, and this piece be a part of it.
pub(super) fn piece_fits(piece: Piece, bytes: usize) -> Option<(usize, usize)> {
    let length = usize::try_from(piece.message_length).ok()?;
    let offset = usize::try_from(piece.offset).ok()?;
    let end = offset.checked_add(bytes)?;
    (bytes > 0 && length <= MOST_MESSAGE_BYTES && end <= length).then_some((length, offset))
}

#[cfg(test)]
mod tests;
