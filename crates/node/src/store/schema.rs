//! The numbered, forward-only migrations.
//!
//! Never edited once released: a change is a new entry, tested from every older version.

/// Statements separated by `;`. Types are PostgreSQL's; [`super::dialect`] translates.
pub(super) const MIGRATIONS: &[&str] = &[
    V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12, V13, V14, V15, V16, V17, V18, V19, V20, V21,
];

const V1: &str = "
CREATE TABLE negotiations (
  id TEXT PRIMARY KEY, peer TEXT NOT NULL, peer_pid TEXT, role TEXT NOT NULL, product TEXT NOT NULL,
  contract TEXT, state TEXT NOT NULL, open BIGINT NOT NULL, awaits_approval BIGINT NOT NULL,
  created BIGINT NOT NULL, moved BIGINT NOT NULL, record TEXT NOT NULL);
CREATE INDEX negotiations_peer_pid ON negotiations (peer, peer_pid);
CREATE INDEX negotiations_peer_open ON negotiations (peer, open);
CREATE INDEX negotiations_moved ON negotiations (moved, id);
CREATE TABLE transfers (
  id TEXT PRIMARY KEY, peer TEXT NOT NULL, peer_pid TEXT, role TEXT NOT NULL, contract TEXT NOT NULL,
  state TEXT NOT NULL, open BIGINT NOT NULL, created BIGINT NOT NULL, moved BIGINT NOT NULL, record TEXT NOT NULL);
CREATE INDEX transfers_peer_pid ON transfers (peer, peer_pid);
CREATE INDEX transfers_contract ON transfers (contract, open);
CREATE INDEX transfers_moved ON transfers (moved, id);
CREATE TABLE contracts (
  id TEXT PRIMARY KEY, peer TEXT NOT NULL, role TEXT NOT NULL, product TEXT NOT NULL, negotiation TEXT NOT NULL,
  active BIGINT NOT NULL, signed_at BIGINT NOT NULL, record TEXT NOT NULL);
CREATE INDEX contracts_signed ON contracts (signed_at, id);
CREATE TABLE leases (
  id TEXT PRIMARY KEY, contract TEXT NOT NULL, nonce TEXT NOT NULL, role TEXT NOT NULL, open BIGINT NOT NULL,
  granted BIGINT NOT NULL, record TEXT NOT NULL);
CREATE UNIQUE INDEX leases_nonce ON leases (contract, nonce);
CREATE INDEX leases_contract ON leases (contract, open);
CREATE TABLE products (
  id TEXT PRIMARY KEY, line TEXT NOT NULL, title TEXT NOT NULL, kind TEXT NOT NULL, listed BIGINT NOT NULL,
  published BIGINT NOT NULL, dataset TEXT NOT NULL, record TEXT NOT NULL);
CREATE INDEX products_published ON products (published, id);
CREATE INDEX products_line ON products (line);
CREATE TABLE sources (
  product TEXT PRIMARY KEY, object TEXT NOT NULL, origin TEXT NOT NULL, profile TEXT, preview TEXT);
CREATE TABLE debits (
  lease TEXT NOT NULL, kind TEXT NOT NULL, contract TEXT NOT NULL, grp TEXT NOT NULL, amount BIGINT NOT NULL,
  at BIGINT NOT NULL, PRIMARY KEY (lease, kind));
CREATE INDEX debits_contract ON debits (contract, kind);
CREATE TABLE facts (
  seq SEQUENCE_KEY, id TEXT NOT NULL UNIQUE, at BIGINT NOT NULL, peer TEXT, product TEXT, negotiation TEXT,
  contract TEXT, transfer TEXT, lease TEXT, log_index BIGINT, entry BYTEA NOT NULL);
CREATE INDEX facts_contract ON facts (contract, seq);
CREATE INDEX facts_product ON facts (product, seq);
CREATE INDEX facts_negotiation ON facts (negotiation, seq);
CREATE INDEX facts_transfer ON facts (transfer, seq);
CREATE INDEX facts_log_index ON facts (log_index);
CREATE TABLE outbox (
  id TEXT PRIMARY KEY, peer TEXT NOT NULL, about TEXT NOT NULL, next BIGINT NOT NULL, claimed BIGINT NOT NULL,
  record TEXT NOT NULL);
CREATE INDEX outbox_next ON outbox (next);
CREATE INDEX outbox_about ON outbox (about);
CREATE TABLE seen (
  peer TEXT NOT NULL, id TEXT NOT NULL, digest TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (peer, id));
CREATE INDEX seen_at ON seen (at);
CREATE TABLE timers (
  name TEXT PRIMARY KEY, at BIGINT NOT NULL, claimed BIGINT NOT NULL, record TEXT NOT NULL);
CREATE INDEX timers_at ON timers (at);
CREATE TABLE tokens (issuer TEXT NOT NULL, jti TEXT NOT NULL, until BIGINT NOT NULL, PRIMARY KEY (issuer, jti));
CREATE INDEX tokens_until ON tokens (until);
CREATE TABLE checkpoint (log TEXT PRIMARY KEY, size BIGINT NOT NULL, root TEXT NOT NULL, fence BIGINT NOT NULL);
CREATE TABLE duties (name TEXT PRIMARY KEY, holder TEXT NOT NULL, fence BIGINT NOT NULL, until BIGINT NOT NULL);
CREATE TABLE seals (
  contract TEXT PRIMARY KEY, object TEXT NOT NULL, wrapped_key TEXT NOT NULL, bytes BIGINT NOT NULL,
  digest TEXT NOT NULL, record TEXT NOT NULL);
CREATE TABLE copies (
  contract TEXT NOT NULL, object TEXT NOT NULL, transfer TEXT NOT NULL, bytes BIGINT NOT NULL, digest TEXT NOT NULL,
  record TEXT NOT NULL, PRIMARY KEY (contract, object));
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE accounts (name TEXT PRIMARY KEY, secret TEXT NOT NULL, role TEXT NOT NULL, created BIGINT NOT NULL);
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, digest TEXT NOT NULL, scopes TEXT NOT NULL, created BIGINT NOT NULL, until BIGINT);
CREATE TABLE remote_products (
  id TEXT NOT NULL, provider TEXT NOT NULL, address TEXT NOT NULL, title TEXT NOT NULL, search TEXT NOT NULL,
  seen BIGINT NOT NULL, dataset TEXT NOT NULL, PRIMARY KEY (provider, id));
CREATE TABLE grants (
  contract TEXT NOT NULL, transfer TEXT PRIMARY KEY, token_digest TEXT NOT NULL, object TEXT NOT NULL, until BIGINT NOT NULL)
";

/// What is spent is a row that grows, not a sum over every use there ever was.
const V2: &str = "
CREATE TABLE spent (contract TEXT NOT NULL, kind TEXT NOT NULL, amount BIGINT NOT NULL, PRIMARY KEY (contract, kind));
INSERT INTO spent (contract, kind, amount) SELECT contract, kind, CAST(SUM(amount) AS BIGINT) FROM debits GROUP BY contract, kind
";

/// Sign-in, uploads and the replies of calls that may be repeated.
const V3: &str = "
CREATE TABLE sessions (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, digest TEXT NOT NULL, created BIGINT NOT NULL, used BIGINT NOT NULL);
CREATE TABLE lockouts (name TEXT PRIMARY KEY, failures BIGINT NOT NULL, until BIGINT NOT NULL);
CREATE TABLE replies (
  name TEXT PRIMARY KEY, request TEXT NOT NULL, status BIGINT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, until BIGINT NOT NULL);
CREATE INDEX replies_until ON replies (until);
CREATE TABLE uploads (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, object TEXT NOT NULL, name TEXT NOT NULL, bytes BIGINT NOT NULL,
  digest TEXT NOT NULL, created BIGINT NOT NULL);
ALTER TABLE api_keys ADD COLUMN title TEXT NOT NULL DEFAULT ''
";

/// By what a search is narrowed, and the inbox of approvals. Rows of before say `unknown` until the next crawl.
const V4: &str = "
ALTER TABLE remote_products ADD COLUMN formats TEXT NOT NULL DEFAULT '|unknown|';
ALTER TABLE remote_products ADD COLUMN grade TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE remote_products ADD COLUMN price BIGINT NOT NULL DEFAULT -1;
ALTER TABLE remote_products ADD COLUMN currency TEXT NOT NULL DEFAULT 'unknown';
ALTER TABLE remote_products ADD COLUMN free TEXT NOT NULL DEFAULT 'unknown';
CREATE INDEX negotiations_awaiting ON negotiations (awaits_approval, moved, id)
";

/// What was said and heard, for the operators' timelines.
const V5: &str = "
CREATE TABLE messages (
  seq SEQUENCE_KEY, about TEXT NOT NULL, at BIGINT NOT NULL, direction TEXT NOT NULL, path TEXT NOT NULL,
  status BIGINT NOT NULL, took BIGINT NOT NULL, attempt BIGINT NOT NULL, reason TEXT NOT NULL);
CREATE INDEX messages_about ON messages (about, seq);
CREATE INDEX messages_at ON messages (at)
";

/// Planes of other programs, the data flows that they run or have run here, and what moved.
const V6: &str = "
CREATE TABLE planes (
  plane TEXT NOT NULL, id TEXT NOT NULL, token TEXT NOT NULL, created BIGINT NOT NULL, record TEXT NOT NULL,
  PRIMARY KEY (plane, id));
CREATE INDEX planes_token ON planes (plane, token);
CREATE TABLE plane_profiles (profile TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (profile, id));
CREATE TABLE flows (
  id TEXT PRIMARY KEY, plane TEXT NOT NULL, partner TEXT NOT NULL, process TEXT NOT NULL, role TEXT NOT NULL,
  state TEXT NOT NULL, open BIGINT NOT NULL, created BIGINT NOT NULL, moved BIGINT NOT NULL, record TEXT NOT NULL);
CREATE UNIQUE INDEX flows_process ON flows (plane, partner, process);
CREATE INDEX flows_open ON flows (plane, partner, open);
CREATE INDEX flows_moved ON flows (moved, id);
CREATE TABLE flow_tokens (
  flow TEXT PRIMARY KEY, token TEXT NOT NULL, refresh TEXT NOT NULL, until BIGINT NOT NULL);
CREATE TABLE flow_data (
  flow TEXT NOT NULL, object TEXT NOT NULL, bytes BIGINT NOT NULL, digest TEXT NOT NULL, at BIGINT NOT NULL,
  PRIMARY KEY (flow, object))
";

/// Credentials: the wallet's, what was offered and asked for, what our issuer decided and issued, its spaces.
const V7: &str = "
CREATE TABLE wallet (
  holder TEXT NOT NULL, issuer TEXT NOT NULL, id TEXT NOT NULL, stored BIGINT NOT NULL, until BIGINT NOT NULL,
  credential TEXT NOT NULL, PRIMARY KEY (holder, issuer, id));
CREATE INDEX wallet_until ON wallet (until);
CREATE TABLE offers (
  id TEXT PRIMARY KEY, holder TEXT NOT NULL, issuer TEXT NOT NULL, at BIGINT NOT NULL, record TEXT NOT NULL);
CREATE INDEX offers_holder ON offers (holder, at);
CREATE TABLE asked (
  id TEXT PRIMARY KEY, issuer TEXT NOT NULL, space TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, at BIGINT NOT NULL);
CREATE TABLE issuances (
  id TEXT PRIMARY KEY, issuer TEXT NOT NULL, holder TEXT NOT NULL, state TEXT NOT NULL, due BIGINT, created BIGINT NOT NULL,
  record TEXT NOT NULL);
CREATE INDEX issuances_due ON issuances (due);
CREATE INDEX issuances_holder ON issuances (issuer, holder, state);
CREATE TABLE issued (
  issuer TEXT NOT NULL, place BIGINT NOT NULL, issuance TEXT NOT NULL, holder TEXT NOT NULL, kind TEXT NOT NULL, space TEXT NOT NULL,
  at BIGINT NOT NULL, until BIGINT NOT NULL, revoked BIGINT, PRIMARY KEY (issuer, place));
CREATE INDEX issued_holder ON issued (issuer, space, holder);
CREATE TABLE spaces (id TEXT PRIMARY KEY, name TEXT NOT NULL, at BIGINT NOT NULL);
CREATE TABLE invitations (
  space TEXT NOT NULL, holder TEXT NOT NULL, roles TEXT NOT NULL, at BIGINT NOT NULL, until BIGINT NOT NULL, issuance TEXT,
  PRIMARY KEY (space, holder))
";

/// The federated catalogue: what each entry is known from, what changed when, how reading stands with each member,
/// and who is told of changes. `catalog_heads` counts: a row's lock orders its writers, so that readers miss nothing.
const V8: &str = "
CREATE TABLE catalog_heads (name TEXT PRIMARY KEY, revision BIGINT NOT NULL);
ALTER TABLE products ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
UPDATE products SET revision = numbered.place FROM
  (SELECT id AS of, ROW_NUMBER() OVER (ORDER BY published, id) AS place FROM products) AS numbered WHERE numbered.of = products.id;
CREATE INDEX products_revision ON products (revision);
INSERT INTO catalog_heads (name, revision) SELECT 'own', COUNT(*) FROM products;
INSERT INTO catalog_heads (name, revision) VALUES ('others', 0);
ALTER TABLE remote_products DROP COLUMN price;
ALTER TABLE remote_products DROP COLUMN currency;
ALTER TABLE remote_products ADD COLUMN prices TEXT NOT NULL DEFAULT '';
ALTER TABLE remote_products ADD COLUMN via TEXT NOT NULL DEFAULT '';
ALTER TABLE remote_products ADD COLUMN request TEXT NOT NULL DEFAULT '';
ALTER TABLE remote_products ADD COLUMN digest TEXT NOT NULL DEFAULT '';
UPDATE remote_products SET via = provider;
CREATE INDEX remote_products_via ON remote_products (via, provider, id);
CREATE INDEX remote_products_id ON remote_products (id);
CREATE TABLE catalog_changes (
  seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, kind TEXT NOT NULL, provider TEXT NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL);
CREATE TABLE crawl_members (
  member TEXT PRIMARY KEY, next BIGINT NOT NULL, failures BIGINT NOT NULL, failing_since BIGINT, ok BIGINT, whole BIGINT,
  mark TEXT NOT NULL, entries BIGINT NOT NULL, error TEXT);
DELETE FROM settings WHERE name LIKE 'crawl %';
CREATE TABLE catalog_subscriptions (
  id TEXT PRIMARY KEY, account TEXT NOT NULL, url TEXT NOT NULL, filter TEXT NOT NULL, created BIGINT NOT NULL, sent BIGINT NOT NULL,
  next BIGINT NOT NULL, failures BIGINT NOT NULL, failing_since BIGINT, ok BIGINT, error TEXT);
CREATE INDEX catalog_subscriptions_next ON catalog_subscriptions (next)
";

/// Matchings of lists that this node takes part in.
const V9: &str = "
CREATE TABLE matchings (
  id TEXT PRIMARY KEY, contract TEXT NOT NULL, role TEXT NOT NULL, state TEXT NOT NULL, lease TEXT, created BIGINT NOT NULL,
  moved BIGINT NOT NULL, record TEXT NOT NULL);
CREATE INDEX matchings_created ON matchings (created, id);
CREATE INDEX matchings_lease ON matchings (lease);
CREATE INDEX matchings_state ON matchings (state)
";

/// People: roles, second factors, links to set a password, rules, logins of identity providers, and the log of what
/// they did. Whoever administered before holds all roles.
const V10: &str = "
ALTER TABLE accounts ADD COLUMN state TEXT NOT NULL DEFAULT 'active';
ALTER TABLE accounts ADD COLUMN roles TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN known TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN factor TEXT;
ALTER TABLE accounts ADD COLUMN factor_on BIGINT NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN factor_step BIGINT NOT NULL DEFAULT -1;
UPDATE accounts SET roles = 'system-administrator security-administrator audit-administrator data-steward analyst auditor' WHERE role = 'admin';
ALTER TABLE sessions ADD COLUMN proven BIGINT;
CREATE INDEX sessions_account ON sessions (account);
CREATE TABLE old_passwords (account TEXT NOT NULL, at BIGINT NOT NULL, secret TEXT NOT NULL);
CREATE INDEX old_passwords_account ON old_passwords (account, at);
CREATE TABLE recovery_codes (account TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (account, digest));
CREATE TABLE account_links (account TEXT PRIMARY KEY, digest TEXT NOT NULL, until BIGINT NOT NULL);
CREATE TABLE access_rules (subject TEXT PRIMARY KEY, rule TEXT NOT NULL, at BIGINT NOT NULL);
CREATE TABLE logins (
  issuer TEXT NOT NULL, subject TEXT NOT NULL, account TEXT NOT NULL, roles TEXT NOT NULL, PRIMARY KEY (issuer, subject));
CREATE INDEX logins_account ON logins (account);
CREATE TABLE login_states (
  handle TEXT PRIMARY KEY, state TEXT NOT NULL, nonce TEXT NOT NULL, verifier TEXT NOT NULL, until BIGINT NOT NULL);
CREATE TABLE people_log (
  place BIGINT PRIMARY KEY, at BIGINT NOT NULL, who TEXT NOT NULL, act TEXT NOT NULL, subject TEXT NOT NULL,
  allowed BIGINT NOT NULL, reason TEXT NOT NULL, digest TEXT NOT NULL)
";

/// What of a product one contract lets out, where that is less than the whole, or marked. The row outlives the
/// object (then `object` is empty): it says that a copy was marked, when a leak of it is found.
const V11: &str = "
CREATE TABLE excerpts (
  contract TEXT PRIMARY KEY, object TEXT NOT NULL, bytes BIGINT NOT NULL, digest TEXT NOT NULL, rows BIGINT NOT NULL,
  marked BIGINT);
CREATE INDEX contracts_product ON contracts (product, role)
";

/// When uses began, newest first; and whose budget a contract's uses are charged to.
const V12: &str = "
DROP INDEX debits_contract;
CREATE INDEX debits_contract ON debits (contract, kind, at);
ALTER TABLE contracts ADD COLUMN grp TEXT NOT NULL DEFAULT '';
UPDATE contracts SET grp = peer;
CREATE INDEX contracts_grp ON contracts (grp, product)
";

/// Codes of digital contracts (TC609), and what was said about them at its interfaces.
const V13: &str = "
CREATE TABLE tc609_contracts (code TEXT PRIMARY KEY, negotiation TEXT, made BIGINT NOT NULL, record TEXT NOT NULL);
CREATE UNIQUE INDEX tc609_contracts_negotiation ON tc609_contracts (negotiation);
CREATE TABLE tc609_messages (
  path TEXT NOT NULL, id TEXT NOT NULL, code TEXT NOT NULL, at BIGINT NOT NULL, digest TEXT NOT NULL, body TEXT NOT NULL,
  answer TEXT NOT NULL, PRIMARY KEY (path, id));
CREATE INDEX tc609_messages_code ON tc609_messages (code, at);
CREATE TABLE offered_terms (
  negotiation TEXT NOT NULL, digest TEXT NOT NULL, at BIGINT NOT NULL, policy TEXT NOT NULL, PRIMARY KEY (negotiation, digest))
";

/// V14: tables for matching, made here or kept of a peer.
const V14: &str = "
CREATE TABLE psi_tables (
  id TEXT PRIMARY KEY, role TEXT NOT NULL, product TEXT NOT NULL, contract TEXT, state TEXT NOT NULL,
  created BIGINT NOT NULL, moved BIGINT NOT NULL, record TEXT NOT NULL);
CREATE INDEX psi_tables_created ON psi_tables (created, id);
CREATE INDEX psi_tables_contract ON psi_tables (contract)
";

/// V15: what a membership will say of where its member is.
const V15: &str = "
ALTER TABLE invitations ADD COLUMN country TEXT
";

/// V16: keys that are split with an operator. The provider keeps the operator's share as a deposit it cannot open; the
/// operator keeps its one answer for each nonce, and what it holds.
const V16: &str = "
ALTER TABLE seals ADD COLUMN deposit TEXT NOT NULL DEFAULT '';
CREATE TABLE share_answers (
  provider TEXT NOT NULL, nonce TEXT NOT NULL, one_time TEXT NOT NULL, lease TEXT NOT NULL, answer BYTEA NOT NULL,
  at BIGINT NOT NULL, PRIMARY KEY (provider, nonce));
CREATE INDEX share_answers_at ON share_answers (at);
CREATE TABLE share_holds (subject TEXT PRIMARY KEY, reason TEXT NOT NULL, at BIGINT NOT NULL)
";

/// V17. How often an entry's refusal was met, entries of one account, tries by name and address (lock-outs of before end),
/// and sign-ins at a provider that have ended, in place of those under way (which begin again).
const V17: &str = "
ALTER TABLE people_log ADD COLUMN times BIGINT NOT NULL DEFAULT 1;
CREATE INDEX people_log_who ON people_log (who, place);
DROP TABLE lockouts;
CREATE TABLE tries (
  name TEXT NOT NULL, address TEXT NOT NULL, forgotten BIGINT NOT NULL, until BIGINT NOT NULL, proven BIGINT NOT NULL,
  PRIMARY KEY (name, address));
CREATE INDEX tries_forgotten ON tries (forgotten);
DROP TABLE login_states;
CREATE TABLE used_logins (handle TEXT PRIMARY KEY, until BIGINT NOT NULL);
CREATE INDEX used_logins_until ON used_logins (until)
";

/// V18: refusals that have no fact of their own, by contract and code; facts by their kind, which is empty for those
/// of before; and proofs of fulfilment that are to be sent.
const V18: &str = "
CREATE TABLE refusals (
  contract TEXT NOT NULL, code TEXT NOT NULL, minute BIGINT NOT NULL, more BIGINT NOT NULL, PRIMARY KEY (contract, code));
ALTER TABLE facts ADD COLUMN kind TEXT NOT NULL DEFAULT '';
CREATE INDEX facts_kind ON facts (contract, kind, seq);
CREATE TABLE owed_proofs (
  contract TEXT PRIMARY KEY, next BIGINT NOT NULL, tries BIGINT NOT NULL, body TEXT NOT NULL);
CREATE INDEX owed_proofs_next ON owed_proofs (next)
";

/// V19: contracts that stand and oblige to delete have their end by the clock looked at once: those of before have no timer for
/// the day of deletion. Who looks sets the timer, or ends what is over.
const V19: &str = "
INSERT INTO timers (name, at, claimed, record)
  SELECT 'contract-end ' || id, 0, 0,
    '{\"at\":\"1970-01-01T00:00:00.000Z\",\"attempts\":0,\"id\":\"' || id || '\",\"key\":\"contract-end ' || id || '\",\"v\":1,\"what\":\"contract-end\"}'
  FROM contracts WHERE active = 1 AND record LIKE '%delete%'
  ON CONFLICT (name) DO UPDATE SET at = excluded.at, claimed = excluded.claimed, record = excluded.record
";

/// V20: a proof of fulfilment is owed to each of its receivers, the peer and the platform, with one body for all.
const V20: &str = "
CREATE TABLE proofs_owed (
  contract TEXT NOT NULL, receiver TEXT NOT NULL, next BIGINT NOT NULL, tries BIGINT NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (contract, receiver));
INSERT INTO proofs_owed (contract, receiver, next, tries, body)
  SELECT contract, 'peer', next, tries, body FROM owed_proofs;
DROP TABLE owed_proofs;
CREATE INDEX proofs_owed_next ON proofs_owed (next)
";

/// V21: of which legal entity a membership will say that its member is.
const V21: &str = "
ALTER TABLE invitations ADD COLUMN credit_code TEXT
";
