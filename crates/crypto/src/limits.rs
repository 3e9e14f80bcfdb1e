//! Every bound of this crate, with its reason. Must never be read from outside data.

/// Largest CBOR document: facts are at most 65,535 bytes; batches of them stay well below 4 MiB.
pub const CBOR_MAX_BYTES: usize = 4 << 20;

/// Most items in one CBOR document: an item costs about 60 bytes in memory and one on the wire,
/// so this keeps the decoded form below 16 MiB.
pub const CBOR_MAX_ITEMS: usize = 1 << 18;

/// Deepest CBOR nesting: our own tuples need five; recursion must stay shallow.
pub const CBOR_MAX_DEPTH: usize = 16;

/// Largest JSON text taken for canonicalization or as a TDF manifest's inner document.
pub const JSON_MAX_BYTES: usize = 4 << 20;

/// Deepest JSON nesting for canonicalization; `serde_json` itself stops parsing at 128.
pub const JSON_MAX_DEPTH: usize = 128;

/// Largest compact JWS: it must fit an HTTP header, and servers commonly stop at 16 KiB.
pub const JWS_MAX_BYTES: usize = 16 << 10;

/// Largest compact JWS taken when it travels in a message body: a presentation embeds the
/// credentials it presents.
pub const JWS_BODY_MAX_BYTES: usize = 256 << 10;

/// Longest `kid`: a DID URL with fragment; the DID specification sets no bound, DNS names do.
pub const KID_MAX_BYTES: usize = 1024;

/// Largest plaintext under one HPKE encapsulation: keys and small answers, never files.
pub const KEM_MAX_PLAINTEXT: usize = 1 << 20;

/// Largest TDF manifest: 2^18 segments at about 100 bytes each, and a policy.
pub const TDF_MAX_MANIFEST_BYTES: u64 = 32 << 20;

/// Most segments in a TDF: 256 GiB at the default size; beyond that, choose larger segments.
pub const TDF_MAX_SEGMENTS: usize = 1 << 18;

/// Segment size we write by default: one GCM call stays in cache, overhead 28 bytes in a MiB.
pub const TDF_DEFAULT_SEGMENT_BYTES: usize = 1 << 20;

/// Smallest segment size we write (TDF specification, `segmentSizeDefault`: at least 16 KiB).
pub const TDF_MIN_SEGMENT_BYTES: usize = 16 << 10;

/// Largest segment we write or read: a reader holds one in memory.
pub const TDF_MAX_SEGMENT_BYTES: usize = 16 << 20;

/// Most key access objects: one per key service that must or may release.
pub const TDF_MAX_KEY_ACCESS: usize = 64;

/// Most assertions in a manifest.
pub const TDF_MAX_ASSERTIONS: usize = 64;

/// Largest policy and largest single assertion: an agreement with all its terms.
pub const TDF_MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// Largest ZIP directory of a TDF: two entries with their extra fields.
pub const TDF_MAX_DIRECTORY_BYTES: u64 = 4 << 10;
