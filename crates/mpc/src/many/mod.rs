//! The intersection of more than two sets. One party, the leader, learns it; nobody learns anything about fewer of them.
//!
//! ```text
//!   leader X              member 1: Y₁        member 2: Y₂        …        member m: Y_m
//!           ◄── nonce ──── each
//!           ─── all nonces ──► each          keys K_ij of members i, j from their public keys and all nonces
//!                                            s_i(y) = Σ_j PRF(K_ij, y)         so Σ_i s_i(y) = 0 for every y
//!           ◄── OPPRF of { y → s_i(y) : y ∈ Y_i } ──► each in turn
//!   x is in all sets where what it got for x adds up to zero
//! ```
//!
//! KMPRT17 (Kolesnikov, Matania, Pinkas, Rosulek and Trieu, eprint 2017/799, the augmented semi-honest protocol) over [`crate::opprf`].
//! If any member lacks x, the leader gets something random from it instead of its share, and shares of fewer than all members are
//! random too, since each of them holds a key with one that is missing. So the leader sees the same noise for an item that all but one
//! member have as for one that none has. A leader's own share would change nothing, so it has no key.
//!
//! Threats. All parties curious, in the sense of KMPRT17's *augmented* model: those who collude may agree on their inputs first.
//!
//! * Members learn nothing but the agreed sizes, also if all of them collude: nothing that depends on another party's items reaches them.
//! * The leader alone learns the intersection of all sets and nothing else.
//! * The leader **together with** some members learns which of the leader's items all *other* members have: the sets of those who
//!   collude stop counting. With all members but one that is the intersection with this one. So the leader is to be
//!   the party that the members least expect to side with one of them.
//!
//! The leader carries the members' messages, but never holds a key of theirs: K_ij comes from a static Diffie–Hellman agreement on
//! ristretto255 between public keys that the caller vouches for (a node signs its own), the terms, and nonces. **A leader that
//! can put in a public key of its own reads the shares**, so keys must come from signed statements and not from the leader. Each
//! member's own nonce is in its keys: its shares are new in every session, also where an identifier or a public key is used again.
//!
//! Nothing here holds against a party that deviates: a leader can put in other items, and a member can make the result wrong.

pub mod ideal;
mod leader;
mod member;
mod shares;

pub use leader::{Blamed, lead};
pub use member::join;
pub use shares::{MemberKey, PublicKey};

use crate::base_ot::POINT_BYTES;
use crate::fault::Fault;
use crate::hash::{derive, domain};
use crate::limits::{MAX_ITEMS, MAX_PARTIES, ZERO_SHARE_BYTES};
use crate::opprf;

/// A member as all parties know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Whose it is has been verified by the caller, on every side.
    pub key: PublicKey,
    /// Its set looks as if it had exactly that many items.
    pub items: u64,
}

/// What all parties agree on before a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub leader_items: u64,
    /// In the order that gives each its number.
    pub members: Vec<Member>,
}

const NONCE_BYTES: usize = 32;

impl Terms {
    /// What the leader and one member compare when they say hello: everything, and which member it is.
    fn bytes(&self, number: usize) -> Vec<u8> {
        let mut bytes = b"psi-many".to_vec();
        bytes.extend_from_slice(&(number as u64).to_le_bytes());
        bytes.extend_from_slice(&self.digest());
        bytes
    }

    fn digest(&self) -> [u8; 32] {
        let mut all = self.leader_items.to_le_bytes().to_vec();
        for member in &self.members {
            all.extend_from_slice(&member.key.0);
            all.extend_from_slice(&member.items.to_le_bytes());
        }
        derive(domain::ZERO_SHARES, &[b"terms", &all])
    }

    /// Bounds, and that no two members have one key: the share between them would be known to who put it there twice.
    fn check(&self) -> Result<(), Fault> {
        if self.members.is_empty() {
            return Err(Fault::ApiMisuse("a session of many needs at least one member"));
        }
        let (count, most) = (self.members.len() as u64 + 1, MAX_PARTIES as u64);
        if count > most {
            return Err(Fault::TooMany { what: "parties", count, most });
        }
        for count in self.members.iter().map(|member| member.items).chain([self.leader_items]) {
            if count > MAX_ITEMS {
                return Err(Fault::TooMany { what: "items of one party", count, most: MAX_ITEMS });
            }
        }
        let mut keys: Vec<[u8; POINT_BYTES]> =
            self.members.iter().map(|member| member.key.0).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Fault::PeerIncompatible { what: "two members have the same public key" });
        }
        Ok(())
    }

    /// The function between the leader and one member.
    fn function(&self, member: &Member) -> opprf::Terms {
        let (queries, programmed) = (self.leader_items, member.items);
        opprf::Terms { queries, programmed, value_bytes: ZERO_SHARE_BYTES, parts: 1 }
    }
}

#[cfg(test)]
mod tests;
