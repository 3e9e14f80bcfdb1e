//! What DCP needs when the node starts: whom we trust, and the identities of the test profile.
//!
//! Never makes a test identity that the operator did not allow on the command line.

use std::sync::Arc;

use anyhow::Context as _;

use tidm_crypto::secret::Secret;
use tidm_space::identity::did::Did;

use crate::clock::Clock;
use crate::config::{Config, Mode};
use crate::identity::Identity;
use crate::keys::Keys;
use crate::net::claims::{Ages, Claims};
use crate::net::client::Client;
use crate::net::directory::Directory;
use crate::store::Store;

/// Who we are; in the mode `dcp` our tokens let their receiver see our membership.
pub(crate) fn identity(config: &Config, keys: &Arc<dyn Keys>) -> Identity {
    let it = Identity::new(config.node.did.clone(), &config.http.public_url, keys.clone());
    if config.spaces().any(|(_, _, mode)| *mode == Mode::Dcp) { it.presenting() } else { it }
}

/// Trust in issuers: the space's operator, those of the configuration, those of spaces that we run or joined.
pub(crate) async fn claims(
    config: &Config,
    store: &Store,
    (client, directory): (&Client, &Arc<Directory>),
    clock: &Clock,
) -> anyhow::Result<Claims> {
    let ages = Ages { membership: config.dcp.membership_age, status: config.dcp.status_age };
    let also = config.space.also.iter().filter(|it| it.mode == Mode::Dcp).map(|it| &it.operator);
    let issuers = config.dcp.issuers.iter().chain(&config.space.operator).chain(also);
    let issuers = issuers.cloned().collect();
    let claims = Claims::new(client.clone(), directory.clone(), clock.clone(), ages, issuers);
    for (space, _) in store.spaces().await? {
        claims.know_space(space, config.node.did.clone());
    }
    for (issuer, space) in store.joined().await? {
        claims.know_space(space, Did::parse(&issuer)?);
    }
    Ok(claims)
}

/// Further identities with the node's key, and what clients of their token service know.
pub(crate) fn test_identities(
    config: &Config,
    keys: &Arc<dyn Keys>,
) -> anyhow::Result<(Vec<Identity>, Option<Secret<String>>)> {
    let (names, secret) = config.test_profile.identities()?;
    let mut all = Vec::new();
    for name in names {
        let did = Did::parse(&format!("{}:{name}", config.node.did))?;
        let url = format!("{}/{name}", config.http.public_url);
        all.push(Identity::new(did, &url, keys.clone()));
    }
    if !all.is_empty() {
        tracing::warn!(
            "TEST IDENTITIES: test credentials for anybody / 测试身份已启用:任何人都能获得测试凭证"
        );
    }
    let Some(path) = secret else { return Ok((all, None)) };
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("the secret {}", path.display()))?;
    Ok((all, Some(Secret::new(text.trim().to_owned()))))
}
