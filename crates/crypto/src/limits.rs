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
