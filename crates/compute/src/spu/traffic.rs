//! What came and what went, over one link: pieces put together, repeats dropped, confirmations counted. Pure.
//!
//! **Invariant:** what lies here unread is bounded in number and bytes, whatever the peer sends.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::{Bytes, BytesMut};

use super::fault::{Fault, Step};
use super::limits::{MOST_MESSAGE_BYTES, MOST_OUT_OF_ORDER, MOST_UNREAD, MOST_UNREAD_BYTES};
use super::wire::{ACK, FIN, PushRequest, decimal, piece_fits, split};

/// Numbers from 1 on, each once.
#[derive(Debug, Default)]
struct Numbers {
    all_up_to: u64,
    beyond: BTreeSet<u64>,
}

impl Numbers {
    fn count(&self) -> u64 {
        self.all_up_to + self.beyond.len() as u64
    }

    /// Whether the number is new.
    fn insert(&mut self, number: u64) -> bool {
        let new = number > self.all_up_to && self.beyond.insert(number);
        while self.beyond.remove(&(self.all_up_to + 1)) {
            self.all_up_to += 1;
        }
        new
    }

    fn contains(&self, number: u64) -> bool {
        number <= self.all_up_to || self.beyond.contains(&number)
    }

    fn complete(&self, count: u64) -> bool {
        self.all_up_to >= count
    }
}

/// What a request turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Connect,
    Message,
    /// A message that nobody will read any more: to be confirmed at once.
    Unwanted(u64),
    Confirmed,
    Farewell,
    /// A connect message at the end: the peer's next session, which is not for this link.
    Early,
    /// A piece, or something that came before.
    Nothing,
}

#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// Ours: the other of the two that the peer says it is.
    rank: Option<u64>,
    unread: HashMap<String, (Bytes, u64)>,
    pieces: HashMap<String, BTreeMap<usize, Bytes>>,
    bytes: usize,
    received: Numbers,
    confirmed: Numbers,
    sent: u64,
    connects: u64,
    farewell: Option<u64>,
    closing: bool,
}

impl Traffic {
    pub(super) fn new(rank: Option<u64>) -> Self {
        Self { rank, ..Self::default() }
    }

    pub(super) fn rank(&self) -> Option<u64> {
        self.rank
    }

    pub(super) fn connects(&self) -> u64 {
        self.connects
    }

    /// Whether the peer is past connecting: it has said something.
    pub(super) fn began(&self) -> bool {
        self.received.count() > 0
    }

    /// The number of the next message of ours.
    pub(super) fn next_number(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    pub(super) fn unconfirmed(&self) -> u64 {
        self.sent.saturating_sub(self.confirmed.count())
    }

    /// Takes a message out, with its number, which is then to be confirmed.
    pub(super) fn take(&mut self, name: &str) -> Option<(Bytes, u64)> {
        let it = self.unread.remove(name)?;
        self.bytes -= it.0.len();
        Some(it)
    }

    /// From here on nobody reads; the numbers of what lies here unread, to be confirmed.
    pub(super) fn close(&mut self) -> Vec<u64> {
        self.closing = true;
        self.bytes = 0;
        self.pieces.clear();
        self.unread.drain().map(|(_, (_, number))| number).collect()
    }

    /// Whether the peer has said farewell, everything it said has come, and it has confirmed everything of ours.
    pub(super) fn ended(&self) -> bool {
        self.farewell.is_some_and(|count| self.received.complete(count))
            && self.confirmed.complete(self.sent)
    }

    pub(super) fn admit(&mut self, request: PushRequest) -> Result<Came, Fault> {
        let misbehaved = |what| Err(Fault::misbehaved(Step::Link, what));
        match self.rank {
            None if request.sender_rank > 1 => return misbehaved("a rank that is neither 0 nor 1"),
            None => self.rank = Some(1 - request.sender_rank),
            Some(rank) if request.sender_rank == 1 - rank => {}
            Some(_) => return misbehaved("a message of another rank"),
        }
        match (request.trans_type, request.piece) {
            (0, _) => self.whole(&request.key, request.value),
            (1, Some(piece)) => {
                let Some((length, offset)) = piece_fits(piece, request.value.len()) else {
                    return misbehaved("a piece that does not fit its message");
                };
                match self.piece(&request.key, length, offset, request.value)? {
                    Some(message) => self.whole(&request.key, message),
                    None => Ok(Came::Nothing),
                }
            }
            _ => misbehaved("a message that is neither whole nor a piece"),
        }
    }

    /// The whole message, once this was the missing piece. Memory grows with what came, not with what is claimed.
    fn piece(
        &mut self,
        key: &str,
        length: usize,
        offset: usize,
        value: Bytes,
    ) -> Result<Option<Bytes>, Fault> {
        let Some((_, number)) = split(key).filter(|(_, number)| *number > 0) else {
            return Err(Fault::misbehaved(Step::Link, "a piece of no message"));
        };
        let pieces = self.pieces.get(key);
        if self.received.contains(number) || pieces.is_some_and(|it| it.contains_key(&offset)) {
            return Ok(None);
        }
        self.room(value.len())?;
        self.bytes += value.len();
        let pieces = self.pieces.entry(key.to_owned()).or_default();
        pieces.insert(offset, value);
        let came: usize = pieces.values().map(Bytes::len).sum();
        if came < length {
            return Ok(None);
        }
        let pieces = self.pieces.remove(key).unwrap_or_default();
        self.bytes = self.bytes.saturating_sub(came);
        let mut whole = BytesMut::with_capacity(length);
        for (offset, piece) in pieces {
            if offset != whole.len() || whole.len() + piece.len() > length {
                return Err(Fault::misbehaved(Step::Link, "pieces that overlap"));
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Some(whole.freeze()))
    }

    fn whole(&mut self, key: &str, value: Bytes) -> Result<Came, Fault> {
        let misbehaved = |what| Err(Fault::misbehaved(Step::Link, what));
        if key == ACK {
            return match decimal(&value) {
                Some(number) if (1..=self.sent).contains(&number) => {
                    self.confirmed.insert(number);
                    Ok(Came::Confirmed)
                }
                _ => misbehaved("a confirmation of what was never sent"),
            };
        }
        if key == FIN {
            let Some(count) = decimal(&value) else {
                return misbehaved("a farewell without a number");
            };
            self.farewell.get_or_insert(count);
            return Ok(Came::Farewell);
        }
        let Some((name, number)) = split(key) else {
            let what = "its messages have no numbers: leave `disable_msg_seq_id` off";
            return Err(Fault::PeerIncompatible { what });
        };
        if number == 0 && self.closing {
            return Ok(Came::Early);
        }
        if number == 0 {
            self.connects += 1;
            return Ok(Came::Connect);
        }
        if value.len() > MOST_MESSAGE_BYTES || self.received.beyond.len() >= MOST_OUT_OF_ORDER {
            return misbehaved("a message that is too long, or too many out of order");
        }
        if !self.received.insert(number) {
            return Ok(Came::Nothing);
        }
        if self.closing {
            return Ok(Came::Unwanted(number));
        }
        self.room(value.len())?;
        let bytes = value.len();
        if self.unread.insert(name.to_owned(), (value, number)).is_some() {
            return misbehaved("two messages under one name");
        }
        self.bytes += bytes;
        Ok(Came::Message)
    }

    fn room(&self, bytes: usize) -> Result<(), Fault> {
        let full = self.unread.len() + self.pieces.len() >= MOST_UNREAD;
        if full || self.bytes + bytes > MOST_UNREAD_BYTES {
            let what = "it sends more than is read: leave `throttle_window_size` at 10";
            return Err(Fault::PeerIncompatible { what });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
