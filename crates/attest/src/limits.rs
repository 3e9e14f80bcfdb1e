//! Bounds on what is read, each with its reason. Nothing outside is looked at beyond them.

/// Largest evidence. Quotes with a certificate chain inside are about 5 KiB; four times that leaves room for longer
/// chains and keeps parsing far below a millisecond.
pub const EVIDENCE: usize = 20 * 1024;
/// Largest certificate. The roots in use have 1.7 KiB.
pub const CERTIFICATE: usize = 4 * 1024;
/// Largest collateral as JSON. Real sets have 14 to 25 KiB; revocation lists grow.
pub const COLLATERAL: usize = 512 * 1024;
/// Most PCR values beside a TPM's quote: a bank has 24.
pub const PCRS: usize = 24;
/// Largest TPM signature: RSA with 4096 bits and its header.
pub const TPM_SIGNATURE: usize = 6 + 512;
/// Largest answer of a TPM: what its interfaces hold.
pub const TPM_ANSWER: usize = 4096;
/// Longest bytes a report binds: the field in all formats of processors.
pub const REPORT_DATA: usize = 64;
/// How long a challenge may be answered: a quote takes below a second, its way around the world a few more.
pub const CHALLENGE_SECONDS: u64 = 60;
/// Most open challenges: each takes below 200 bytes.
pub const CHALLENGES: usize = 4096;
/// Most of one asker: so many uses begin within a minute.
pub const CHALLENGES_OF_ONE: usize = 64;
/// Longest evidence or policy as text. Evidence with collateral in it is the longest.
pub const TEXT: usize = 2 * COLLATERAL;
/// Most values of one list in a policy.
pub const VALUES: usize = 10_000;
/// Longest table of certificates that a host hands its guest: what Linux takes from one at most.
pub const CERTIFICATE_TABLE: usize = 32 * 1024;
/// Most entries of such a table: there are five kinds.
pub const CERTIFICATE_ENTRIES: usize = 16;
