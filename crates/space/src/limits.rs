//! Every bound of the data space, in one place, each with its why.
//!
//! Never a number elsewhere: a limit that is not here is not a limit.

use std::time::Duration;

/// EDC offer ids are three base64 parts of ids; 512 leaves room for all seen in the field.
pub const ID_BYTES: usize = 512;
/// One protocol message. A policy of 262 pairs of constraints (ODRL test suite) takes 160 kB.
pub const MESSAGE_BYTES: usize = 1 << 20;
/// Nesting of a received JSON document; contexts, policies and catalogues stay below 20.
pub const JSON_DEPTH: usize = 64;
/// Rules in one policy.
pub const POLICY_RULES: usize = 256;
/// Constraints in one policy, all levels together; the ODRL test suite's biggest holds 786.
pub const POLICY_CONSTRAINTS: usize = 4096;
/// Nesting of logical constraints.
pub const POLICY_DEPTH: usize = 16;
/// Characters of a reason that a peer or a person gives.
pub const REASON_CHARS: usize = 1000;
/// Reasons of one message that are kept: people read them.
pub const REASONS: usize = 16;
/// Properties of a data address; endpoint and token need three.
pub const ADDRESS_PROPERTIES: usize = 64;
/// Files named by one deletion receipt or fact: 1024 digests keep a fact below [`FACT_BYTES`].
pub const DELETED_FILES: usize = 1024;
/// An entry of the evidence log (house D6).
pub const FACT_BYTES: usize = 65_535;
/// Encoded facts in one page, so that it stays a message with its Base64 and envelope.
pub const FACTS_PAGE_BYTES: usize = 512 * 1024;
/// Entries of a peer's version document that are looked at.
pub const VERSIONS: usize = 64;
/// Offers of one product.
pub const OFFERS: usize = 64;
/// Haggling rounds before a negotiation is ended: two people rarely need ten.
pub const OFFER_ROUNDS: usize = 50;
/// Open negotiations with one peer; more are refused with a reason, so that one peer starves no other.
pub const OPEN_NEGOTIATIONS: u32 = 1_000;

/// A negotiation that waits for a machine ends after this long without a move.
pub const NEGOTIATION_IDLE: Duration = Duration::from_secs(10 * 60);
/// A negotiation that waits for a person's approval.
pub const APPROVAL_IDLE: Duration = Duration::from_secs(14 * 24 * 3600);
/// A requested transfer that is not started by then ends.
pub const TRANSFER_IDLE: Duration = Duration::from_secs(10 * 60);
/// A lease that carries a key: long enough to open a file, short enough that a revocation bites.
pub const LEASE: Duration = Duration::from_secs(60);
/// Longest lease that a consumer may ask for.
pub const LEASE_MAX: Duration = Duration::from_secs(3600);

/// First retry of an undelivered message; doubled each time.
pub const RETRY_FIRST: Duration = Duration::from_millis(200);
/// Longest pause between two tries.
pub const RETRY_LONGEST: Duration = Duration::from_secs(60);
/// A message that could not be delivered for this long is given up, and its negotiation ended.
pub const RETRY_GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// A peer that answers 404 may not have committed its side yet; after this long it is final.
pub const RETRY_NOT_FOUND: Duration = Duration::from_secs(10);
/// How long a message id is remembered. Longer than any peer retries.
pub const SEEN: Duration = Duration::from_secs(48 * 3600);

/// Members of one list in a policy (columns, purposes, recipients): the widest machine tables have some thousand columns.
pub const POLICY_LIST: usize = 4096;
/// Bytes of a product's title or of a member's name.
pub const TITLE_BYTES: usize = 512;
/// Bytes of a product's description: a few pages.
pub const DESCRIPTION_BYTES: usize = 16 << 10;
/// Keywords of one product.
pub const KEYWORDS: usize = 64;
/// Datasets read from one foreign catalogue page; our own pages are smaller.
pub const CATALOG_DATASETS: usize = 10_000;
/// Nesting of catalogues in catalogues.
pub const CATALOG_DEPTH: usize = 4;
/// Members of one space: ten times the biggest known data space.
pub const MEMBERS: usize = 10_000;
/// Longest life of a self-issued token (DCP asks for short ones; a call takes seconds).
pub const TOKEN_LIFE: Duration = Duration::from_secs(60);
/// How far two nodes' clocks may differ.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5);
/// One token with its signature; larger ones carry credentials, which are fetched instead.
pub const TOKEN_BYTES: usize = 16 << 10;
/// One member list: [`MEMBERS`] entries of some 400 bytes.
pub const MEMBERS_BYTES: usize = 4 << 20;

/// Characters of one word of a search index: longer ones are hashes that nobody types.
pub const WORD_CHARS: usize = 64;
/// Words of one entry of a catalogue: every character and pair of a description of [`DESCRIPTION_BYTES`] in Chinese.
pub const WORDS_OF_ENTRY: usize = 8192;
/// Words of one search that are looked at: more than anybody types.
pub const SEARCH_WORDS: usize = 16;
/// Currencies in which one product has a price.
pub const PRICES: usize = 8;
/// A member's catalogue is read again this often; unchanged, that is one small request.
pub const CRAWL_AGAIN: Duration = Duration::from_secs(60);
/// First pause after a failed reading; doubled each time.
pub const CRAWL_PAUSE: Duration = Duration::from_secs(15);
/// Longest pause after failures: a node that was down for a weekend is found within the hour.
pub const CRAWL_PAUSE_MOST: Duration = Duration::from_secs(3600);
/// Everything is read again this often, whatever a member says about changes.
pub const CRAWL_WHOLE: Duration = Duration::from_secs(24 * 3600);
/// Bytes of the datasets on one page of changes: with its frame it stays a message.
pub const CHANGES_PAGE_BYTES: usize = 640 << 10;
/// Changes on one page.
pub const CHANGES_PAGE: usize = 1000;
/// Bytes of an `ETag` that is remembered.
pub const TAG_BYTES: usize = 256;
