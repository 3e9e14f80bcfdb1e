//! What a party remembers of a job that is not about rows alone, as entries of its journal.
//!
//! Of sizes and sums: shares, which are random numbers without the peer's, and in the end the answer, which the party may learn. Of
//! labels: what came with the party's own rows, which is its result. Never a key or a value of the party's own list.

use std::collections::BTreeMap;

use tidm_mpc::circuit::{Opened, Totals};
use tidm_mpc::partition::shares::Share;
use tidm_mpc::psi::labelled::Found;

/// One thing worth remembering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Counts when the part it belongs to is done behind it.
    Share(Share),
    Opened(Opened),
    /// The digest of the runs whose totals are opened. Durable before anything of them is.
    Closing([u8; 32]),
    /// Labels of one length each, by rows.
    Labels {
        part: u32,
        bytes: u32,
        found: Vec<Found>,
    },
}

/// All that was remembered, without labels.
#[derive(Clone, Debug, Default)]
pub struct More {
    pub shares: BTreeMap<u32, Share>,
    /// Of the first opening: others are none of this job.
    pub closing: Option<[u8; 32]>,
    pub opened: Option<Opened>,
}

impl More {
    pub(super) fn take(&mut self, kept: Kept) {
        match kept {
            Kept::Share(share) => {
                self.shares.insert(share.part, share);
            }
            Kept::Opened(opened) => {
                self.opened.get_or_insert(opened);
            }
            Kept::Closing(runs) => {
                self.closing.get_or_insert(runs);
            }
            Kept::Labels { .. } => {}
        }
    }
}

impl Kept {
    pub(super) fn write(&self) -> Vec<u8> {
        match self {
            Self::Share(it) => {
                let totals = [it.totals.size, it.totals.sum].map(u64::to_le_bytes).concat();
                [&[1][..], &it.part.to_le_bytes(), &it.run, &totals].concat()
            }
            Self::Opened(it) => {
                let said = |there: bool, bit: u8| u8::from(there) << bit;
                let flags = said(it.within, 0)
                    | said(it.size.is_some(), 1)
                    | said(it.sum.is_some(), 2)
                    | said(it.at_least.is_some(), 3)
                    | said(it.at_least == Some(true), 4);
                let size = it.size.unwrap_or(0).to_le_bytes();
                [&[2, flags][..], &size, &it.sum.unwrap_or(0).to_le_bytes()].concat()
            }
            Self::Closing(runs) => [&[4][..], runs].concat(),
            Self::Labels { part, bytes, found } => {
                let mut out = [&[3][..], &part.to_le_bytes(), &bytes.to_le_bytes()].concat();
                for Found { place, label } in found {
                    out.extend_from_slice(&place.to_le_bytes());
                    out.extend_from_slice(label);
                }
                out
            }
        }
    }

    /// Reads what [`Self::write`] wrote; none for anything else.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        match kind {
            1 => {
                let (part, rest) = rest.split_first_chunk()?;
                let (run, rest) = rest.split_first_chunk()?;
                let (size, rest) = rest.split_first_chunk()?;
                let sum = rest.try_into().ok()?;
                let totals =
                    Totals { size: u64::from_le_bytes(*size), sum: u64::from_le_bytes(sum) };
                Some(Self::Share(Share { part: u32::from_le_bytes(*part), run: *run, totals }))
            }
            2 => {
                let ([flags], rest) = rest.split_first_chunk()?;
                let (size, sum) = rest.split_first_chunk()?;
                let sum = i64::from_le_bytes(sum.try_into().ok()?);
                let size = u64::from_le_bytes(*size);
                let said = |bit: u8| flags >> bit & 1 == 1;
                Some(Self::Opened(Opened {
                    within: said(0),
                    size: said(1).then_some(size),
                    sum: said(2).then_some(sum),
                    at_least: said(3).then_some(said(4)),
                }))
            }
            3 => {
                let (part, rest) = rest.split_first_chunk()?;
                let (length, rest) = rest.split_first_chunk()?;
                let bytes = u32::from_le_bytes(*length);
                let mut records = rest.chunks_exact(4 + usize::try_from(bytes).ok()?);
                let found: Option<Vec<Found>> = records
                    .by_ref()
                    .map(|record| {
                        let (place, label) = record.split_first_chunk()?;
                        Some(Found { place: u32::from_le_bytes(*place), label: label.to_vec() })
                    })
                    .collect();
                let found = found.filter(|_| records.remainder().is_empty())?;
                Some(Self::Labels { part: u32::from_le_bytes(*part), bytes, found })
            }
            4 => Some(Self::Closing(rest.try_into().ok()?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_was_written_and_nothing_else() {
        let totals = Totals { size: u64::MAX, sum: 7 };
        let opened = |size, sum, at_least| Opened { within: true, size, sum, at_least };
        let found = vec![
            Found { place: 3, label: vec![1, 2] },
            Found { place: u32::MAX, label: vec![0, 0] },
        ];
        for kept in [
            Kept::Share(Share { part: 9, run: [5; 16], totals }),
            Kept::Opened(Opened::default()),
            Kept::Opened(opened(Some(4), None, None)),
            Kept::Opened(opened(None, Some(-4), None)),
            Kept::Opened(opened(None, None, Some(false))),
            Kept::Opened(opened(None, None, Some(true))),
            Kept::Closing([8; 32]),
            Kept::Labels { part: 1, bytes: 2, found },
            Kept::Labels { part: 1, bytes: 0, found: vec![] },
        ] {
            let bytes = kept.write();
            assert_eq!(Kept::parse(&bytes).as_ref(), Some(&kept));
            for end in 0..bytes.len() {
                assert_ne!(Kept::parse(&bytes[..end]).as_ref(), Some(&kept));
            }
            assert_eq!(Kept::parse(&[&bytes[..], &[1]].concat()), None);
        }
        assert_eq!(Kept::parse(&[9]), None);
        assert_eq!(Kept::parse(&[3, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1]), None);
    }
}
