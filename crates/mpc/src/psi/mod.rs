//! Private set intersection of two parties.
//!
//! ```text
//!   receiver X                                                  sender Y
//!   P encodes { x → H(x) };  (a, c) ◄──── silent VOLE ────► (Δ, b),  c = a·Δ + b
//!                                 A = P + a
//!              ───────────── okvs, bin by bin ────────────►  K = b + Δ·A = c + Δ·P
//!   F(x) = H'(decode(c, x), x)                               F(y) = H'(decode(K, y) + Δ·H(y), y)
//!              ◄──────────── masks: F(Y), sorted ──────────
//!   X ∩ Y
//!              ─ ─ ─ matches, if both are to learn it ─ ─ ►
//! ```
//!
//! RR22 (Raghuraman and Rindal, "Blazing Fast PSI", CCS 2022, figure 4; 11 in the authors' own version), with the item in H' as in RS21
//! (Rindal and Schoppmann, "VOLE-PSI", EUROCRYPT 2021), and its malicious variant, which is that of RS21. For `x ∈ X`, `decode(P, x) = H(x)`
//! and both sides come to the same F(x); for any other y a multiple of Δ remains, which the receiver cannot guess.
//! The low-communication variant ([`Security::SemiHonestLow`]) has a smaller store and 64-bit values in it: `docs/psi/low-communication.md`.
//! In the malicious variant a random w of both goes into F, vectors are checked, F has 128 bits, and who reports matches
//! proves them by a hash of the second halves of F: one for all, so its length says nothing. At the end both compare what they saw.
//!
//! [`labelled`] also gives the receiver what the sender has to say about each common item.
//!
//! [`Security::Ecdh`] gets F by Diffie and Hellman ([`ecdh`]) and not from vectors: for small sets, with next to no fixed part of
//! messages, and against a curious peer. All around F is the same. [`ecdh`] can also give the size alone.
//!
//! Threats. A curious peer learns the intersection it is due, and the agreed sizes: sets are filled up to them, masks are
//! sorted, so neither real sizes, order nor position show. A malicious receiver can put in other items than it has, and
//! as many as the store has places (1.3 times the agreed size, 63 for the smallest), and some more if it searches for them during the
//! session (overfitting, HKLS24: `docs/psi.md`); it cannot test items later. A malicious sender can put in other items; it learns
//! nothing. Whoever learns first can stop: there is no fairness. What
//! an intersection itself gives away, session after session, is for contracts to limit.

mod band;
pub mod ecdh;
pub mod ideal;
pub mod labelled;
pub(crate) mod masks;
mod receiver;
mod sender;
mod set;

pub use receiver::Receiver;
pub use sender::Sender;
pub use set::{Item, Set};

use crate::fault::Fault;
use crate::field::Gf;
use crate::hash::{Permutation, derive, domain, halves};
use crate::limits::{
    MALICIOUS_MASK_BITS, MAX_ECDH_PART_ITEMS, MAX_ITEMS, MAX_PARTITIONS, part_bits,
};
use crate::okvs::Binned;
use crate::vole;

/// Against whom an intersection holds, and what F is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// A peer that follows the protocol and looks at all it sees.
    SemiHonest,
    /// The same peer, with fewer bytes.
    SemiHonestLow,
    /// A peer that does anything.
    Malicious,
    /// A peer that follows the protocol; F is by Diffie and Hellman on Curve25519.
    Ecdh,
}

impl Security {
    fn checked(self) -> bool {
        self == Self::Malicious
    }

    /// The vectors that F is made of; none where it is made of points.
    fn vectors(self) -> Option<vole::Security> {
        match self {
            Self::SemiHonest => Some(vole::Security::SemiHonest),
            Self::SemiHonestLow => Some(vole::Security::SemiHonestLow),
            Self::Malicious => Some(vole::Security::Malicious),
            Self::Ecdh => None,
        }
    }
}

/// Who learns the intersection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learns {
    Receiver,
    Both,
}

/// What both parties agree on before a session. Compared byte by byte when they say hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub security: Security,
    pub learns: Learns,
    /// Sizes that may be known: each party's set has at most that many items, and looks as if it had exactly that many.
    pub receiver_items: u64,
    pub sender_items: u64,
    /// Of so many parts this is one: what goes wrong by chance goes wrong in any of them with probability 2^-40. One: the whole.
    pub parts: u32,
}

/// What stands in terms for a number of parts: nothing for a whole.
pub(crate) fn parts_bytes(parts: u32) -> Vec<u8> {
    if parts == 1 { Vec::new() } else { parts.to_le_bytes().to_vec() }
}

/// Refuses a number of parts that no job has.
pub(crate) fn check_parts(parts: u32) -> Result<(), Fault> {
    match parts {
        0 => Err(Fault::ApiMisuse("a job has at least one part")),
        1..=MAX_PARTITIONS => Ok(()),
        _ => {
            let (count, most) = (parts.into(), MAX_PARTITIONS.into());
            Err(Fault::TooMany { what: "parts", count, most })
        }
    }
}

impl Terms {
    pub fn bytes(&self) -> Vec<u8> {
        let (name, security): (&[u8], u8) = match self.security {
            Security::SemiHonest => (b"psi-rr22", 0),
            Security::SemiHonestLow => (b"psi-rr22", 2),
            // With one proof for all matches.
            Security::Malicious => (b"psi-rr22", 3),
            Security::Ecdh => (b"psi-ecdh", 8),
        };
        let learns = match self.learns {
            Learns::Receiver => 0,
            Learns::Both => 1,
        };
        let mut bytes = name.to_vec();
        bytes.extend_from_slice(&[security, learns]);
        bytes.extend_from_slice(&self.receiver_items.to_le_bytes());
        bytes.extend_from_slice(&self.sender_items.to_le_bytes());
        bytes.extend(parts_bytes(self.parts));
        bytes
    }

    /// Length of a mask: as long as a false match is improbable (below 2^-40 among all pairs of all parts), or 128 bits.
    fn mask_bits(&self) -> u32 {
        match self.security {
            Security::SemiHonest | Security::SemiHonestLow | Security::Ecdh => {
                let pairs = log2_up(self.receiver_items) + log2_up(self.sender_items);
                (part_bits(self.parts) + pairs).min(MALICIOUS_MASK_BITS)
            }
            Security::Malicious => MALICIOUS_MASK_BITS,
        }
    }

    /// The bits of a mask that there are.
    fn keep(&self) -> u128 {
        u128::MAX >> (128 - self.mask_bits().clamp(1, 128))
    }

    fn check(&self) -> Result<(), Fault> {
        check_parts(self.parts)?;
        let most = self.most_items();
        for count in [self.receiver_items, self.sender_items] {
            if count > most {
                return Err(Fault::TooMany { what: "items of one party", count, most });
            }
        }
        Ok(())
    }

    /// Most items of one party in one run.
    pub(crate) fn most_items(&self) -> u64 {
        match self.security {
            Security::SemiHonest | Security::SemiHonestLow | Security::Malicious => MAX_ITEMS,
            Security::Ecdh => MAX_ECDH_PART_ITEMS,
        }
    }
}

pub(crate) fn log2_up(count: u64) -> u32 {
    count.max(1).next_power_of_two().ilog2()
}

/// What a party knows once the store has travelled. Protocols on top hash `values` in their own way.
pub(crate) struct Evaluated {
    /// What everything else of this run is to be bound to.
    pub(crate) run: [u8; 32],
    /// The party's items, bin by bin.
    pub(crate) binned: Binned,
    /// What both decode for an item that both have; never to leave unhashed.
    pub(crate) values: Vec<Gf>,
    pub(crate) output: Output,
}

/// F of a party's items as the peer may see it.
struct Masked {
    run: [u8; 32],
    masks: Vec<u128>,
    /// In the malicious variant, what proves each of them; else none.
    proofs: Vec<u128>,
    /// Which item of the set each of the first masks is of.
    origin: Vec<u32>,
}

/// The last hash of the pseudo-random function: what is compared, and what proves that somebody could work it out.
pub(crate) struct Output {
    security: vole::Security,
    permutation: Permutation,
    key: [u8; 32],
    keep: u128,
}

impl Output {
    /// `coin` is the w of both parties in the malicious variant.
    fn new(security: vole::Security, terms: &Terms, run: &[u8; 32], coin: &[u8; 32]) -> Self {
        Self {
            security,
            permutation: Permutation::bound(domain::OUTPUTS, run),
            key: derive(domain::PROVEN_OUTPUTS, &[run, coin]),
            keep: terms.keep(),
        }
    }

    /// Masks in the order of the items; their proofs too in the malicious variant, else none.
    fn masks(&self, values: Vec<Gf>, items: &[u128]) -> (Vec<u128>, Vec<u128>) {
        match self.security {
            vole::Security::SemiHonest | vole::Security::SemiHonestLow => {
                let mut masks: Vec<u128> = values.into_iter().map(|value| value.0).collect();
                self.permutation
                    .tweaked(&mut masks, |index| items.get(index).copied().unwrap_or(0));
                for mask in &mut masks {
                    *mask &= self.keep;
                }
                (masks, Vec::new())
            }
            vole::Security::Malicious => {
                let hashed = values.iter().zip(items).map(|(value, item)| {
                    let mut input = [0; 32];
                    input[..16].copy_from_slice(&value.to_bytes());
                    input[16..].copy_from_slice(&item.to_le_bytes());
                    let [mask, proof] = halves(blake3::keyed_hash(&self.key, &input).as_bytes());
                    (mask, proof)
                });
                hashed.unzip()
            }
        }
    }
}

/// Proof of all matches of a run: the second halves of F, in the order of the masks. Without one of them nobody can say it but
/// with probability 2^-128, and it is as long for one match as for a million.
fn proof_of(run: &[u8; 32], proofs: impl Iterator<Item = u128>) -> [u8; 32] {
    let all: Vec<u8> = proofs.flat_map(u128::to_le_bytes).collect();
    derive(domain::MATCHES, &[run, &all])
}

/// What one run among several over the same vectors is bound to.
fn run_binding(binding: &[u8; 32], run: u64) -> [u8; 32] {
    derive(domain::SESSION, &[binding, b"run", &run.to_le_bytes()])
}

#[cfg(test)]
pub(crate) mod tests;
