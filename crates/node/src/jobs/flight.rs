//! Transfers over Arrow Flight SQL: the provider's address and token, and how the consumer gets at them.
//!
//! The provider answers a transfer of format [`FLIGHT_SQL_PULL`] with the address of its Flight SQL service and
//! a token of that transfer; nothing is copied. The consumer's node keeps both for its own people and never
//! calls there itself: each statement of their tools is one use at the provider's gate.
//!
//! Threat model: whoever holds the token may ask what the contract lets the consumer ask, so it lives for a
//! day, dies with transfer and contract, and is shown here to callers with the scope `use` only. Never grants
//! by itself: the contract must let this kind of use happen, and every execution asks the gate for a lease.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::domain;
use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::secret::Secret;
use tidm_space::catalog::delivery::{FLIGHT_SQL_PULL, Use};
use tidm_space::catalog::product::Kind;
use tidm_space::contract::Contract;
use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::{Input, TransferWish, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::limits::ID_BYTES;
use tidm_space::negotiation::message::Role;
use tidm_space::time::Time;
use tidm_space::transfer::message::{Body, DataAddress};
use tidm_space::transfer::state::{State, Transfer};

use super::provide::refuse;
use crate::app::App;
use crate::random;
use crate::store::StoreError;
use crate::store::notes::{self, Grant};
use crate::store::writer::WorkError;

/// A token lives this long, as one for downloads does; a contract that ends sooner ends it.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// A token that ends sooner than this is of no more use to somebody who starts to work.
const REST: Duration = Duration::from_secs(600);
/// How often a transfer that was asked for is looked at.
const STEP: Duration = Duration::from_millis(50);
/// Transfers that are looked through for one that runs already.
const RECENT: i64 = 100;
/// What the address is an address of.
const ENDPOINT_TYPE: &str = "https://arrow.apache.org/docs/format/FlightSql.html";
/// When the token ends, RFC 3339.
const EXPIRES: &str = "tidm:expires";

/// Two parts in Base64 and a dot.
const TOKEN_BYTES: usize = ID_BYTES * 4 / 3 + 64;

/// A fresh token of a transfer: it says which, and only its [`digest`] is kept.
fn token(transfer: &Id, secret: &Secret<[u8; 32]>) -> String {
    let id = URL_SAFE_NO_PAD.encode(transfer.as_str());
    format!("{id}.{}", URL_SAFE_NO_PAD.encode(secret.expose()))
}

/// What is kept of a token. Tokens of downloads have another digest: one is never taken for the other.
pub fn digest(token: &str) -> Digest {
    sha256(&tuple(domain::FLIGHT_TOKEN, vec![Value::Text(token.to_owned())]))
}

/// The transfer that a token says to be of.
pub fn transfer_of(token: &str) -> Option<Id> {
    if token.len() > TOKEN_BYTES {
        return None;
    }
    let (id, _secret) = token.split_once('.')?;
    let id = String::from_utf8(URL_SAFE_NO_PAD.decode(id).ok()?).ok()?;
    Id::parse(&id).ok()
}

/// Provider: lays address and token ready and says so; harmless when repeated.
pub(super) async fn offer(
    app: &Arc<App>,
    it: &Transfer,
    contract: &Contract,
) -> anyhow::Result<()> {
    if it.pending.is_none() && matches!(it.state, State::Suspended { .. }) {
        // Resumed: the token that its holder has goes on.
        let (transfer, body) = (it.id.clone(), Body::Start { address: None });
        app.writer.run(Input::Wish(Box::new(Wish::SayTransfer { transfer, body }))).await?;
        return Ok(());
    }
    if it.pending.is_some() || !matches!(it.state, State::Requested) {
        // Said already, or over: a second token would lock out who holds the first.
        return Ok(());
    }
    if !app.config.flight.enabled {
        let reason = vec![format!("the format {FLIGHT_SQL_PULL} is not offered here")];
        return refuse(app, &it.id, "transfer.format", reason).await;
    }
    let terms =
        contract.terms().map_err(|_| anyhow::anyhow!("a contract that does not compile"))?;
    let product = app.store.product(&contract.product).await?;
    // A contract that names no kinds of use means whatever the product is delivered as.
    let offered =
        product.is_some_and(|it| it.kind == Kind::Table && it.deliveries().contains(&Use::Query));
    // A tool cannot say what an answer may cost.
    let noisy = terms.grants.iter().any(|it| it.limits.privacy.asked());
    let kept = terms.summary.allows(Use::Query) && terms.unkeepable(Use::Query).is_empty();
    if !offered || noisy || !kept {
        let reason = vec![format!("the contract does not grant {}", Use::Query.name())];
        return refuse(app, &it.id, "transfer.kind", reason).await;
    }
    let token = token(&it.id, &random::key());
    let until = app.clock.now().after(LIFE);
    let until = terms.until(contract.first_use).map_or(until, |end| end.min(until));
    let grant = Grant {
        contract: it.contract.clone(),
        transfer: it.id.clone(),
        token: digest(&token),
        // No object: this token opens no download.
        object: String::new(),
        until,
    };
    app.writer
        .note(move |conn| {
            let grant = grant.clone();
            Box::pin(async move { notes::save_grant(conn, &grant).await })
        })
        .await?;
    let address = DataAddress {
        endpoint_type: ENDPOINT_TYPE.to_owned(),
        endpoint: Some(endpoint(&app.identity.public_url)),
        properties: vec![
            ("authorization".to_owned(), token),
            ("authType".to_owned(), "bearer".to_owned()),
            (EXPIRES.to_owned(), until.to_string()),
        ],
    };
    let body = Body::Start { address: Some(address) };
    let wish = Wish::SayTransfer { transfer: it.id.clone(), body };
    app.writer.run(Input::Wish(Box::new(wish))).await?;
    Ok(())
}

/// A public URL as Flight's clients write locations.
fn endpoint(public_url: &str) -> String {
    match public_url.split_once("://") {
        Some(("http", rest)) => format!("grpc+tcp://{rest}"),
        Some((_, rest)) => format!("grpc+tls://{}", with_port(rest)),
        None => public_url.to_owned(),
    }
}

/// gRPC has no default port for TLS that all clients agree on.
fn with_port(authority: &str) -> String {
    let host_ends = authority.rfind(']').unwrap_or(0);
    let named = authority.get(host_ends..).is_some_and(|it| it.contains(':'));
    if named { authority.to_owned() } else { format!("{authority}:443") }
}

/// What a tool needs to ask statements under a contract.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    pub transfer: Id,
    pub endpoint: String,
    /// The bearer token.
    pub token: String,
    /// When the token ends, as far as the provider said.
    pub expires: Option<String>,
}

/// Consumer: address and token of a running transfer, after starting one where there is none.
///
/// # Errors
/// [`Fault::Refused`] `use.flight` with the provider's reason, [`Fault::Unavailable`] when it does not answer in time.
pub async fn connect(
    app: &App,
    contract: &Id,
    patience: Duration,
) -> Result<Connection, WorkError> {
    let found = app.store.contract(contract).await.map_err(failed)?;
    let found =
        found.filter(|it| it.role == Role::Consumer).ok_or(Fault::NotFound { what: "contract" })?;
    found.check_active()?;
    let recent = app.store.transfers(None, RECENT).await.map_err(failed)?;
    let now = app.clock.now();
    let running = recent.rows.iter().filter(|it| it.contract == *contract);
    if let Some(connection) = running.filter_map(|it| usable(it, now.after(REST))).next() {
        return Ok(connection);
    }
    let wish = TransferWish {
        id: None,
        contract: contract.clone(),
        address: None,
        format: FLIGHT_SQL_PULL.to_owned(),
        push_to: None,
    };
    let reply = app.writer.run(Input::Wish(Box::new(Wish::Fetch(Box::new(wish))))).await?;
    let Reply::Transfer { it, .. } = reply else {
        return Err(Fault::ApiMisuse("a wished transfer that is none").into());
    };
    let until = tokio::time::Instant::now() + patience;
    loop {
        let it = app.store.transfer(&it.id).await.map_err(failed)?;
        let it = it.ok_or(Fault::NotFound { what: "transfer" })?;
        if let Some(connection) = usable(&it, app.clock.now()) {
            return Ok(connection);
        }
        match &it.state {
            State::Terminated { reason, .. } => {
                return Err(Fault::refused(
                    "use.flight",
                    format!("{} ended the transfer: {}", found.peer, reason.join("; ")),
                )
                .into());
            }
            State::Started { .. } | State::Suspended { .. } | State::Completed { .. } => {
                return Err(Fault::refused(
                    "use.flight",
                    format!("{} started the transfer without address and token", found.peer),
                )
                .into());
            }
            State::Initial | State::Requested => {}
        }
        if tokio::time::Instant::now() >= until {
            let reason = format!("the provider {} has not started the transfer yet", found.peer);
            return Err(Fault::Unavailable { reason, retry_after: Duration::from_secs(2) }.into());
        }
        tokio::time::sleep(STEP).await;
    }
}

/// The connection that a started transfer brought, if its token is good beyond `then`.
fn usable(it: &Transfer, then: Time) -> Option<Connection> {
    let State::Started { address: Some(address) } = &it.state else { return None };
    let expires = address.property(EXPIRES);
    let ended = expires.and_then(|it| Time::parse(it).ok()).is_some_and(|it| it <= then);
    if it.format != FLIGHT_SQL_PULL || it.role != Role::Consumer || ended {
        return None;
    }
    let token = address.property("authorization")?;
    Some(Connection {
        transfer: it.id.clone(),
        endpoint: address.endpoint.clone()?,
        token: token.strip_prefix("Bearer ").unwrap_or(token).to_owned(),
        expires: expires.map(str::to_owned),
    })
}

fn failed(why: StoreError) -> WorkError {
    WorkError::Store(why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_name_their_transfer_and_nothing_else_does() {
        let id = Id::parse("urn:uuid:0190b6a0-0000-7000-8000-000000000000").unwrap();
        let made = token(&id, &Secret::new([9; 32]));
        assert_eq!(transfer_of(&made), Some(id.clone()));
        assert_ne!(digest(&made), sha256(made.as_bytes()), "another domain than downloads");
        let long = format!("{}.x", URL_SAFE_NO_PAD.encode("u".repeat(ID_BYTES + 100)));
        for wrong in ["", ".", "a.b", "%%%.x", "dXJu", long.as_str(), &made.replace('.', "")] {
            assert!(transfer_of(wrong).is_none_or(|it| it != id), "{wrong}");
        }
        assert_eq!(transfer_of(&long), None);
    }

    #[test]
    fn endpoints_name_scheme_host_and_port() {
        for (url, expected) in [
            ("https://node.example:8443", "grpc+tls://node.example:8443"),
            ("https://node.example", "grpc+tls://node.example:443"),
            ("https://[::1]", "grpc+tls://[::1]:443"),
            ("https://[::1]:8443", "grpc+tls://[::1]:8443"),
            ("http://127.0.0.1:8080", "grpc+tcp://127.0.0.1:8080"),
        ] {
            assert_eq!(endpoint(url), expected);
        }
    }
}
