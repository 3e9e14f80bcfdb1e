//! Shares of zero: what members hold in common, and the leader must never come to know.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::{NONCE_BYTES, Terms};
use crate::base_ot::POINT_BYTES;
use crate::fault::Fault;
use crate::hash::{derive, domain, half};
use crate::limits::ZERO_SHARE_BYTES;
use crate::random::Seed;

/// A member's public key: a point of ristretto255, compressed. Whose it is, the caller verifies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(pub [u8; POINT_BYTES]);

/// A member's secret key. It may be used in many sessions; a new one for each means that none can be opened later.
pub struct MemberKey {
    secret: Scalar,
    public: PublicKey,
}

impl MemberKey {
    pub fn from_seed(seed: &Seed) -> Self {
        let secret = seed.child(b"member key").stream().scalar();
        let public = PublicKey(RistrettoPoint::mul_base(&secret).compress().to_bytes());
        Self { secret, public }
    }

    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// This member's keys with all others, bound to what all parties agreed on and to every member's nonce.
    pub(super) fn agree(
        &self,
        terms: &Terms,
        number: usize,
        nonces: &[u8],
    ) -> Result<Zeroizing<Vec<u128>>, Fault> {
        debug_assert_eq!(nonces.len(), terms.members.len() * NONCE_BYTES);
        let digest = terms.digest();
        let mut keys = Zeroizing::new(Vec::with_capacity(terms.members.len()));
        for (other, member) in terms.members.iter().enumerate().filter(|(n, _)| *n != number) {
            let wrong = Fault::PeerIncompatible { what: "a member's public key is not a point" };
            let point = CompressedRistretto(member.key.0).decompress();
            let point = point.filter(|point| !point.is_identity()).ok_or(wrong)?;
            let shared = Zeroizing::new((self.secret * point).compress().to_bytes());
            let [low, high] = [number.min(other), number.max(other)].map(|n| n as u64);
            let pair = [low.to_le_bytes(), high.to_le_bytes()].concat();
            let key = derive(domain::ZERO_SHARES, &[b"key", &*shared, &digest, nonces, &pair]);
            keys.push(half(&Zeroizing::new(key)));
        }
        Ok(keys)
    }
}

impl Drop for MemberKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl std::fmt::Debug for MemberKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemberKey(hidden, {:?})", self.public)
    }
}

const BATCH: usize = 64;

/// Each item with its share: the sum of AES of the item under every key, cut to a share's length.
pub(super) fn shares(keys: &[u128], items: &[u128]) -> Zeroizing<Vec<(u128, u128)>> {
    let mut shares: Zeroizing<Vec<(u128, u128)>> =
        Zeroizing::new(items.iter().map(|item| (*item, 0)).collect());
    for key in keys {
        let cipher = Aes128::new(&key.to_le_bytes().into());
        for batch in shares.chunks_mut(BATCH) {
            let mut blocks = [aes::Block::default(); BATCH];
            let blocks = &mut blocks[..batch.len()];
            for (block, (item, _)) in blocks.iter_mut().zip(&*batch) {
                *block = item.to_le_bytes().into();
            }
            cipher.encrypt_blocks(blocks);
            for (block, (_, share)) in blocks.iter().zip(batch) {
                *share ^= u128::from_le_bytes((*block).into()) & KEEP;
            }
        }
    }
    shares
}

const KEEP: u128 = u128::MAX >> (128 - 8 * ZERO_SHARE_BYTES);
