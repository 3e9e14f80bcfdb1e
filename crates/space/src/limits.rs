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
/// Numbers of uses by which the permissions of one policy differ: a place of use tries each.
pub const POLICY_TIERS: usize = 64;
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
/// Contracts that one product is made under: each is loaded and compared when it is published.
pub const DERIVED_FROM: usize = 16;
/// Offers of one product.
pub const OFFERS: usize = 64;
/// Approval rules of one offer or contract: each state of a negotiation and a transfer some rounds deep.
pub const RULES: usize = 64;
/// Longest delay of an approval rule; what takes longer is for a person.
pub const RULE_DELAY: Duration = Duration::from_secs(24 * 3600);
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
/// A started or suspended transfer in which nothing happens any more. The addresses of deliveries live for a day, so
/// that after a week nothing can come of it.
pub const TRANSFER_RUNNING: Duration = Duration::from_secs(7 * 24 * 3600);
/// A lease that carries a key: long enough to open a file, short enough that a revocation bites.
pub const LEASE: Duration = Duration::from_secs(60);
/// Longest lease that a consumer may ask for.
pub const LEASE_MAX: Duration = Duration::from_secs(3600);

/// Most uses in a period that a term may name: the gate reads when so many began at each request, 20 kB.
pub const FREQUENCY_USES: u64 = 1000;
/// Largest budget of bytes or rows: nine petabytes, a whole number in every reader's JSON, and sums stay far from overflow.
pub const BUDGET: u64 = 1 << 53;
/// Largest ε of a budget or an answer, in millionths, and decimals of it: a hundred is no protection any more, and a
/// millionth no information.
pub const EPSILON_BUDGET: u64 = 100_000_000;
pub const EPSILON_DECIMALS: u32 = 6;
/// Above such a budget (in millionths) somebody who offers it is told so: e^10 is 22,000 to one.
pub const EPSILON_WEAK: u64 = 10_000_000;
/// Most rows of one unit that may count, and largest bound of its sum, in steps: noise grows with them, and both keep
/// scales within the whole numbers of whoever draws it.
pub const UNIT_ROWS: u64 = 1 << 40;
pub const UNIT_BOUND: u64 = 1 << 62;

/// Renewals of one lease: each is a fact in two logs. Half-hourly renewals of the longest lease last three weeks.
pub const LEASE_RENEWALS: u32 = 1_000;
/// Least time between two renewals of one lease: a use that lasts for a second costs one fact at most.
pub const LEASE_RENEWAL_PAUSE: Duration = Duration::from_secs(1);

/// How long a receipt may take after a contract with a duty to delete ended: a node that runs signs it within seconds, one
/// that is being restarted or moved within the hour.
pub const DELETION_PATIENCE: Duration = Duration::from_secs(3600);

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
/// Entries of one list in a template's form, and bytes of one: a person writes and reads them.
pub const TEMPLATE_LIST: usize = 256;
pub const TEMPLATE_WORD_BYTES: usize = 256;
/// Characters of a bad value that its error repeats.
pub const TEMPLATE_SHOWN_CHARS: usize = 80;
/// Conditions of one rule that are compared with each other for being needless: each pair costs, and people do not read more.
pub const CHECK_TERMS: usize = 256;
/// How deep duties may lie in a rule: a duty, its consequence, and that one's.
pub const POLICY_DUTIES: usize = 3;
/// Bytes of one condition on rows in a policy: TC609 has 128 characters for it.
pub const POLICY_EXPRESSION_BYTES: usize = 1024;
/// Comparisons in one such condition: more is a query, not a term that somebody reads before signing.
pub const POLICY_EXPRESSION_PARTS: usize = 32;
/// Columns of a key by which lists are matched; people match by one to three.
pub const MATCH_PARTS: usize = 16;
/// Bytes of the name of such a column.
pub const MATCH_COLUMN_BYTES: usize = 256;
/// Columns that come with a match, bytes of them for each row, and decimals of a sum: what the computing process takes as well.
pub const MATCH_LABEL_COLUMNS: usize = 64;
pub const MATCH_LABEL_BYTES: u32 = 4096;
pub const MATCH_DECIMALS: u32 = 9;
/// Items that a party puts into one session: row numbers of 31 bits, as the computing process has them.
pub const MATCH_ITEMS: u64 = 1 << 31;
/// A consumer's list of rows from this length on is matched by two processes of each side where nobody says how many: the
/// second has work while the first waits for the peer. Both share the memory of one.
pub const MATCH_PAIR_ITEMS: u64 = 1 << 20;
/// Items of either party by the protocol ecdh: three minutes of one core of each; what the computing process takes as well.
pub const MATCH_ECDH_ITEMS: u64 = 1 << 24;
/// A table for matching: its entries, items of a consumer in one session, and bytes of its index; what the computing process
/// takes as well.
pub const MATCH_TABLE_ENTRIES: u64 = 1 << 32;
pub const MATCH_TABLE_ITEMS: u64 = 1 << 20;
pub const MATCH_TABLE_INDEX_BYTES: u64 = 4 << 20;
/// A provider's signed word on a table: a dozen short fields, a key of columns, a signature.
pub const MATCH_TABLE_STATEMENT_BYTES: usize = 16 * 1024;
/// Members of a matching of more than two besides its leader, and items of each: what the computing process takes as well.
pub const MATCH_MEMBERS: usize = 63;
pub const MATCH_MANY_ITEMS: u64 = 1 << 22;
/// Bytes of what a member signs for such a session, as a JWS: about 600 with a long DID.
pub const MATCH_WORD_BYTES: usize = 4096;
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
/// Lines of the file that says whose certificate is whose: three for each of [`MEMBERS`], as names change.
pub const CERTIFICATE_LINES: usize = 3 * MEMBERS;
/// One member list: [`MEMBERS`] entries of some 400 bytes.
pub const MEMBERS_BYTES: usize = 4 << 20;
/// Messages that wait for one data plane about one flow: a transfer that is suspended and resumed faster than
/// its data plane answers has to wait.
pub const FLOW_OWED: usize = 16;
/// Open data flows of one control plane; more are refused with a reason, so that one starves no other.
pub const OPEN_FLOWS: u32 = 1_000;
/// Profiles, labels or data sets of one registration: as many as products of a large provider.
pub const PLANE_NAMES: usize = 512;
/// Characters of a secret between two planes: 128 bits in Base64 at least, and it must fit a header.
pub const PLANE_SECRET: std::ops::RangeInclusive<usize> = 22..=1024;
/// A data flow whose bytes did not move for this long is reported as beyond repair.
pub const FLOW_GIVE_UP: Duration = Duration::from_secs(3600);
/// Longest life of the token that asks for a fresh access token (the token renewal profile names no bound).
pub const RENEWAL_LIFE: Duration = Duration::from_secs(600);

/// Longest life of a self-issued token at the endpoints of DCP: its test kit and other connectors use ten minutes.
pub const DCP_TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);
/// Life of the access token that lets a verifier query our wallet: the exchange follows at once.
pub const ACCESS_LIFE: Duration = Duration::from_secs(5 * 60);
/// A presentation that we make is read at once.
pub const PRESENTATION_LIFE: Duration = Duration::from_secs(5 * 60);
/// One credential or presentation as a compact JWS: a presentation embeds [`PRESENTED`] credentials.
pub const CREDENTIAL_BYTES: usize = 256 << 10;
/// Credentials in one presentation, presentations in one answer, credentials in one message: a wallet shows a few.
pub const PRESENTED: usize = 16;
/// Subjects, types, status entries and schemas of one credential; real ones have one or two of each.
pub const CREDENTIAL_PARTS: usize = 16;
/// Scopes in one query or access token.
pub const SCOPES: usize = 32;
/// Verification methods and services of one DID document that are looked at.
pub const DOCUMENT_PARTS: usize = 64;
/// A status list unpacked: eight million credentials. 1 MiB of zeros packs into one kilobyte, so this is
/// what keeps a compressed bomb small.
pub const STATUS_BYTES: usize = 1 << 20;
/// Least length of a list that we publish, so that an index tells nothing (Bitstring Status List §3.5): 131,072 bits.
pub const STATUS_LEAST_BYTES: usize = 16 << 10;
/// Nesting of a credential's JSON schema; each level costs a level of the stack.
pub const SCHEMA_DEPTH: usize = 16;
/// Steps that one check against a schema may take: schema and subject are both the peer's.
pub const SCHEMA_STEPS: usize = 10_000;
/// How long a status list that we publish holds: a verifier may keep it that long, and a revocation must bite soon.
pub const STATUS_LIST_LIFE: Duration = Duration::from_secs(5 * 60);
/// Credentials of one wallet; more is a peer that fills our disk.
pub const WALLET: usize = 1_000;
/// Offers kept in a wallet's inbox; older ones make room.
pub const OFFERS_KEPT: usize = 100;
/// Open credential requests of one holder at our issuer.
pub const OPEN_REQUESTS: u64 = 100;
/// Decided requests of one holder that a new one is held against, newest first: a request that comes twice does so within its
/// retries, each costs an invitation, and an older one that comes again finds its invitation used.
pub const PAST_REQUESTS: u64 = 100;
/// A credential that could not be delivered for this long is given up; its holder asks again.
pub const ISSUANCE_GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// Life of a membership credential that we issue.
pub const MEMBERSHIP_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// An invitation that was not taken up by then is void.
pub const INVITATION_LIFE: Duration = Duration::from_secs(14 * 24 * 3600);

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

/// Policies of one TC609 contract, all classes together: people read each of them before signing.
pub const TC609_ITEMS: usize = 64;
/// Actions of one such policy: its dictionary has twenty.
pub const TC609_ACTIONS: usize = 32;
/// Constraints of one such policy: its dictionary has eighteen, and ranges take two.
pub const TC609_CONSTRAINTS: usize = 64;
/// Duties of one such policy.
pub const TC609_CLAUSES: usize = 16;
/// A policy, its duty, that one's consequence, and one more, as [`POLICY_DUTIES`].
pub const TC609_DUTY_DEPTH: usize = 4;
/// Signatories of one TC609 contract; two or three are usual.
pub const TC609_SIGNATORIES: usize = 32;
/// Characters of a signature: an SM2 signature takes 88, a CMS file with its certificates some thousands.
pub const TC609_SIGNATURE_CHARS: usize = 16 << 10;
/// Bytes of a constraint's value or a policy's extension: a list of [`POLICY_LIST`] column names fits.
pub const TC609_VALUE_BYTES: usize = 256 << 10;
/// Bytes of an action that somebody else added.
pub const TC609_ACTION_BYTES: usize = 1024;

/// People of one node: a large company's staff who ever touch its data.
pub const PEOPLE: usize = 10_000;
/// API keys of one account: a program has one, and nobody keeps track of more programs of their own.
pub const KEYS_OF_ONE: u64 = 100;
/// Sessions of one account: a person's browsers and command lines; the oldest ends when another begins.
pub const SESSIONS_OF_ONE: u64 = 100;
/// Name of an account, of a group, of an attribute, and of its value.
pub const PEOPLE_WORD_BYTES: usize = 64;
/// Groups and attributes of one person.
pub const PEOPLE_WORDS: usize = 32;
/// What one rule asks of people, and values of one attribute in it: somebody reads it before signing.
pub const RULE_NEEDS: usize = 16;
pub const RULE_VALUES: usize = 16;
/// Audiences of one ID token; real ones have one or two.
pub const OIDC_AUDIENCES: usize = 16;
/// Keys of an identity provider: two or three, during a rotation some more.
pub const OIDC_KEYS: usize = 32;
/// Values of one claim that roles follow from: groups of a person in a large directory.
pub const OIDC_VALUES: usize = 512;

/// A lease that evidence opened is renewed without new evidence this long after its grant: as long as one lease may last,
/// so that no environment is believed longer than the longest lease would have believed it.
pub const EVIDENCE_FRESH: Duration = LEASE_MAX;
/// Roles of one membership; the white paper knows five, a trade may name some of its own. Of whom more are said, none is known.
pub const MEMBER_ROLES: usize = 32;
/// Code of a region in a membership: ISO 3166 with a place of a place is far shorter.
pub const MEMBER_REGION_BYTES: usize = 32;

/// Bytes of a signed request for keys, and of its body unpacked: a policy of 64 KiB in it is long.
pub const KAS_REQUEST_BYTES: usize = 512 << 10;
/// Policies in one such request; programs send one.
pub const KAS_POLICIES: usize = 16;
/// Key access objects under one policy, as in a manifest.
pub const KAS_OBJECTS: usize = 64;
/// How long a program of the consumer may use the token its node gave it.
pub const PROGRAM_TOKEN_LIFE: Duration = Duration::from_secs(600);

/// Leases of one contract that ended and were never held here, told by a fact of their own in a minute: a program of ours that
/// asks the gate by itself uses fewer, and a peer may invent any number.
pub const MISSED_A_MINUTE: u64 = 60;

/// How long after its grant a provider's lease brings an operator's share: the asker goes there at once.
pub const SHARE_FRESH: Duration = Duration::from_secs(120);
/// Questions for shares of one provider that an operator answers in a minute: each new answer is a fact for ever, and a
/// provider signs leases as it likes. Ten a second is more than people open files.
pub const SHARES_A_MINUTE: u64 = 600;
/// Bytes of one signed statement about a share: two DIDs of 2 kB at most, ids and a wrapped key.
pub const SHARE_STATEMENT_BYTES: usize = 8 << 10;
/// Holds of one operator: contracts and participants that somebody decided about by hand.
pub const HOLDS: i64 = 10_000;
