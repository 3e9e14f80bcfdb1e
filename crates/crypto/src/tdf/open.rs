//! Opens a container: limits first, then keyed checks, then segments one at a time.
//!
//! Must never hand out a byte of a segment whose tag did not verify, and never report a clean end
//! before the last segment of the (already proven) list.

use std::io::{self, Read, Seek, SeekFrom, Write};

use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    Manifest, SEGMENT_OVERHEAD, TdfFault,
    cipher::Cipher,
    integrity::{assertion_holds, is_hash, mac},
    join_shares,
    manifest::{Segment, SegmentHash},
    zip,
};
use crate::{
    aead::{NONCE_BYTES, TAG_BYTES},
    hash::{Digest, sha256},
    limits::TDF_MAX_MANIFEST_BYTES,
    secret::Secret,
    suite::Suite,
};

/// A container whose sizes are checked and whose key is not yet known.
#[derive(Debug)]
pub struct Container<R> {
    file: R,
    payload: zip::Span,
    manifest: Manifest,
    manifest_sha256: Digest,
}

impl<R: Read + Seek> Container<R> {
    /// Finds and checks the manifest; needs no key and reads nothing of the payload.
    pub fn open(mut file: R) -> Result<Self, TdfFault> {
        let entries = zip::locate(&mut file)?;
        if entries.manifest.bytes > TDF_MAX_MANIFEST_BYTES {
            return Err(TdfFault::TooLarge("manifest"));
        }
        file.seek(SeekFrom::Start(entries.manifest.start))?;
        let mut text = Vec::new();
        file.by_ref().take(entries.manifest.bytes).read_to_end(&mut text)?;
        let manifest = Manifest::parse(&text)?;
        if manifest.payload_bytes().0 != entries.payload.bytes {
            return Err(TdfFault::NotContainer("payload and segment list differ in length"));
        }
        let manifest_sha256 = sha256(&text);
        Ok(Self { file, payload: entries.payload, manifest, manifest_sha256 })
    }

    /// The manifest, unproven.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the manifest entry, as in [`super::SealReport`].
    pub fn manifest_sha256(&self) -> Digest {
        self.manifest_sha256
    }

    /// Proves the manifest under the whole `key` and starts reading.
    ///
    /// # Errors
    /// [`TdfFault::Shares`] if the container's key is split, [`TdfFault::Opaque`] if the key is
    /// not the container's or anything bound to it was changed.
    pub fn decrypt(&mut self, key: &Secret<[u8; 32]>) -> Result<Reader<&mut R>, TdfFault> {
        let [id] = self.manifest.split_ids()[..] else { return Err(TdfFault::Shares) };
        let proof = prove(&self.manifest, &[(id, key)])?;
        self.file.seek(SeekFrom::Start(self.payload.start))?;
        Ok(Reader::new(&mut self.file, proof, &self.manifest))
    }

    /// As [`decrypt`](Self::decrypt), from one share for each split id.
    pub fn decrypt_split(
        &mut self,
        shares: &[(&str, &Secret<[u8; 32]>)],
    ) -> Result<Reader<&mut R>, TdfFault> {
        let proof = prove(&self.manifest, shares)?;
        self.file.seek(SeekFrom::Start(self.payload.start))?;
        Ok(Reader::new(&mut self.file, proof, &self.manifest))
    }

    /// As [`decrypt`](Self::decrypt), taking the file along.
    pub fn into_reader(mut self, key: &Secret<[u8; 32]>) -> Result<Reader<R>, TdfFault> {
        let [id] = self.manifest.split_ids()[..] else { return Err(TdfFault::Shares) };
        let proof = prove(&self.manifest, &[(id, key)])?;
        self.file.seek(SeekFrom::Start(self.payload.start))?;
        Ok(Reader::new(self.file, proof, &self.manifest))
    }

    /// Decrypts everything into `out`, returning the plaintext's length. After an error `out`
    /// holds a genuine beginning of the plaintext, to be thrown away.
    pub fn decrypt_to(
        &mut self,
        key: &Secret<[u8; 32]>,
        mut out: impl Write,
    ) -> Result<u64, TdfFault> {
        self.decrypt(key)?.copy_to(&mut out)
    }
}

/// What the keyed checks yield.
struct Proof {
    cipher: Cipher,
    key: Secret<[u8; 32]>,
    assertions: Vec<Value>,
}

fn prove(manifest: &Manifest, shares: &[(&str, &Secret<[u8; 32]>)]) -> Result<Proof, TdfFault> {
    let ids = manifest.split_ids();
    let complete = ids.iter().all(|id| shares.iter().filter(|(of, _)| of == id).count() == 1);
    if !complete || ids.len() != shares.len() {
        return Err(TdfFault::Shares);
    }
    let key = join_shares(shares.iter().map(|(_, share)| *share));
    // All checks run before the answer is given: no telling which one failed.
    let mut holds = true;
    for access in &manifest.key_access {
        let share = shares.iter().find(|(id, _)| *id == access.split_id);
        holds &= share.is_some_and(|(_, share)| manifest.binding_holds(access, share));
    }
    let hashes = manifest.segment_hashes();
    holds &= is_hash(&manifest.root_signature, &mac(manifest.suite, &key, [hashes.as_slice()])?);
    if !holds {
        return Err(TdfFault::Opaque);
    }
    let mut assertions = manifest.assertions.clone();
    assertions.retain(|assertion| assertion_holds(manifest.suite, &key, &hashes, assertion));
    Ok(Proof { cipher: Cipher::new(manifest.suite, &key)?, key, assertions })
}

/// The plaintext, segment by segment.
pub struct Reader<R> {
    file: R,
    cipher: Cipher,
    key: Secret<[u8; 32]>,
    segments: std::vec::IntoIter<Segment>,
    segment_hash: SegmentHash,
    assertions: Vec<Value>,
    /// Decrypted segment; bytes before `at` were handed out.
    plain: Zeroizing<Vec<u8>>,
    at: usize,
    /// After one bad segment nothing follows, and never a clean end.
    failed: bool,
}

impl<R: Read> Reader<R> {
    fn new(file: R, proof: Proof, manifest: &Manifest) -> Self {
        Self {
            file,
            cipher: proof.cipher,
            key: proof.key,
            segments: manifest.segments.clone().into_iter(),
            segment_hash: manifest.segment_hash,
            assertions: proof.assertions,
            // Room for the largest segment (sizes add up to the file's own length), so that
            // growing never leaves plaintext behind.
            plain: Zeroizing::new(Vec::with_capacity(manifest.largest_segment())),
            at: 0,
            failed: false,
        }
    }

    /// The assertions the payload key's holder made about this payload. Others are left out.
    pub fn assertions(&self) -> &[Value] {
        &self.assertions
    }

    /// Copies the rest of the plaintext into `out`.
    pub fn copy_to(&mut self, out: &mut impl Write) -> Result<u64, TdfFault> {
        let mut total = 0_u64;
        loop {
            let rest = self.plain.get(self.at..).unwrap_or_default();
            out.write_all(rest)?;
            total = total.saturating_add(rest.len() as u64);
            self.at = self.plain.len();
            if !self.next_segment()? {
                return Ok(total);
            }
        }
    }

    /// Reads, proves and decrypts one more segment; `false` at the proven end.
    fn next_segment(&mut self) -> Result<bool, TdfFault> {
        if self.failed {
            return Err(TdfFault::Opaque);
        }
        let Some(segment) = self.segments.next() else { return Ok(false) };
        self.failed = true;
        let mut sealed = std::mem::replace(&mut self.plain, Zeroizing::new(Vec::new()));
        self.at = 0;
        sealed.resize(segment.encrypted_bytes, 0);
        self.file.read_exact(&mut sealed)?;
        self.unseal(&segment, &mut sealed)?;
        // Drop the nonce in front and the tag behind: the plaintext lies between.
        sealed.truncate(segment.encrypted_bytes.saturating_sub(TAG_BYTES));
        self.plain = sealed;
        self.at = NONCE_BYTES;
        self.failed = false;
        Ok(true)
    }

    fn unseal(&self, segment: &Segment, sealed: &mut [u8]) -> Result<(), TdfFault> {
        let hash_holds = match self.segment_hash {
            SegmentHash::Gmac => {
                sealed.last_chunk::<TAG_BYTES>().is_some_and(|tag| is_hash(&segment.hash, tag))
            }
            SegmentHash::Hs256 => {
                is_hash(&segment.hash, &mac(Suite::International, &self.key, [&*sealed])?)
            }
        };
        let (nonce, rest) =
            sealed.split_first_chunk_mut::<NONCE_BYTES>().ok_or(TdfFault::Opaque)?;
        let (body, tag) = rest.split_last_chunk_mut::<TAG_BYTES>().ok_or(TdfFault::Opaque)?;
        if !hash_holds {
            return Err(TdfFault::Opaque);
        }
        self.cipher.decrypt(*nonce, body, *tag)
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let rest = self.plain.get(self.at..).unwrap_or_default();
            let count = rest.len().min(out.len());
            if count > 0 {
                let (to, from) = (out.get_mut(..count), rest.get(..count));
                if let (Some(to), Some(from)) = (to, from) {
                    to.copy_from_slice(from);
                }
                self.at = self.at.saturating_add(count);
                return Ok(count);
            }
            let more = self.next_segment().map_err(io::Error::from)?;
            if !more {
                return Ok(0);
            }
        }
    }
}

impl<R> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reader({} segments left)", self.segments.len())
    }
}

const _: () = assert!(SEGMENT_OVERHEAD == NONCE_BYTES + TAG_BYTES, "layout of a segment");
