//! Length-prefixed frames between host and worker: `kind (1) ‖ length (4, big endian) ‖ payload`.
//!
//! The host treats a worker as hostile: every kind has a bound, checked before anything is
//! allocated.

use thiserror::Error;

use crate::job::Summary;
use crate::limits::{
    IPC_OVERHEAD_BYTES, MAX_HELLO_BYTES, MAX_JOB_BYTES, MAX_KEYS_BYTES, MAX_REFUSAL_BYTES,
    MAX_SUMMARY_BYTES,
};

/// Bytes of a frame header.
pub const HEADER_BYTES: usize = 5;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// host → worker: the job, JSON.
    Job,
    /// host → worker: wrapped data keys, JSON.
    Keys,
    /// worker → host: jail report and public key, JSON.
    Hello,
    /// worker → host: summary length (4) ‖ summary JSON ‖ Arrow IPC stream.
    Result,
    /// worker → host: a refusal, JSON.
    Refused,
    /// worker → host: the worker itself could not go on; empty.
    Failed,
}

/// Bytes that are not a frame of ours.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// Unknown first byte.
    #[error("unknown frame kind {0}")]
    Kind(u8),
    /// Longer than its kind may be.
    #[error("a {kind:?} frame of {length} bytes exceeds its bound of {bound}")]
    TooLong {
        /// Kind of the frame.
        kind: Kind,
        /// Announced length.
        length: u64,
        /// Largest accepted length.
        bound: u64,
    },
    /// Shorter than its fields.
    #[error("the frame is cut short")]
    Short,
    /// The JSON in it does not fit.
    #[error("the frame's JSON does not fit")]
    Json,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Job, Self::Keys, Self::Hello, Self::Result, Self::Refused, Self::Failed];

    fn byte(self) -> u8 {
        match self {
            Self::Job => 0x10,
            Self::Keys => 0x11,
            Self::Hello => 0x01,
            Self::Result => 0x02,
            Self::Refused => 0x03,
            Self::Failed => 0x04,
        }
    }

    /// Largest payload; `result` is what the job lets out.
    fn bound(self, result: u64) -> u64 {
        match self {
            Self::Job => MAX_JOB_BYTES as u64,
            Self::Keys => MAX_KEYS_BYTES as u64,
            Self::Hello => MAX_HELLO_BYTES as u64,
            Self::Result => {
                result.saturating_add(IPC_OVERHEAD_BYTES).saturating_add(MAX_SUMMARY_BYTES as u64)
            }
            Self::Refused => MAX_REFUSAL_BYTES as u64,
            Self::Failed => 0,
        }
    }
}

/// Reads a header. `result_bytes` bounds a `Result` frame.
///
/// # Errors
/// An unknown kind, or a length above the kind's bound.
pub fn parse_header(
    header: [u8; HEADER_BYTES],
    result_bytes: u64,
) -> Result<(Kind, usize), FrameError> {
    let [first, length @ ..] = header;
    let kind =
        Kind::ALL.into_iter().find(|kind| kind.byte() == first).ok_or(FrameError::Kind(first))?;
    let length = u32::from_be_bytes(length);
    let bound = kind.bound(result_bytes);
    if u64::from(length) > bound {
        return Err(FrameError::TooLong { kind, length: u64::from(length), bound });
    }
    let length = usize::try_from(length).map_err(|_| FrameError::Short)?;
    Ok((kind, length))
}

/// Writes a header.
///
/// # Errors
/// When `payload` exceeds what 32 bits can say.
pub fn header(kind: Kind, payload: usize) -> Result<[u8; HEADER_BYTES], FrameError> {
    let length = u32::try_from(payload).map_err(|_| FrameError::TooLong {
        kind,
        length: payload as u64,
        bound: u64::from(u32::MAX),
    })?;
    let [a, b, c, d] = length.to_be_bytes();
    Ok([kind.byte(), a, b, c, d])
}

/// Splits the payload of a `Result` frame into its summary and the Arrow IPC bytes.
///
/// # Errors
/// When the payload is cut short or its summary does not parse.
pub fn parse_result(mut payload: Vec<u8>) -> Result<(Summary, Vec<u8>), FrameError> {
    let (length, rest) = payload.split_first_chunk::<4>().ok_or(FrameError::Short)?;
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_SUMMARY_BYTES {
        return Err(FrameError::Short);
    }
    let summary = rest.get(..length).ok_or(FrameError::Short)?;
    let summary = serde_json::from_slice(summary).map_err(|_| FrameError::Json)?;
    payload.drain(..4 + length);
    Ok((summary, payload))
}

/// The payload of a `Result` frame up to the Arrow IPC bytes, which follow as they are.
pub(crate) fn result_prefix(summary: &Summary) -> Result<Vec<u8>, FrameError> {
    let json = serde_json::to_vec(summary).map_err(|_| FrameError::Json)?;
    if json.len() > MAX_SUMMARY_BYTES {
        return Err(FrameError::TooLong {
            kind: Kind::Result,
            length: json.len() as u64,
            bound: MAX_SUMMARY_BYTES as u64,
        });
    }
    let length = u32::try_from(json.len()).map_err(|_| FrameError::Short)?;
    let mut prefix = length.to_be_bytes().to_vec();
    prefix.extend_from_slice(&json);
    Ok(prefix)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_are_checked_before_reading() {
        let bad = [
            ([0x00, 0, 0, 0, 0], FrameError::Kind(0)),
            (
                [0x01, 0xff, 0xff, 0xff, 0xff],
                FrameError::TooLong { kind: Kind::Hello, length: 0xffff_ffff, bound: 65536 },
            ),
            ([0x04, 0, 0, 0, 1], FrameError::TooLong { kind: Kind::Failed, length: 1, bound: 0 }),
        ];
        for (bytes, expected) in bad {
            assert_eq!(parse_header(bytes, 10), Err(expected));
        }
        for kind in Kind::ALL {
            let bytes = header(kind, 0).unwrap();
            assert_eq!(parse_header(bytes, 0), Ok((kind, 0)));
        }
    }

    proptest! {
        #[test]
        fn results_survive(ipc in proptest::collection::vec(any::<u8>(), 0..64), rows: u64) {
            let summary = Summary { rows };
            let mut payload = result_prefix(&summary).unwrap();
            payload.extend_from_slice(&ipc);
            prop_assert_eq!(parse_result(payload), Ok((summary, ipc)));
        }

        #[test]
        fn noise_never_panics(noise in proptest::collection::vec(any::<u8>(), 0..64)) {
            drop(parse_result(noise));
        }
    }
}
