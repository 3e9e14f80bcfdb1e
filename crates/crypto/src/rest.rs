//! Files at rest that a disk may hold and nobody else may read: chunks of AES-256-GCM under a key of the file's own.
//!
//! ```text
//!   file  = "tidmrst1" ‖ salt (32) ‖ chunk … ‖ last chunk
//!   chunk = 65,536 bytes sealed ‖ tag;  the last has fewer, or none
//!   key   = HKDF-SHA-256(root, salt);   nonce = 0 0 0 ‖ last? ‖ number (big-endian)
//!   entry = bytes sealed ‖ tag;                 nonce = 0 0 0 ‖ 2     ‖ number
//! ```
//!
//! Entries are for files that only grow, such as journals: each is sealed alone, at its place, and a file that ends early opens up to there.
//!
//! The STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár (CRYPTO 2015): a chunk that is changed, moved, left out or cut
//! off at the end does not open, and any chunk can be read alone. Threat model: who has the disk sees how long a file is and when it
//! was written; who can write to it can only make it unreadable. Never the same salt for two files: it is drawn, not chosen.

use hkdf::Hkdf;

use crate::aead::{self, NONCE_BYTES, TAG_BYTES};
use crate::domain;
use crate::error::Opaque;
use crate::secret::Secret;

/// Bytes of plaintext in each chunk but the last.
pub const CHUNK_BYTES: usize = 1 << 16;
/// Bytes of a sealed chunk but the last.
pub const SEALED_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
/// Bytes before the first chunk.
pub const HEAD_BYTES: usize = MAGIC.len() + SALT_BYTES;
/// Bytes of a salt.
pub const SALT_BYTES: usize = 32;

const MAGIC: [u8; 8] = *b"tidmrst1";

/// A key for one name below a node's root, so that files cannot be exchanged for each other.
///
/// # Errors
/// Never for names that a store takes: HKDF's own bound.
pub fn named(root: &Secret<[u8; 32]>, name: &str) -> Result<Secret<[u8; 32]>, Opaque> {
    expand(root, domain::REST_NAME, name.as_bytes())
}

fn expand(
    root: &Secret<[u8; 32]>,
    what: &'static str,
    of: &[u8],
) -> Result<Secret<[u8; 32]>, Opaque> {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    Hkdf::<sha2::Sha256>::new(Some(of), root.expose())
        .expand(what.as_bytes(), bytes.as_mut_slice())
        .map_err(|_| Opaque)?;
    Ok(Secret::new(*bytes))
}

/// What a file begins with.
pub fn head(salt: &[u8; SALT_BYTES]) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    for (to, from) in head.iter_mut().zip(MAGIC.iter().chain(salt)) {
        *to = *from;
    }
    head
}

/// Length of what a file of `sealed` bytes holds; `None` for a length that no whole file has.
pub fn plain_length(sealed: u64) -> Option<u64> {
    let (tag, whole) = (TAG_BYTES as u64, SEALED_BYTES as u64);
    let body = sealed.checked_sub(HEAD_BYTES as u64)?.checked_sub(tag)?;
    let rest = body.checked_rem(whole).filter(|rest| *rest < CHUNK_BYTES as u64)?;
    body.checked_div(whole)?.checked_mul(CHUNK_BYTES as u64)?.checked_add(rest)
}

/// One file's key.
#[derive(Clone, Debug)]
pub struct FileKey(Secret<[u8; 32]>);

impl FileKey {
    /// Of a new file: `salt` is fresh.
    ///
    /// # Errors
    /// Never for 32 bytes: HKDF's own bound.
    pub fn new(root: &Secret<[u8; 32]>, salt: &[u8; SALT_BYTES]) -> Result<Self, Opaque> {
        expand(root, domain::REST_FILE, salt).map(Self)
    }

    /// Of a file that begins with `head`.
    ///
    /// # Errors
    /// For what is no such file.
    pub fn read(root: &Secret<[u8; 32]>, head: &[u8; HEAD_BYTES]) -> Result<Self, Opaque> {
        let (magic, salt) = head.split_first_chunk().ok_or(Opaque)?;
        let salt = salt.first_chunk().filter(|_| *magic == MAGIC).ok_or(Opaque)?;
        Self::new(root, salt)
    }

    /// The chunk of that number, from 0. All have [`CHUNK_BYTES`], the last fewer.
    ///
    /// # Errors
    /// For a chunk of another length.
    pub fn seal(&self, number: u64, last: bool, plain: &[u8]) -> Result<Vec<u8>, Opaque> {
        if last != (plain.len() < CHUNK_BYTES) || plain.len() > CHUNK_BYTES {
            return Err(Opaque);
        }
        aead::seal(&self.0, nonce(number, last.into()), &[], plain)
    }

    /// Opens what [`Self::seal`] made for the same place.
    ///
    /// # Errors
    /// For everything else.
    pub fn open(&self, number: u64, last: bool, sealed: &[u8]) -> Result<Secret<Vec<u8>>, Opaque> {
        aead::open(&self.0, nonce(number, last.into()), &[], sealed)
    }

    /// The entry of that number, which no other entry of its file has; `clear` stands beside it and is bound to it.
    ///
    /// # Errors
    /// Above 64 GiB.
    pub fn seal_entry(&self, number: u64, clear: &[u8], plain: &[u8]) -> Result<Vec<u8>, Opaque> {
        aead::seal(&self.0, nonce(number, ENTRY), clear, plain)
    }

    /// Opens what [`Self::seal_entry`] made for the same place.
    ///
    /// # Errors
    /// For everything else.
    pub fn open_entry(
        &self,
        number: u64,
        clear: &[u8],
        sealed: &[u8],
    ) -> Result<Secret<Vec<u8>>, Opaque> {
        aead::open(&self.0, nonce(number, ENTRY), clear, sealed)
    }
}

/// Beside 0 and 1, which chunks have.
const ENTRY: u8 = 2;

fn nonce(number: u64, kind: u8) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    let bytes = [0, 0, 0, kind].into_iter().chain(number.to_be_bytes());
    for (to, from) in nonce.iter_mut().zip(bytes) {
        *to = from;
    }
    nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(root: u8, salt: u8) -> FileKey {
        FileKey::new(&Secret::new([root; 32]), &[salt; SALT_BYTES]).unwrap()
    }

    #[test]
    fn a_chunk_opens_at_its_place_only() {
        let whole = vec![7; CHUNK_BYTES];
        for (number, last, plain) in
            [(0, false, &*whole), (1, true, b"end"), (0, true, b""), (u64::MAX, true, b"x")]
        {
            let sealed = key(1, 2).seal(number, last, plain).unwrap();
            assert_eq!(key(1, 2).open(number, last, &sealed).unwrap().expose(), plain);
            assert!(key(1, 2).open(number, !last, &sealed).is_err());
            assert!(key(1, 2).open(number ^ 1, last, &sealed).is_err());
            assert!(key(3, 2).open(number, last, &sealed).is_err());
            assert!(key(1, 3).open(number, last, &sealed).is_err());
            for at in [0, sealed.len() / 2, sealed.len() - 1] {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert!(key(1, 2).open(number, last, &changed).is_err());
            }
        }
    }

    #[test]
    fn an_entry_opens_at_its_place_beside_its_words_only() {
        let sealed = key(1, 2).seal_entry(4, b"part 7", b"rows").unwrap();
        assert_eq!(key(1, 2).open_entry(4, b"part 7", &sealed).unwrap().expose(), b"rows");
        assert!(key(1, 2).open_entry(5, b"part 7", &sealed).is_err());
        assert!(key(1, 2).open_entry(4, b"part 8", &sealed).is_err());
        assert!(key(1, 3).open_entry(4, b"part 7", &sealed).is_err());
        for last in [false, true] {
            assert!(key(1, 2).open(4, last, &sealed).is_err(), "no chunk is an entry");
        }
    }

    #[test]
    fn chunks_have_their_lengths() {
        let whole = vec![7; CHUNK_BYTES + 1];
        for (last, length) in [(true, CHUNK_BYTES), (false, 5), (false, 0), (true, CHUNK_BYTES + 1)]
        {
            assert!(key(1, 2).seal(0, last, &whole[..length]).is_err(), "{last} {length}");
        }
    }

    #[test]
    fn a_head_names_its_file() {
        let root = Secret::new([1; 32]);
        let mut head = head(&[2; SALT_BYTES]);
        let sealed = key(1, 2).seal(0, true, b"data").unwrap();
        let read = FileKey::read(&root, &head).unwrap();
        assert_eq!(read.open(0, true, &sealed).unwrap().expose(), b"data");
        head[0] ^= 1;
        assert!(FileKey::read(&root, &head).is_err());
        let (a, b) = (named(&root, "a").unwrap(), named(&root, "b").unwrap());
        assert_ne!(a.expose(), b.expose());
        assert_eq!(a.expose(), named(&root, "a").unwrap().expose());
    }

    #[test]
    fn lengths_come_back() {
        let chunk = CHUNK_BYTES as u64;
        for plain in [0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 17] {
            let sealed = HEAD_BYTES as u64
                + (plain / chunk) * SEALED_BYTES as u64
                + plain % chunk
                + TAG_BYTES as u64;
            assert_eq!(plain_length(sealed), Some(plain));
        }
        for sealed in [0, HEAD_BYTES as u64 + 15, HEAD_BYTES as u64 + SEALED_BYTES as u64] {
            assert_eq!(plain_length(sealed), None, "{sealed}");
        }
    }
}
