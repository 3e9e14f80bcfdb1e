//! The manifest: wire form (serde, as in the TDF JSON schema) and checked form.
//!
//! Everything a reader later trusts about sizes is checked here, before a key is near. Must never
//! keep a field it has not bounded. Unknown members are ignored, known ones twice are refused.

use std::{fmt, marker::PhantomData};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, SeqAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

use super::{PAYLOAD_NAME, SEGMENT_OVERHEAD, TdfFault, cipher, integrity};
use crate::{
    jcs,
    limits::{
        TDF_MAX_ASSERTIONS, TDF_MAX_DOCUMENT_BYTES, TDF_MAX_KEY_ACCESS, TDF_MAX_SEGMENT_BYTES,
        TDF_MAX_SEGMENTS,
    },
    secret::Secret,
    suite::Suite,
};

/// Version of the specification we write.
pub(super) const SCHEMA_VERSION: &str = "4.3.0";

/// A checked manifest. None of it is proven before the container is decrypted.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// `schemaVersion`; writers before 4.3.0 have none.
    pub schema_version: Option<String>,
    /// Who can release the key, or shares of it.
    pub key_access: Vec<KeyAccess>,
    /// The policy document (JSON), decoded.
    pub policy: Vec<u8>,
    /// MIME type of the plaintext.
    pub mime_type: Option<String>,
    /// Assertions as written, **unproven**: see [`super::Reader::assertions`].
    pub assertions: Vec<Value>,
    /// The policy as the manifest spells it: the text that is bound.
    policy_text: String,
    pub(super) segments: Vec<Segment>,
    pub(super) segment_hash: SegmentHash,
    /// Guomi is outside of the OpenTDF standard.
    pub suite: Suite,
    pub(super) root_signature: Vec<u8>,
}

/// One way to obtain the payload key, or one share of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyAccess {
    /// `wrapped`, `remote` or `ec-wrapped`.
    pub kind: String,
    /// The key service.
    pub url: String,
    /// The service's wrapping key.
    pub kid: Option<String>,
    /// Which share this gives; empty where the key is not split.
    pub split_id: String,
    /// The wrapped share, opaque here.
    pub wrapped_key: Vec<u8>,
    binding: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// As decoded from base64: the hash's bytes or its hex digits.
    pub(super) hash: Box<[u8]>,
    /// With nonce and tag.
    pub(super) encrypted_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SegmentHash {
    /// The segment's GCM tag.
    Gmac,
    /// HMAC-SHA256 of the encrypted segment under the payload key.
    Hs256,
}

impl Manifest {
    /// Reads and checks the text of a manifest.
    pub fn parse(text: &[u8]) -> Result<Self, TdfFault> {
        if text.len() as u64 > crate::limits::TDF_MAX_MANIFEST_BYTES {
            return Err(TdfFault::TooLarge("manifest"));
        }
        let wire: Wire =
            serde_json::from_slice(text).map_err(|error| TdfFault::Manifest(error.to_string()))?;
        Self::check(wire)
    }

    fn check(wire: Wire) -> Result<Self, TdfFault> {
        let (payload, encryption) = (wire.payload, wire.encryption_information);
        let stated = encryption.integrity_information;
        if payload.kind != "reference" || payload.url != PAYLOAD_NAME || payload.protocol != "zip" {
            return Err(TdfFault::Unsupported("payloads outside the ZIP"));
        }
        let suite = cipher::suite(&encryption.method.algorithm).filter(|_| payload.is_encrypted);
        let suite = suite.ok_or(TdfFault::Unsupported(
            "payloads encrypted with neither AES-256-GCM nor SM4-GCM",
        ))?;
        if encryption.kind != "split" {
            return Err(TdfFault::Unsupported("encryption types other than split"));
        }
        if stated.root_signature.alg != integrity::mac_name(suite) {
            return Err(TdfFault::Unsupported("root signatures other than the cipher's HMAC"));
        }
        let segment_hash = match stated.segment_hash_alg.as_deref() {
            None | Some("GMAC") => SegmentHash::Gmac,
            Some("HS256") if suite == Suite::International => SegmentHash::Hs256,
            Some(_) => return Err(TdfFault::Unsupported("segment hashes besides GMAC and HS256")),
        };
        let defaults = (stated.segment_size_default, stated.encrypted_segment_size_default);
        if encryption.key_access.is_empty() {
            return Err(TdfFault::Manifest("no key access object".to_owned()));
        }
        let policy = decode("policy", &encryption.policy)?;
        if policy.len() > TDF_MAX_DOCUMENT_BYTES {
            return Err(TdfFault::TooLarge("policy"));
        }
        Ok(Self {
            schema_version: wire.schema_version,
            key_access: encryption
                .key_access
                .into_iter()
                .map(|it| KeyAccess::check(suite, it))
                .collect::<Result<_, _>>()?,
            policy,
            mime_type: payload.mime_type,
            assertions: wire.assertions.iter().map(|it| assertion(it)).collect::<Result<_, _>>()?,
            policy_text: encryption.policy,
            segments: stated
                .segments
                .into_iter()
                .map(|segment| Segment::check(&segment, defaults))
                .collect::<Result<_, _>>()?,
            segment_hash,
            suite,
            root_signature: decode("rootSignature", &stated.root_signature.sig)?,
        })
    }

    /// Whether `share` binds this manifest's policy to `access`. A key service asks this before
    /// it believes the policy (and still evaluates its own copy of the agreement).
    pub fn binding_holds(&self, access: &KeyAccess, share: &Secret<[u8; 32]>) -> bool {
        integrity::mac(self.suite, share, [self.policy_text.as_bytes()])
            .is_ok_and(|hash| integrity::is_hash(&access.binding, &hash))
    }

    /// The distinct split ids, in order of appearance; one means the key is whole.
    pub fn split_ids(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = Vec::new();
        for access in &self.key_access {
            if !ids.contains(&access.split_id.as_str()) {
                ids.push(&access.split_id);
            }
        }
        ids
    }

    /// Number of segments.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Bytes of the payload entry and of the plaintext, by the manifest's own account.
    pub fn payload_bytes(&self) -> (u64, u64) {
        // At most 2^18 segments of at most 2^24 + 28 bytes: no overflow to speak of.
        self.segments.iter().fold((0_u64, 0_u64), |(encrypted, plain), segment| {
            let bytes = segment.encrypted_bytes;
            (
                encrypted.saturating_add(bytes as u64),
                plain.saturating_add(bytes.saturating_sub(SEGMENT_OVERHEAD) as u64),
            )
        })
    }

    pub(super) fn largest_segment(&self) -> usize {
        self.segments.iter().map(|segment| segment.encrypted_bytes).max().unwrap_or(0)
    }

    /// What root signature and assertions are computed over.
    pub(super) fn segment_hashes(&self) -> Vec<u8> {
        self.segments.iter().flat_map(|segment| segment.hash.iter().copied()).collect()
    }
}

impl KeyAccess {
    fn check(suite: Suite, wire: WireAccess) -> Result<Self, TdfFault> {
        if wire.protocol != "kas" {
            return Err(TdfFault::Unsupported("key access protocols other than kas"));
        }
        let hash = match &wire.policy_binding {
            WireBinding::Full { alg, .. } if alg != integrity::mac_name(suite) => {
                return Err(TdfFault::Unsupported("policy bindings other than the cipher's HMAC"));
            }
            WireBinding::Full { hash, .. } | WireBinding::Hash(hash) => hash,
        };
        Ok(Self {
            binding: decode("policyBinding", hash)?,
            wrapped_key: decode("wrappedKey", &wire.wrapped_key)?,
            kind: wire.kind,
            url: wire.url,
            kid: wire.kid,
            split_id: wire.sid.unwrap_or_default(),
        })
    }
}

impl Segment {
    fn check(wire: &WireSegment, defaults: (u64, u64)) -> Result<Self, TdfFault> {
        let plain = wire.segment_size.unwrap_or(defaults.0);
        let encrypted = wire.encrypted_segment_size.unwrap_or(defaults.1);
        let plain = usize::try_from(plain)
            .ok()
            .filter(|it| *it <= TDF_MAX_SEGMENT_BYTES)
            .ok_or(TdfFault::TooLarge("segment"))?;
        let encrypted_bytes = plain.saturating_add(SEGMENT_OVERHEAD);
        if encrypted != encrypted_bytes as u64 {
            return Err(TdfFault::Manifest("segment sizes do not fit AES-256-GCM".to_owned()));
        }
        let hash = decode("segment hash", &wire.hash)?;
        // 16 or 32 bytes, raw or as hex.
        if !matches!(hash.len(), 16 | 32 | 64) {
            return Err(TdfFault::Manifest("a segment hash has no possible length".to_owned()));
        }
        Ok(Self { hash: hash.into(), encrypted_bytes })
    }
}

fn decode(what: &str, text: &str) -> Result<Vec<u8>, TdfFault> {
    STANDARD.decode(text).map_err(|_| TdfFault::Manifest(format!("{what} is not base64")))
}

fn assertion(text: &RawValue) -> Result<Value, TdfFault> {
    if text.get().len() > TDF_MAX_DOCUMENT_BYTES {
        return Err(TdfFault::TooLarge("assertion"));
    }
    jcs::parse(text.get().as_bytes()).map_err(|error| TdfFault::Manifest(error.to_string()))
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wire {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema_version: Option<String>,
    pub(super) encryption_information: WireEncryption,
    pub(super) payload: WirePayload,
    #[serde(default, deserialize_with = "bounded::<_, _, TDF_MAX_ASSERTIONS>")]
    pub(super) assertions: Vec<Box<RawValue>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WirePayload {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) url: String,
    pub(super) protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mime_type: Option<String>,
    pub(super) is_encrypted: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireEncryption {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) policy: String,
    #[serde(deserialize_with = "bounded::<_, _, TDF_MAX_KEY_ACCESS>")]
    pub(super) key_access: Vec<WireAccess>,
    pub(super) method: WireMethod,
    pub(super) integrity_information: WireIntegrity,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireAccess {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) url: String,
    pub(super) protocol: String,
    #[serde(default)]
    pub(super) wrapped_key: String,
    pub(super) policy_binding: WireBinding,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) schema_version: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum WireBinding {
    Full { alg: String, hash: String },
    Hash(String),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireMethod {
    pub(super) algorithm: String,
    /// Unused since segments carry their own nonce; some readers insist on the member.
    #[serde(default)]
    pub(super) iv: String,
    /// Some writers capitalise it, and nothing depends on it.
    #[serde(default, alias = "IsStreamable")]
    pub(super) is_streamable: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireIntegrity {
    pub(super) root_signature: WireRoot,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) segment_hash_alg: Option<String>,
    pub(super) segment_size_default: u64,
    pub(super) encrypted_segment_size_default: u64,
    #[serde(deserialize_with = "bounded::<_, _, TDF_MAX_SEGMENTS>")]
    pub(super) segments: Vec<WireSegment>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct WireRoot {
    pub(super) alg: String,
    pub(super) sig: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireSegment {
    pub(super) hash: String,
    pub(super) segment_size: Option<u64>,
    pub(super) encrypted_segment_size: Option<u64>,
}

/// A list that stops reading at `N` items, so that memory follows the limit, not the sender.
fn bounded<'de, D, T, const N: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T, const N: usize>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Bounded<T, N> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {N}")
        }

        fn visit_unit<E>(self) -> Result<Vec<T>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut out = Vec::new();
            while let Some(item) = items.next_element()? {
                if out.len() >= N {
                    return Err(A::Error::invalid_length(N, &self));
                }
                out.push(item);
            }
            Ok(out)
        }
    }

    deserializer.deserialize_any(Bounded::<T, N>(PhantomData))
}
