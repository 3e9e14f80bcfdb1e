//! A channel over anything that reads and writes: a TCP connection, a TLS session, a pipe.
//!
//! Memory grows with the bytes that arrived, never with what a header claims. Never buffers past the end of a message.

use std::io::{self, Read, Write};

use super::{Channel, GIVE_UP, HEARTBEAT, admit, header};
use crate::fault::Fault;
use crate::limits::READ_CHUNK_BYTES;
use crate::step::Step;

/// Up to here copying a message is cheaper than a packet of its own for the header.
const SMALL_BYTES: usize = 16 * 1024;

/// One end over a stream. Time-outs are the stream's: one that reports them ends the session with [`Fault::Lost`].
#[derive(Debug)]
pub struct Framed<S> {
    stream: S,
}

impl<S: Read + Write> Framed<S> {
    pub fn new(stream: S) -> Self {
        Self { stream }
    }

    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: Read + Write> Channel for Framed<S> {
    fn send(&mut self, step: Step, message: &[u8]) -> Result<(), Fault> {
        let header = header(step, message.len())?;
        // Small messages go in one write: one packet instead of two.
        let split = if message.len() > SMALL_BYTES { 0 } else { message.len() };
        let (first, rest) = message.split_at(split);
        let first = [&header[..], first].concat();
        self.stream.write_all(&first).map_err(|why| lost(step, &why))?;
        self.stream.write_all(rest).map_err(|why| lost(step, &why))?;
        self.stream.flush().map_err(|why| lost(step, &why))
    }

    fn receive(&mut self, step: Step, length: usize) -> Result<Vec<u8>, Fault> {
        let mut found = HEARTBEAT;
        while found == HEARTBEAT {
            self.stream.read_exact(&mut found).map_err(|why| lost(step, &why))?;
        }
        if found == GIVE_UP {
            return Err(Fault::PeerStopped);
        }
        admit(found, step, length)?;
        let mut message = Vec::new();
        while message.len() < length {
            let begin = message.len();
            let chunk = (length - begin).min(READ_CHUNK_BYTES);
            message.resize(begin + chunk, 0);
            self.stream.read_exact(&mut message[begin..]).map_err(|why| lost(step, &why))?;
        }
        Ok(message)
    }
}

fn lost(step: Step, why: &io::Error) -> Fault {
    Fault::Lost { step, reason: why.to_string() }
}
