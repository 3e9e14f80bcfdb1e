//! A pair of channels within one process. Frames are kept whole, so that what is tested here is what travels.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::{Channel, HEADER_BYTES, admit, header};
use crate::fault::Fault;
use crate::step::Step;

/// One end of a pair. Dropping it is what closing a connection is.
#[derive(Debug)]
pub struct Memory {
    to_peer: Sender<Vec<u8>>,
    from_peer: Receiver<Vec<u8>>,
}

/// Two ends that talk to each other.
pub fn pair() -> (Memory, Memory) {
    let (to_right, from_left) = channel();
    let (to_left, from_right) = channel();
    let left = Memory { to_peer: to_right, from_peer: from_right };
    let right = Memory { to_peer: to_left, from_peer: from_left };
    (left, right)
}

impl Channel for Memory {
    fn send(&mut self, step: Step, message: &[u8]) -> Result<(), Fault> {
        let mut frame = Vec::with_capacity(HEADER_BYTES + message.len());
        frame.extend_from_slice(&header(step, message.len())?);
        frame.extend_from_slice(message);
        let lost = |_| Fault::Lost { step, reason: "the peer is gone".to_owned() };
        self.to_peer.send(frame).map_err(lost)
    }

    fn receive(&mut self, step: Step, length: usize) -> Result<Vec<u8>, Fault> {
        let lost = |_| Fault::Lost { step, reason: "the peer is gone".to_owned() };
        let mut frame = self.from_peer.recv().map_err(lost)?;
        let Some((found, message)) = frame.split_first_chunk::<HEADER_BYTES>() else {
            return Err(Fault::misbehaved(step, "a frame without a header came"));
        };
        admit(*found, step, length)?;
        if message.len() != length {
            return Err(Fault::misbehaved(step, "the frame is not as long as its header says"));
        }
        frame.drain(..HEADER_BYTES);
        Ok(frame)
    }
}
