//! Every domain-separation string of the project, in one place, so that no two can be equal.
//!
//! A string is `tidm/<area>/<what>/v<n>`. It opens the canonical CBOR tuple that is hashed, signed
//! or bound as associated data. Must never be changed in place: a new meaning is a new version.

/// Associated data of a key wrapped under another key ([`crate::aead::wrap_key`]).
pub const WRAP_KEY: &str = "tidm/aead/wrap-key/v1";
/// Derivation of the SM4 key from a 32-byte data key ([`crate::suite::Suite::Guomi`]).
pub const SM4_KEY: &str = "tidm/aead/sm4-key/v1";
/// Key of one name below a node's root for files at rest ([`crate::rest`]).
pub const REST_NAME: &str = "tidm/rest/name/v1";
/// Key of one such file.
pub const REST_FILE: &str = "tidm/rest/file/v1";
/// A credential in the address of a delivery, wrapped at rest.
pub const ADDRESS_SECRET: &str = "tidm/transfer/address-secret/v1";
/// Seed of the P-256 key under which outside programs wrap shares for our key service.
pub const KAS_KEY: &str = "tidm/kas/key/v1";
/// HPKE `info` of a data key released under a lease.
pub const LEASE_KEY: &str = "tidm/lease/key/v1";
/// HPKE `info` of a share of a data key, wrapped for the operator that releases it; and what it is bound to.
pub const SHARE_DEPOSIT: &str = "tidm/share/deposit/v1";
/// HPKE `info` of such a share, released under a provider's lease.
pub const SHARE_KEY: &str = "tidm/share/key/v1";
/// Request for a lease, as signed by the consumer.
pub const LEASE_REQUEST: &str = "tidm/lease/request/v1";
/// Lease, as signed by the provider's gate.
pub const LEASE: &str = "tidm/lease/grant/v1";
/// The holder's word that it gave a lease back, and what came of the use.
pub const LEASE_RETURN: &str = "tidm/lease/return/v1";
/// Result of a use, encrypted to the consumer.
pub const USE_RESULT: &str = "tidm/lease/result/v1";
/// Digest of an offer's canonical form.
pub const OFFER: &str = "tidm/contract/offer/v1";
/// Digest of a contract's canonical form.
pub const CONTRACT: &str = "tidm/contract/agreement/v1";
/// Signature of a party on a contract.
pub const CONTRACT_SIGNATURE: &str = "tidm/contract/signature/v1";
/// Receipt for the deletion of what was delivered under a contract.
pub const DELETION_RECEIPT: &str = "tidm/contract/deletion/v1";
/// Revocation of a contract or lease.
pub const REVOCATION: &str = "tidm/contract/revocation/v1";
/// Digest of a product version.
pub const PRODUCT: &str = "tidm/catalog/product/v1";
/// A fact, as put into the evidence log.
pub const FACT: &str = "tidm/evidence/fact/v1";
/// Salted digest of guessable data inside a fact.
pub const FACT_SALTED: &str = "tidm/evidence/salted/v1";
/// Receipt for a fact.
pub const RECEIPT: &str = "tidm/evidence/receipt/v1";
/// Tombstone of a destroyed key.
pub const TOMBSTONE: &str = "tidm/evidence/tombstone/v1";
/// Signed report (fulfilment, destruction, audit).
pub const REPORT: &str = "tidm/evidence/report/v1";
/// Command of the agreement ledger.
pub const LEDGER_COMMAND: &str = "tidm/ledger/command/v1";
/// State digest of the agreement ledger.
pub const LEDGER_STATE: &str = "tidm/ledger/state/v1";
/// Signed body of a message between two nodes.
pub const MESSAGE: &str = "tidm/message/body/v1";
/// Specification of a privacy-computing job, as agreed by its parties.
pub const JOB: &str = "tidm/job/specification/v1";
/// A contract as other members of a job see it.
pub const JOB_CONTRACT: &str = "tidm/job/contract/v1";
/// A member's key for one job, as its node signs it.
pub const JOB_KEY: &str = "tidm/job/member-key/v1";
/// Handshake of a channel between computing parties.
pub const JOB_CHANNEL: &str = "tidm/job/channel/v1";
/// Manifest of a sandbox application.
pub const APPLICATION: &str = "tidm/sandbox/application/v1";
/// Record signed by a device or an ingest agent about where data came from.
pub const ORIGIN: &str = "tidm/ingest/origin/v1";

/// Bearer token of a transfer over Arrow Flight SQL.
pub const FLIGHT_TOKEN: &str = "tidm/flight/token/v1";
/// Ticket or prepared statement of such a transfer.
pub const FLIGHT_TICKET: &str = "tidm/flight/ticket/v1";

/// Entry of the log of what people did.
pub const PEOPLE_ENTRY: &str = "tidm/people/entry/v1";
/// Secret of a person's second factor, sealed at rest.
pub const PEOPLE_FACTOR: &str = "tidm/people/factor/v1";
/// A sign-in at an identity provider that has begun, sealed into what the browser brings back.
pub const PEOPLE_LOGIN: &str = "tidm/people/login/v1";
/// Key of the marks of one product under one contract.
pub const MARK_KEY: &str = "tidm/mark/key/v1";
/// Choice of a marked cell.
pub const MARK_CELL: &str = "tidm/mark/cell/v1";
/// A lease request, as attestation evidence binds it.
pub const ATTESTED_REQUEST: &str = "tidm/attest/request/v1";
/// A lease's renewal, as attestation evidence binds it.
pub const ATTESTED_RENEWAL: &str = "tidm/attest/renewal/v1";
/// What attestation evidence carries: a nonce, the one-time key it answers for, and what is asked for.
pub const REPORT_DATA: &str = "tidm/attest/report-data/v1";
/// Key of a table for matching, of one product version and rule.
pub const TABLE_KEY: &str = "tidm/psi/table-key/v1";
/// What items of such a table are hashed under, on both sides.
pub const TABLE_ITEMS: &str = "tidm/psi/table-items/v1";

/// All of the above, for tests and for readers.
pub const ALL: &[&str] = &[
    TABLE_KEY,
    TABLE_ITEMS,
    REPORT_DATA,
    ATTESTED_REQUEST,
    ATTESTED_RENEWAL,
    WRAP_KEY,
    SM4_KEY,
    REST_NAME,
    REST_FILE,
    ADDRESS_SECRET,
    KAS_KEY,
    LEASE_KEY,
    SHARE_DEPOSIT,
    SHARE_KEY,
    LEASE_REQUEST,
    LEASE,
    LEASE_RETURN,
    USE_RESULT,
    OFFER,
    CONTRACT,
    CONTRACT_SIGNATURE,
    DELETION_RECEIPT,
    REVOCATION,
    PRODUCT,
    FACT,
    FACT_SALTED,
    RECEIPT,
    TOMBSTONE,
    REPORT,
    LEDGER_COMMAND,
    LEDGER_STATE,
    MESSAGE,
    JOB,
    JOB_CHANNEL,
    JOB_CONTRACT,
    JOB_KEY,
    APPLICATION,
    ORIGIN,
    FLIGHT_TOKEN,
    FLIGHT_TICKET,
    PEOPLE_ENTRY,
    PEOPLE_FACTOR,
    PEOPLE_LOGIN,
    MARK_KEY,
    MARK_CELL,
];

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn domains_are_distinct_and_well_formed() {
        let set: std::collections::BTreeSet<_> = ALL.iter().collect();
        assert_eq!(set.len(), ALL.len());
        for domain in ALL {
            let parts: Vec<_> = domain.split('/').collect();
            assert_eq!(parts.len(), 4, "{domain}");
            assert_eq!(parts[0], "tidm", "{domain}");
            assert!(parts[3].starts_with('v'), "{domain}");
        }
        // A constant left out of ALL would escape this test.
        let declared = include_str!("domain.rs").matches("pub const ").count();
        // Two mentions are not domains: ALL itself and the string in this test.
        assert_eq!(declared - 2, ALL.len());
    }
}
