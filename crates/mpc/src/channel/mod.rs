//! How two parties talk: framed messages, each under the name of a step, in order and without loss.
//!
//! A channel moves bytes and counts nothing; it never looks inside a message. Confidentiality and the identity of the
//! peer are the caller's: a channel is to be laid over a connection that both are sure of (mutual TLS).

pub mod memory;
pub mod stream;

use crate::fault::Fault;
use crate::limits::MAX_FRAME_BYTES;
use crate::step::Step;

/// One end. Both calls may block; neither may hand over bytes out of order.
pub trait Channel {
    fn send(&mut self, step: Step, message: &[u8]) -> Result<(), Fault>;

    /// The next message, which must be of this step and of exactly this length. A channel refuses anything else before it
    /// takes memory for it.
    fn receive(&mut self, step: Step, length: usize) -> Result<Vec<u8>, Fault>;
}

/// Bytes of a frame's header: the step's code and the length, little endian.
pub const HEADER_BYTES: usize = 5;

/// A frame that says nothing but that its sender is there. Whoever lays a channel over a connection may send one between
/// two messages; [`stream::Framed`] passes over it. Its code is no step's.
pub const HEARTBEAT: [u8; HEADER_BYTES] = [0; HEADER_BYTES];

/// A frame that says that its sender gives up; nothing follows it. For [`stream::Framed`] it is [`Fault::PeerStopped`].
pub const GIVE_UP: [u8; HEADER_BYTES] = [0, 0xff, 0xff, 0xff, 0xff];

/// The header of a message, or a fault where no frame can carry it.
pub(crate) fn header(step: Step, length: usize) -> Result<[u8; HEADER_BYTES], Fault> {
    let too_long = Fault::TooMany {
        what: "bytes of one message",
        count: length as u64,
        most: MAX_FRAME_BYTES as u64,
    };
    if length > MAX_FRAME_BYTES {
        return Err(too_long);
    }
    let [a, b, c, d] = u32::try_from(length).map_err(|_| too_long)?.to_le_bytes();
    Ok([step.code(), a, b, c, d])
}

/// Compares a header that came with what is waited for.
pub(crate) fn admit(header: [u8; HEADER_BYTES], step: Step, length: usize) -> Result<(), Fault> {
    let [code, a, b, c, d] = header;
    if code != step.code() {
        return Err(Fault::misbehaved(step, "a message of another step came"));
    }
    if u32::from_le_bytes([a, b, c, d]) as usize != length {
        return Err(Fault::misbehaved(step, "the message is not as long as the agreed sizes say"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
