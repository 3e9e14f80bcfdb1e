//! Writes a container from a stream, one segment in memory at a time.
//!
//! Payload first, manifest last, so nothing is read twice. Must never write plaintext, and never
//! use a nonce twice: each segment draws its own 96 bits, which is safe for the at most 2^18
//! segments of a file and 2^32 under one key (SP 800-38D §8.3).

use std::io::{Read, Seek, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use rand_core::CryptoRng;
use serde_json::{Value, value::RawValue};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{
    MANIFEST_NAME, PAYLOAD_NAME, SEGMENT_OVERHEAD, TdfFault,
    cipher::{self, Cipher},
    integrity::{bind_assertion, mac, mac_name},
    join_shares,
    manifest::{
        Wire, WireAccess, WireBinding, WireEncryption, WireIntegrity, WireMethod, WirePayload,
        WireRoot, WireSegment,
    },
    policy_binding,
};
use crate::{
    aead::{NONCE_BYTES, TAG_BYTES},
    hash::{Digest, sha256},
    jcs,
    limits::{
        TDF_DEFAULT_SEGMENT_BYTES, TDF_MAX_ASSERTIONS, TDF_MAX_DOCUMENT_BYTES, TDF_MAX_KEY_ACCESS,
        TDF_MAX_MANIFEST_BYTES, TDF_MAX_SEGMENT_BYTES, TDF_MAX_SEGMENTS, TDF_MIN_SEGMENT_BYTES,
    },
    secret::{Secret, ct_eq},
    suite::Suite,
};

/// What to seal with.
#[derive(Clone, Debug)]
pub struct SealParams {
    /// Guomi is outside of the OpenTDF standard.
    pub suite: Suite,
    /// The payload key.
    pub key: Secret<[u8; 32]>,
    /// The policy document (a JSON object).
    pub policy: Vec<u8>,
    /// Who releases the key: at least one.
    pub access: Vec<Access>,
    /// Plaintext bytes per segment.
    pub segment_bytes: usize,
    /// MIME type of the plaintext.
    pub mime_type: String,
    /// TDF assertions: `id`, `type`, `scope`, `appliesToState`, `statement`. Those without a
    /// `binding` get one under the payload key.
    pub assertions: Vec<Value>,
}

impl SealParams {
    /// Parameters for a key released whole by one service, with default segments.
    pub fn new(key: &Secret<[u8; 32]>, policy: &[u8], access: Access) -> Self {
        Self {
            suite: Suite::International,
            key: key.clone(),
            policy: policy.to_vec(),
            access: vec![access],
            segment_bytes: TDF_DEFAULT_SEGMENT_BYTES,
            mime_type: "application/octet-stream".to_owned(),
            assertions: Vec::new(),
        }
    }
}

/// One key access object to write.
#[derive(Clone, Debug)]
pub struct Access {
    /// The key service.
    pub url: String,
    /// Its wrapping key.
    pub kid: String,
    /// Which share; empty where the key is not split.
    pub split_id: String,
    /// The share, wrapped for the service; opaque here.
    pub wrapped_key: Vec<u8>,
    /// The share itself: the payload key where it is not split.
    pub share: Secret<[u8; 32]>,
}

impl Access {
    /// The whole key, released by one service.
    pub fn whole(url: &str, kid: &str, wrapped_key: &[u8], key: &Secret<[u8; 32]>) -> Self {
        Self {
            url: url.to_owned(),
            kid: kid.to_owned(),
            split_id: String::new(),
            wrapped_key: wrapped_key.to_vec(),
            share: key.clone(),
        }
    }
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealReport {
    /// Plaintext bytes.
    pub bytes: u64,
    pub segments: usize,
    /// SHA-256 of the manifest entry: names this sealed object, payload included.
    pub manifest_sha256: Digest,
}

/// Reads `plain` to its end and writes a container to `out`.
///
/// # Errors
/// [`TdfFault::Shares`] if the shares do not join to the key, [`TdfFault::Manifest`] for a policy
/// or assertion that is not a JSON object, [`TdfFault::TooLarge`], [`TdfFault::Io`]. After an
/// error `out` holds no usable container.
pub fn seal(
    plain: impl Read,
    out: impl Write + Seek,
    params: &SealParams,
    rng: &mut dyn CryptoRng,
) -> Result<SealReport, TdfFault> {
    check(params)?;
    let mut zip = ZipWriter::new(out);
    // No clock here: entries carry the ZIP epoch. The length is unknown: ZIP64 sizes always.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default());
    zip.start_file(PAYLOAD_NAME, options.large_file(true)).map_err(zip_fault)?;
    let (segments, bytes) = payload(plain, &mut zip, params, rng)?;
    let manifest = manifest(params, &segments)?;
    zip.start_file(MANIFEST_NAME, options).map_err(zip_fault)?;
    zip.write_all(&manifest)?;
    zip.finish().map_err(zip_fault)?.flush()?;
    Ok(SealReport { bytes, segments: segments.len(), manifest_sha256: sha256(&manifest) })
}

fn zip_fault(error: zip::result::ZipError) -> TdfFault {
    TdfFault::Io(error.into())
}

fn check(params: &SealParams) -> Result<(), TdfFault> {
    if !(TDF_MIN_SEGMENT_BYTES..=TDF_MAX_SEGMENT_BYTES).contains(&params.segment_bytes) {
        return Err(TdfFault::TooLarge("segment size: 16 KiB to 16 MiB"));
    }
    if params.policy.len() > TDF_MAX_DOCUMENT_BYTES {
        return Err(TdfFault::TooLarge("policy"));
    }
    let policy =
        jcs::parse(&params.policy).map_err(|error| TdfFault::Manifest(error.to_string()))?;
    if !policy.is_object() {
        return Err(TdfFault::Manifest("the policy is not a JSON object".to_owned()));
    }
    if params.access.len() > TDF_MAX_KEY_ACCESS || params.assertions.len() > TDF_MAX_ASSERTIONS {
        return Err(TdfFault::TooLarge("key access objects or assertions"));
    }
    // One share per split id, however many services hold it; together they are the key.
    let mut distinct: Vec<&Access> = Vec::new();
    for access in &params.access {
        match distinct.iter().find(|seen| seen.split_id == access.split_id) {
            None => distinct.push(access),
            Some(seen) if ct_eq(seen.share.expose(), access.share.expose()) => {}
            Some(_) => return Err(TdfFault::Shares),
        }
    }
    let joined = join_shares(distinct.iter().map(|access| &access.share));
    if distinct.is_empty() || !ct_eq(joined.expose(), params.key.expose()) {
        return Err(TdfFault::Shares);
    }
    Ok(())
}

struct Sealed {
    tag: [u8; TAG_BYTES],
    plain_bytes: usize,
}

fn payload(
    mut plain: impl Read,
    out: &mut impl Write,
    params: &SealParams,
    rng: &mut dyn CryptoRng,
) -> Result<(Vec<Sealed>, u64), TdfFault> {
    let cipher = Cipher::new(params.suite, &params.key)?;
    let (mut segments, mut total) = (Vec::new(), 0_u64);
    // Encrypted in place: what stays in the buffer between segments is ciphertext, and what a
    // failed read leaves is erased.
    let mut buffer = zeroize::Zeroizing::new(vec![0; params.segment_bytes]);
    loop {
        let count = fill(&mut plain, &mut buffer)?;
        // Even an empty file has one segment, so that its emptiness is authenticated.
        if count == 0 && !segments.is_empty() {
            return Ok((segments, total));
        }
        if segments.len() >= TDF_MAX_SEGMENTS {
            return Err(TdfFault::TooLarge("segments: choose a larger segment size"));
        }
        let mut nonce = [0; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let filled = buffer.get_mut(..count).ok_or(TdfFault::Opaque)?;
        let tag = cipher.encrypt(nonce, filled)?;
        out.write_all(&nonce)?;
        out.write_all(buffer.get(..count).ok_or(TdfFault::Opaque)?)?;
        out.write_all(&tag)?;
        segments.push(Sealed { tag, plain_bytes: count });
        total = total.saturating_add(count as u64);
        if count < params.segment_bytes {
            return Ok((segments, total));
        }
    }
}

/// Reads until `buffer` is full or the stream ends.
fn fill(plain: &mut impl Read, buffer: &mut [u8]) -> Result<usize, TdfFault> {
    let mut filled = 0_usize;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match plain.read(rest) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

fn manifest(params: &SealParams, segments: &[Sealed]) -> Result<Vec<u8>, TdfFault> {
    let hashes: Vec<u8> = segments.iter().flat_map(|segment| segment.tag).collect();
    let policy = STANDARD.encode(&params.policy);
    let wire = Wire {
        schema_version: Some(cipher::schema(params.suite).to_owned()),
        encryption_information: WireEncryption {
            kind: "split".to_owned(),
            key_access: params
                .access
                .iter()
                .map(|access| key_access(params.suite, access, &policy))
                .collect::<Result<_, _>>()?,
            policy,
            method: WireMethod {
                algorithm: cipher::name(params.suite).to_owned(),
                iv: String::new(),
                is_streamable: true,
            },
            integrity_information: WireIntegrity {
                root_signature: WireRoot {
                    alg: mac_name(params.suite).to_owned(),
                    sig: STANDARD.encode(mac(params.suite, &params.key, [hashes.as_slice()])?),
                },
                segment_hash_alg: Some("GMAC".to_owned()),
                segment_size_default: params.segment_bytes as u64,
                encrypted_segment_size_default: encrypted(params.segment_bytes),
                segments: segments
                    .iter()
                    .map(|segment| WireSegment {
                        hash: STANDARD.encode(segment.tag),
                        segment_size: Some(segment.plain_bytes as u64),
                        encrypted_segment_size: Some(encrypted(segment.plain_bytes)),
                    })
                    .collect(),
            },
        },
        payload: WirePayload {
            kind: "reference".to_owned(),
            url: PAYLOAD_NAME.to_owned(),
            protocol: "zip".to_owned(),
            mime_type: Some(params.mime_type.clone()),
            is_encrypted: true,
        },
        assertions: params
            .assertions
            .iter()
            .map(|assertion| bound(params, &hashes, assertion))
            .collect::<Result<_, _>>()?,
    };
    let text = serde_json::to_vec(&wire).map_err(|error| TdfFault::Manifest(error.to_string()))?;
    if text.len() as u64 > TDF_MAX_MANIFEST_BYTES {
        return Err(TdfFault::TooLarge("manifest"));
    }
    Ok(text)
}

fn encrypted(plain_bytes: usize) -> u64 {
    plain_bytes.saturating_add(SEGMENT_OVERHEAD) as u64
}

fn key_access(suite: Suite, access: &Access, policy: &str) -> Result<WireAccess, TdfFault> {
    Ok(WireAccess {
        kind: "wrapped".to_owned(),
        url: access.url.clone(),
        protocol: "kas".to_owned(),
        wrapped_key: STANDARD.encode(&access.wrapped_key),
        policy_binding: WireBinding::Full {
            alg: mac_name(suite).to_owned(),
            hash: policy_binding(suite, &access.share, policy)?,
        },
        kid: Some(access.kid.clone()),
        sid: Some(access.split_id.clone()),
        schema_version: Some("1.0".to_owned()),
    })
}

fn bound(params: &SealParams, hashes: &[u8], assertion: &Value) -> Result<Box<RawValue>, TdfFault> {
    let text = bind_assertion(params.suite, &params.key, hashes, assertion)?.to_string();
    if text.len() > TDF_MAX_DOCUMENT_BYTES {
        return Err(TdfFault::TooLarge("assertion"));
    }
    RawValue::from_string(text).map_err(|error| TdfFault::Manifest(error.to_string()))
}
