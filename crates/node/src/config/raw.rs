//! The settings as they are written: optional, unchecked, unknown names refused.
//!
//! Never leaves `config`: the rest of the node sees checked types only.

use serde::Deserialize;
use toml::{Table, Value};

use super::error::{ConfigError, From};
use super::layers::Origins;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Raw {
    pub(super) node: Node,
    pub(super) http: Http,
    pub(super) store: Store,
    pub(super) objects: Objects,
    pub(super) space: Space,
    pub(super) evidence: Evidence,
    pub(super) limits: Limits,
    pub(super) peers: Peers,
    pub(super) flight: Flight,
    pub(super) sealed: Sealed,
    pub(super) signaling: Signaling,
    pub(super) tc609: Tc609,
    pub(super) dcp: Dcp,
    pub(super) identity: Identity,
    pub(super) attest: Attest,
    pub(super) people: People,
    pub(super) test_profile: TestProfile,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Node {
    pub(super) org: Option<String>,
    pub(super) credit_code: Option<String>,
    pub(super) did: Option<String>,
    pub(super) roles: Option<Vec<String>>,
    pub(super) data: Option<String>,
    pub(super) lang: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Http {
    pub(super) listen: Option<String>,
    pub(super) public_url: Option<String>,
    pub(super) tls_cert: Option<String>,
    pub(super) tls_key: Option<String>,
    pub(super) tls_ca: Option<String>,
    pub(super) insecure_http: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    pub(super) url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Objects {
    pub(super) signed_seconds: Option<u64>,
    pub(super) dir: Option<String>,
    pub(super) bucket: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<String>,
    pub(super) key_id: Option<String>,
    pub(super) secret_file: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Space {
    pub(super) members: Option<String>,
    pub(super) operator: Option<String>,
    pub(super) infrastructure: Option<String>,
    pub(super) signatures: Option<bool>,
    pub(super) refunds: Option<bool>,
    pub(super) also: Vec<Also>,
}

/// A further space.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Also {
    pub(super) mode: Option<String>,
    pub(super) members: Option<String>,
    pub(super) operator: Option<String>,
    pub(super) client_ca: Option<String>,
    pub(super) client_crls: Vec<String>,
    pub(super) client_names: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Evidence {
    pub(super) origin: Option<String>,
    pub(super) custodians: Vec<Custodian>,
    pub(super) quorum: Option<u64>,
    pub(super) checkpoint_ms: Option<u64>,
    pub(super) watched: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Custodian {
    pub(super) url: String,
    pub(super) vkey: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    pub(super) excel_mib: Option<u64>,
    pub(super) query_seconds: Option<u64>,
    pub(super) worker_mib: Option<u64>,
    pub(super) matching_mib: Option<u64>,
    pub(super) workers: Option<u64>,
    pub(super) upload_mib: Option<u64>,
    pub(super) delivery_kib: Option<u64>,
    pub(super) delivery_connections: Option<u64>,
    pub(super) stalled_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Peers {
    pub(super) allow_private_addresses: Option<bool>,
    pub(super) timeout_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Flight {
    pub(super) enabled: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sealed {
    pub(super) suite: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Signaling {
    pub(super) enabled: Option<bool>,
    pub(super) profiles: Vec<String>,
    pub(super) background: Vec<String>,
    pub(super) sources: Vec<String>,
    pub(super) trust_network: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tc609 {
    pub(super) enabled: Option<bool>,
    pub(super) connector: Option<String>,
    pub(super) platform: Option<String>,
    pub(super) platform_url: Option<String>,
    pub(super) partners: Vec<String>,
    pub(super) callers: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Dcp {
    pub(super) issuers: Vec<String>,
    pub(super) cache_seconds: Option<u64>,
    pub(super) status_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Identity {
    pub(super) mode: Option<String>,
    pub(super) claims: Option<bool>,
    pub(super) tokens_file: Option<String>,
    pub(super) client_ca: Option<String>,
    pub(super) client_crls: Vec<String>,
    pub(super) client_names: Option<String>,
    pub(super) client_cert: Option<String>,
    pub(super) client_key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Attest {
    pub(super) maker: Option<String>,
    pub(super) tsm_root: Option<String>,
    pub(super) tpm: Option<String>,
    pub(super) tpm_key: Option<String>,
    pub(super) tpm_pcrs: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct People {
    pub(super) separation: Option<String>,
    pub(super) second_factor: Option<String>,
    pub(super) session_minutes: Option<u64>,
    pub(super) idle_minutes: Option<u64>,
    pub(super) oidc_issuer: Option<String>,
    pub(super) oidc_client: Option<String>,
    pub(super) oidc_secret_file: Option<String>,
    pub(super) oidc_roles: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TestProfile {
    pub(super) file: Option<String>,
    pub(super) pids_by_path: Option<bool>,
    pub(super) identities: Vec<String>,
    pub(super) secret_file: Option<String>,
}

impl Raw {
    /// Section by section and key by key, so that an error can name the one that has the wrong type.
    pub(super) fn of(table: Table, origins: &Origins) -> Result<Self, ConfigError> {
        for (section, values) in &table {
            let Value::Table(values) = values else { continue };
            for (name, value) in values {
                let path = format!("{section}.{name}");
                let mut one = Table::new();
                one.insert(name.clone(), value.clone());
                let mut whole = Table::new();
                whole.insert(section.clone(), Value::Table(one));
                if let Err(e) = Self::deserialize(Value::Table(whole)) {
                    let from = origins.get(&path).copied().unwrap_or(From::File);
                    return Err(ConfigError::wrong_type(
                        &path,
                        &value.to_string(),
                        from,
                        e.message(),
                    ));
                }
            }
        }
        Self::deserialize(Value::Table(table)).map_err(|e| ConfigError::syntax(&e))
    }
}
