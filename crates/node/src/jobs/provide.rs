//! Provider: lay ready what a transfer delivers, sealed where its format says so.
//!
//! Threat model: sealed bytes are useless without a lease (one data key per product version and contract;
//! the associated data binds ciphertext to contract, product and recipient). An infrastructure node that
//! stores them learns sizes and times, never a key. Plain delivery (E0) protects nothing after delivery.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::{domain, tdf};
use tidm_space::catalog::delivery::{FLIGHT_SQL_PULL, HTTP_ADDRESS, Use, Way};
use tidm_space::contract::Contract;
use tidm_space::engine::input::{Input, Wish};
use tidm_space::id::Id;
use tidm_space::lease::delivery::{deliverable, leaves_until};
use tidm_space::share::{OPERATOR_SHARE, PROVIDER_SHARE};
use tidm_space::time::Time;
use tidm_space::transfer::message::{Body, DataAddress};
use tidm_space::transfer::state::Transfer;
use tidm_space::wire::{kas, odrl};

use super::bucket::Bucket;
use super::sending::Parcel;
use super::split::{self, Shares};
use super::{excerpt, flight, infrastructure, release, secrets, spool};
use crate::app::App;
use crate::net::client::CallError;
use crate::objects::Key;
use crate::random;
use crate::store::notes::{self, Grant, Seal};

/// A download grant lives this long; a contract that ends sooner ends it, and so do the terms of plain bytes.
const GRANT: Duration = Duration::from_secs(24 * 3600);

/// What binds sealed bytes to their deal; known to both sides, never stored in the file.
pub fn aad(contract: &Id, product: &Id, recipient: &str) -> Digest {
    let parts = vec![
        Value::Text(contract.to_string()),
        Value::Text(product.to_string()),
        Value::Text(recipient.to_owned()),
    ];
    sha256(&tuple(domain::PRODUCT, parts))
}

/// Runs the job; harmless when repeated.
pub async fn run(app: &Arc<App>, transfer: &Id) -> anyhow::Result<()> {
    let Some(it) = app.store.transfer(transfer).await? else { return Ok(()) };
    let Some(contract) = app.store.contract(&it.contract).await? else { return Ok(()) };
    if it.format == FLIGHT_SQL_PULL {
        return flight::offer(app, &it, &contract).await;
    }
    let Some(delivery) = it.delivery().filter(|it| !matches!(it.kind, Use::Query | Use::Psi))
    else {
        let reason = vec![format!("the format {} is not offered here", it.format)];
        return refuse(app, transfer, "transfer.format", reason).await;
    };
    let terms = match deliverable(&contract, delivery.kind, app.clock.now()) {
        Ok(terms) => terms,
        Err(why) => return refuse(app, transfer, "transfer.kind", vec![why.to_string()]).await,
    };
    // Terms that name no kinds mean those that the product is offered in, and no others. Nobody can agree over one without any
    // offer: such a contract was made elsewhere and adopted by an operator's own hand.
    let product = app.store.product(&contract.product).await?;
    let offered =
        product.is_some_and(|it| it.offers.is_empty() || it.deliveries().contains(&delivery.kind));
    if terms.summary.kinds.is_none() && !offered {
        let reason = vec![format!("the product is not offered as {}", delivery.kind.name())];
        return refuse(app, transfer, "transfer.kind", reason).await;
    }
    if !excerpt::markable(app, &contract, &terms).await? {
        let reason = vec!["the product has not the columns that the watermark needs".to_owned()];
        return refuse(app, transfer, "transfer.kind", reason).await;
    }
    if let Some(why) = unusable(app, &it, delivery.way).await? {
        return refuse(app, transfer, "transfer.address", vec![why]).await;
    }
    let content = content(app, &contract, delivery.kind).await?;
    let Parcel { bytes, sha256, .. } = content.parcel;
    let address = match delivery.way {
        Way::Pull => {
            let bounded = terms.grants.iter().any(|it| {
                it.limits.delivery_rate.is_some() || it.limits.delivery_connections.is_some()
            });
            let until = leaves_until(&contract, &terms, delivery.kind, app.clock.now());
            Some(pull_address(app, &it, &content, (bounded, until)).await?)
        }
        Way::Push | Way::Bucket => None,
    };
    let wish = Wish::Provided { transfer: transfer.clone(), address, bytes, content: sha256 };
    app.writer.run(Input::Wish(Box::new(wish))).await?;
    Ok(())
}

/// Why nothing can be pushed to where the request wants it.
async fn unusable(app: &App, it: &Transfer, way: Way) -> anyhow::Result<Option<String>> {
    let no_address = || "a push needs a dataAddress that says whereto".to_owned();
    let Some(to) = &it.push_to else { return Ok((way != Way::Pull).then(no_address)) };
    let endpoint = match way {
        Way::Pull => return Ok(None),
        Way::Push => to.endpoint.clone().ok_or_else(no_address),
        Way::Bucket => {
            let to = secrets::unwrap(app, &it.contract, to)?;
            Bucket::of(app, it, &to).map(|it| it.endpoint).map_err(|why| why.to_string())
        }
    };
    let endpoint = match endpoint {
        Ok(it) => it,
        Err(why) => return Ok(Some(why)),
    };
    match app.client.check_whole(&endpoint).await {
        Err(why @ CallError::Address { .. }) => Ok(Some(why.to_string())),
        // A name that does not resolve at this moment may do so when the bytes are sent.
        Ok(()) | Err(_) => Ok(None),
    }
}

/// What a contract delivers in one kind of use.
pub struct Content {
    pub parcel: Parcel,
    seal: Option<Seal>,
    /// `table`, `file` or `none`.
    sealed: &'static str,
    /// Whether its numbers carry a watermark.
    marked: bool,
}

/// Seals at the first need.
pub async fn content(app: &Arc<App>, contract: &Contract, kind: Use) -> anyhow::Result<Content> {
    let source = app.store.source(&contract.product).await?;
    let source = source.context("a product without its source")?;
    let excerpt = excerpt::of(app, contract, kind).await?;
    let marked = excerpt.as_ref().is_some_and(|it| it.marked.is_some());
    let sealed = match kind {
        Use::SealedTable => "table",
        Use::SealedFile => "file",
        Use::Plain => {
            if let Some(it) = excerpt {
                let key = Key::parse(&it.object)?;
                let parcel = Parcel { key, bytes: it.bytes, sha256: it.digest };
                return Ok(Content { parcel, seal: None, sealed: "none", marked });
            }
            let key = Key::parse(&source.object)?;
            let bytes = app.objects.head(&key).await?.bytes;
            let product = app.store.product(&contract.product).await?;
            let product = product.context("a contract without its product")?;
            let sha256 = product.content.context("a product without a digest")?;
            let parcel = Parcel { key, bytes, sha256 };
            return Ok(Content { parcel, seal: None, sealed: "none", marked });
        }
        Use::Query | Use::Psi => anyhow::bail!("{} delivers nothing", kind.name()),
    };
    let seal =
        self::sealed(app, contract, excerpt.as_ref().map_or(&source.object, |it| &it.object), kind)
            .await?;
    let key = Key::parse(&seal.object)?;
    let parcel = Parcel { key, bytes: seal.bytes, sha256: seal.digest };
    Ok(Content { parcel, seal: Some(seal), sealed, marked })
}

/// Where the consumer fetches it. What the contract bounds is delivered by this node, which keeps to the bounds.
async fn pull_address(
    app: &App,
    it: &Transfer,
    content: &Content,
    (bounded, until): (bool, Option<Time>),
) -> anyhow::Result<DataAddress> {
    let parcel = &content.parcel;
    let mut address = None;
    if let Some(seal) = content.seal.as_ref().filter(|_| !bounded) {
        address = infrastructure::address(app, it, seal).await?;
    }
    if address.is_none() && !bounded {
        address = signed_address(app, &parcel.key, until).await?;
    }
    let address = match address {
        Some(address) => address,
        None => own_address(app, it, parcel.key.as_str(), until).await?,
    };
    Ok(describe(address, content))
}

pub(super) async fn refuse(
    app: &App,
    transfer: &Id,
    code: &str,
    reason: Vec<String>,
) -> anyhow::Result<()> {
    let body = Body::Terminate { code: Some(code.to_owned()), reason };
    let wish = Wish::SayTransfer { transfer: transfer.clone(), body };
    app.writer.run(Input::Wish(Box::new(wish))).await?;
    Ok(())
}

/// The one sealed object of a contract, made at the first need.
async fn sealed(
    app: &Arc<App>,
    contract: &Contract,
    source: &str,
    format: Use,
) -> anyhow::Result<Seal> {
    if let Some(seal) = app.store.seal(&contract.id).await? {
        return Ok(seal);
    }
    let key = random::key();
    let shares = match split::operator_of(contract) {
        Some(operator) => Some(split::split(app, contract, &operator, &key).await?),
        None => None,
    };
    let kept = shares.as_ref().map_or(&key, |it| &it.own);
    let wrapped_key = release::wrap_at_rest(app, &contract.id, kept)?;
    let plain = spool::local(app, source).await?;
    let out = spool::fresh(app, "sealed")?;
    let aad = aad(&contract.id, &contract.product, contract.peer.as_str());
    let params = (format == Use::SealedFile)
        .then(|| container(app, contract, &key, (&wrapped_key, shares.as_ref())));
    let deposit = shares.map_or_else(String::new, |it| it.deposit);
    let (plain_path, out_path) = (plain.path().to_owned(), out.path().to_owned());
    tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        match params {
            None => {
                tidm_ingest::seal::seal_table(
                    &plain_path,
                    &out_path,
                    key.expose(),
                    aad.as_bytes(),
                )?;
            }
            Some(params) => {
                let plain = std::io::BufReader::new(std::fs::File::open(&plain_path)?);
                let sealed = std::fs::File::create(&out_path)?;
                tdf::seal(plain, sealed, &params, &mut random::os())?;
            }
        }
        Ok(())
    })
    .await??;
    // A name per run: two runs at once never overwrite each other's bytes, and the first row stands.
    let object = format!(
        "sealed/{}/{}",
        sha256(contract.id.as_str().as_bytes()),
        uuid::Uuid::now_v7().simple()
    );
    let put = app
        .objects
        .put(&Key::parse(&object)?, tokio::fs::File::open(out.path()).await?, u64::MAX)
        .await?;
    let elsewhere = infrastructure::store(app, out.path(), put.bytes, put.sha256).await?;
    let seal = Seal {
        contract: contract.id.clone(),
        object,
        wrapped_key,
        bytes: put.bytes,
        digest: put.sha256,
        elsewhere,
        deposit,
    };
    let row = seal.clone();
    app.writer
        .note(move |conn| {
            let row = row.clone();
            Box::pin(async move { notes::save_seal(conn, &row).await })
        })
        .await?;
    // Another run may have come first: its seal stands, and ours goes.
    let stands = app.store.seal(&contract.id).await?.context("a seal that was saved is gone")?;
    if stands.object != seal.object {
        app.objects.delete(&Key::parse(&seal.object)?).await?;
        infrastructure::delete(app, &seal).await?;
    }
    Ok(stands)
}

/// OpenTDF manifest parts: our gate as the key service, the agreement as policy and assertion.
fn container(
    app: &App,
    contract: &Contract,
    key: &tidm_crypto::secret::Secret<[u8; 32]>,
    (wrapped, shares): (&str, Option<&Shares>),
) -> tdf::SealParams {
    let policy = kas::policy_document(&contract.id, contract.peer.as_str());
    let service = app.identity.key_service();
    let kept = shares.map_or(key, |it| &it.own);
    let mut access = tdf::Access::whole(&service, "contract", wrapped.as_bytes(), kept);
    if shares.is_some() {
        PROVIDER_SHARE.clone_into(&mut access.split_id);
    }
    let mut params = tdf::SealParams::new(key, policy.as_bytes(), access);
    params.access.extend(shares.map(|it| tdf::Access {
        url: it.service.clone(),
        kid: OPERATOR_SHARE.to_owned(),
        split_id: OPERATOR_SHARE.to_owned(),
        wrapped_key: it.wrapped.clone(),
        share: it.other.clone(),
    }));
    params.suite = app.config.sealed.suite;
    params.assertions.push(serde_json::json!({
        "id": "agreement", "type": "other", "scope": "tdo", "appliesToState": "encrypted",
        "statement": { "format": "json-structured", "schema": "odrl", "value": odrl::to_json(&contract.policy).to_string() },
    }));
    params
}

/// The object in our bucket under a signed address, where the operator wants it so. Whoever has that address reads the
/// object until its life is over: no suspension and no bound of this node holds there, which is why it is short, and ends with
/// the terms at the latest.
async fn signed_address(
    app: &App,
    key: &Key,
    until: Option<Time>,
) -> anyhow::Result<Option<DataAddress>> {
    let crate::config::Objects::S3(crate::config::S3 { signed_addresses: Some(life), .. }) =
        &app.config.objects
    else {
        return Ok(None);
    };
    let Some(life) = signed_life(*life, until, app.clock.now()) else { return Ok(None) };
    let endpoint = app.objects.signed(key, life).await?;
    let endpoint_type = HTTP_ADDRESS.to_owned();
    Ok(endpoint.map(|it| DataAddress { endpoint_type, endpoint: Some(it), properties: Vec::new() }))
}

/// Such addresses live for whole seconds; `None`: the terms leave not even one.
fn signed_life(most: Duration, until: Option<Time>, now: Time) -> Option<Duration> {
    let life = until.map_or(most, |it| it.since(now).min(most));
    Some(Duration::from_secs(life.as_secs())).filter(|it| !it.is_zero())
}

/// Our own download endpoint, under a token that only its digest is kept of.
async fn own_address(
    app: &App,
    it: &Transfer,
    object: &str,
    until: Option<Time>,
) -> anyhow::Result<DataAddress> {
    let token = URL_SAFE_NO_PAD.encode(random::key().expose());
    let grant = Grant {
        contract: it.contract.clone(),
        transfer: it.id.clone(),
        token: sha256(token.as_bytes()),
        object: object.to_owned(),
        until: until.into_iter().fold(app.clock.now().after(GRANT), Time::min),
    };
    app.writer
        .note(move |conn| {
            let grant = grant.clone();
            Box::pin(async move { notes::save_grant(conn, &grant).await })
        })
        .await?;
    Ok(DataAddress {
        endpoint_type: HTTP_ADDRESS.to_owned(),
        endpoint: Some(format!("{}/data/{}", app.identity.public_url, it.id)),
        properties: vec![
            ("authorization".to_owned(), token),
            ("authType".to_owned(), "bearer".to_owned()),
        ],
    })
}

fn describe(mut address: DataAddress, it: &Content) -> DataAddress {
    let Parcel { bytes, sha256, .. } = &it.parcel;
    address.properties.push(("tidm:sha256".to_owned(), sha256.to_string()));
    address.properties.push(("tidm:bytes".to_owned(), bytes.to_string()));
    address.properties.push(("tidm:sealed".to_owned(), it.sealed.to_owned()));
    if it.marked {
        address.properties.push(("tidm:marked".to_owned(), "true".to_owned()));
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_address_ends_with_the_terms() {
        let now = Time::from_ms(10_000);
        for (until, seconds) in [
            (None, Some(600)),
            (Some(900_000), Some(600)),
            (Some(70_999), Some(60)),
            (Some(10_999), None),
            (Some(9_000), None),
        ] {
            let life = signed_life(Duration::from_secs(600), until.map(Time::from_ms), now);
            assert_eq!(life.map(|it| it.as_secs()), seconds, "{until:?}");
        }
    }
}
