//! Chapter 4b: a drawing that opens twice, and on one machine.
//!
//! The thief of the third step is the walk itself: it takes the sealed bytes and the identity key of another
//! member, which is more than that member's own node would ever do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use tidm_crypto::kem::KemSecret;
use tidm_node::clock::{Clock, FreshIds};
use tidm_node::identity::Identity;
use tidm_node::init;
use tidm_node::jobs::open_program::{self, Opening};
use tidm_node::keys::directory::Directory;
use tidm_node::net::auth;
use tidm_space::id::{Id, Ids as _};
use tidm_space::identity::did::Did;
use tidm_space::lease::message::Request;
use tidm_space::policy::usage::Use;
use tidm_space::wire::tidm::lease;

use super::{OPENINGS, PURPOSE};
use crate::demo::book::{Book, Refusal, reason, refused};
use crate::demo::client::{Api, number, segment, text};
use crate::demo::facts::Contracts;
use crate::demo::teller::Teller;
use crate::demo::trouble::Trouble;
use crate::demo::world::{Part, World};

/// What every STEP file begins with; sealed bytes must not hold it.
const MARK: &[u8] = b"ISO-10303-21";
/// How long the opening program may run.
const SECONDS: u64 = 30;

pub(crate) async fn walk(
    tell: &mut Teller,
    world: &World,
    book: &mut Book,
    contracts: &Contracts,
) -> Result<(), Trouble> {
    let lang = tell.lang;
    let consumer = world.api(Part::Consumer)?;
    deliver(tell, world, book, contracts).await?;
    for turn in 1..=OPENINGS {
        let shown = tell
            .step(
                &format!("第 {turn} 次打开图纸"),
                &format!("the drawing is opened, {turn} of {OPENINGS}"),
                async {
                    let line = open(world, consumer, &contracts.file).await?;
                    Ok((line.clone(), line))
                },
            )
            .await?;
        book.uses.push(format!("{} {turn}: {shown}", lang.pick("打开图纸", "drawing opened")));
        if turn == 1 {
            forwarded(tell, world, book, contracts).await?;
        }
    }
    let refusal = tell
        .step("第 3 次打开被拒绝", "the third opening is refused", async {
            let secret = KemSecret::generate(&mut tidm_node::random::os());
            let outcome = consumer.post("/uses/open", &asked(&contracts.file, &secret)).await;
            let it = refused(
                lang,
                lang.pick("第三次打开图纸", "third opening of the drawing"),
                outcome,
                &["policy.denied", "contract.ended", "key.destroyed"],
            )?;
            let proved = it.reason.clone();
            Ok((it, proved))
        })
        .await?;
    book.refusals.push(refusal);
    Ok(())
}

/// Sealed at the provider's, kept by the infrastructure node, fetched in ranges by the consumer.
async fn deliver(
    tell: &mut Teller,
    world: &World,
    book: &mut Book,
    contracts: &Contracts,
) -> Result<(), Trouble> {
    let lang = tell.lang;
    let consumer = world.api(Part::Consumer)?;
    for (zh, en, contract, format) in [
        (
            "图纸密封后经基础设施节点交付",
            "the drawing, sealed, by way of the infrastructure node",
            &contracts.file,
            "sealed-file",
        ),
        (
            "数据表密封后经基础设施节点交付",
            "the table, sealed, by way of the infrastructure node",
            &contracts.table,
            "sealed-table",
        ),
    ] {
        let line = tell
            .step(zh, en, async {
                let it = consumer.post("/transfers?wait=60", &json!({"contract": contract, "format": format})).await?;
                let copies = it.get("copies").and_then(Value::as_array).cloned().unwrap_or_default();
                let Some(copy) = copies.first().filter(|_| it.get("state").and_then(Value::as_str) == Some("COMPLETED")) else {
                    return Err(Trouble::unexpected(format!("the delivery did not complete: {it}")));
                };
                let (bytes, digest) = (number(copy, "bytes")?, text(copy, "sha256")?);
                let sizes = kept(world, MARK)?;
                if !sizes.contains(&bytes) {
                    return Err(Trouble::unexpected("the infrastructure node does not keep the sealed object"));
                }
                let line = lang.pick(
                    format!("{bytes} 字节密文，SHA-256 {}；基础设施节点只存密文", super::publish::short(digest)),
                    format!("{bytes} sealed bytes, SHA-256 {}; the infrastructure node keeps ciphertext alone", super::publish::short(digest)),
                );
                Ok((line.clone(), line))
            })
            .await?;
        book.uses.push(format!("{}: {line}", lang.pick(zh, en)));
    }
    Ok(())
}

/// Sizes of what lies in the infrastructure node's object store; an error if one holds `mark` in the clear.
fn kept(world: &World, mark: &[u8]) -> Result<Vec<u64>, Trouble> {
    let mut sizes = Vec::new();
    for path in files(&world.node(Part::Infrastructure)?.dir.join("data/objects"))? {
        let bytes =
            std::fs::read(&path).map_err(|why| Trouble::here(path.display().to_string(), why))?;
        if bytes.windows(mark.len()).any(|it| it == mark) {
            return Err(Trouble::unexpected(format!("{} holds plaintext", path.display())));
        }
        sizes.push(bytes.len() as u64);
    }
    Ok(sizes)
}

/// All files below `dir`.
pub(super) fn files(dir: &std::path::Path) -> Result<Vec<PathBuf>, Trouble> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        let listed = match std::fs::read_dir(&dir) {
            Ok(listed) => listed,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => continue,
            Err(why) => return Err(Trouble::here(dir.display().to_string(), why)),
        };
        for entry in listed {
            let path = entry.map_err(|why| Trouble::here(dir.display().to_string(), why))?.path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    Ok(found)
}

fn asked(contract: &str, secret: &KemSecret) -> Value {
    json!({"contract": contract, "purpose": PURPOSE, "key": STANDARD.encode(secret.public().to_bytes()), "seconds": SECONDS})
}

/// What `tidm open` does: a one-time key, a lease, the program over memory that is wiped, the outcome.
async fn open(world: &World, consumer: &Api, contract: &str) -> Result<String, Trouble> {
    let secret = KemSecret::generate(&mut tidm_node::random::os());
    let granted = consumer.post("/uses/open", &asked(contract, &secret)).await?;
    let lease = text(&granted, "lease")?;
    let sealed = consumer.bytes(&format!("/uses/{}/copy", segment(lease))).await?;
    let here = |why: &dyn std::fmt::Display| Trouble::here("open", why);
    let wrapped_key = STANDARD.decode(text(&granted, "wrappedKey")?).map_err(|why| here(&why))?;
    let opening = Opening {
        lease: Id::parse(lease).map_err(|why| here(&why))?,
        contract: Id::parse(contract).map_err(|why| here(&why))?,
        life: Duration::from_millis(number(&granted, "lifeMs")?),
        wrapped_key,
        wrapped_share: None,
        may_export: false,
        name: Some("as1.stp".to_owned()),
    };
    let said = world.dir.join("program-said");
    let script = format!("grep -c '= *PRODUCT(' \"$1\" > '{}'", said.display());
    let command = ["sh", "-c", &script, "sh", "{}"].map(std::ffi::OsString::from);
    let run = move || open_program::run(std::io::Cursor::new(sealed), &opening, &secret, &command);
    let ended = tokio::task::spawn_blocking(run)
        .await
        .map_err(|why| here(&why))?
        .map_err(|why| here(&why))?;
    consumer
        .post(
            &format!("/uses/{}/close", segment(lease)),
            &json!({"done": true, "bytes": ended.bytes}),
        )
        .await?;
    let parts = std::fs::read_to_string(&said).map_err(|why| here(&why))?;
    let parts = parts.trim();
    if parts == "0" || parts.is_empty() {
        return Err(Trouble::unexpected("the program found no part in the drawing"));
    }
    let left = number(&granted, "usesLeft")?;
    Ok(world.lang.pick(
        format!("程序读到 {} 字节明文、{parts} 个零部件；剩余 {left} 次", ended.bytes),
        format!("the program read {} bytes and {parts} parts; {left} uses left", ended.bytes),
    ))
}

/// A third node with the sealed bytes in hand.
async fn forwarded(
    tell: &mut Teller,
    world: &World,
    book: &mut Book,
    contracts: &Contracts,
) -> Result<(), Trouble> {
    let lang = tell.lang;
    let thief = world.node(Part::Intermediary)?;
    let what = lang.pick("第三方持有转发的密文", "a third node holds the forwarded copy");
    let refusal = tell
        .step(
            "转发给第三方的副本打不开：其自身节点",
            "a forwarded copy at a third node: refused by its own node",
            async {
                let secret = KemSecret::generate(&mut tidm_node::random::os());
                let outcome = thief.api.post("/uses/open", &asked(&contracts.file, &secret)).await;
                let it =
                    refused(lang, what, outcome, &["not-found", "contract.unknown", "refused"])?;
                let proved = it.reason.clone();
                Ok((it, proved))
            },
        )
        .await?;
    book.refusals.push(refusal);
    let refusal = tell
        .step(
            "以第三方真实身份直接向提供方要密钥：被拒绝",
            "asked for the key at the provider's gate in its own name: refused",
            async {
                let it = at_the_gate(world, &contracts.file).await?;
                let proved = it.reason.clone();
                Ok((it, proved))
            },
        )
        .await?;
    book.refusals.push(refusal);
    Ok(())
}

/// A well-formed, truly signed request for another's contract, past the third party's own node.
async fn at_the_gate(world: &World, contract: &str) -> Result<Refusal, Trouble> {
    let here = |why: &dyn std::fmt::Display| Trouble::here("thief", why);
    let (thief, provider) = (world.node(Part::Intermediary)?, world.node(Part::Provider)?);
    let keys = Directory::open(&thief.dir.join(init::KEYS), None).map_err(|why| here(&why))?;
    let did = Did::parse(&thief.did).map_err(|why| here(&why))?;
    let identity = Identity::new(did, thief.url(), Arc::new(keys));
    let audience = Did::parse(&provider.did).map_err(|why| here(&why))?;
    let secret = KemSecret::generate(&mut tidm_node::random::os());
    let request = Request {
        contract: Id::parse(contract).map_err(|why| here(&why))?,
        kind: Use::SealedFile,
        nonce: uuid::Uuid::now_v7().into_bytes(),
        key: secret.public().to_bytes(),
        purpose: Some(PURPOSE.to_owned()),
        query: None,
        items: None,
        epsilon: None,
        span: Duration::from_secs(SECONDS),
    };
    let posting = lease::write_request(&FreshIds.fresh(), &request);
    let url = format!("{}{}{}", provider.url(), init::DSP_PATH, posting.path);
    let bearer = auth::mint(&identity, &audience, &Clock::default());
    let (status, body) = thief.api.raw(&url, &bearer, posting.body).await?;
    if status.is_success() || status.is_server_error() {
        return Err(Trouble::unexpected(format!(
            "the gate answered HTTP {status} to a stranger of the contract"
        )));
    }
    let said: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let code = said.get("code").and_then(Value::as_str).unwrap_or("-");
    let why =
        said.get("reason").and_then(Value::as_str).map_or_else(|| reason(&said), str::to_owned);
    let what = world
        .lang
        .pick("第三方直接向提供方闸口要密钥", "a third node asks the provider's gate for the key");
    Ok(Refusal {
        what: what.to_owned(),
        reason: format!("HTTP {} {why} [{code}]", status.as_u16()),
    })
}
