//! Targets in `tidm-node` that need no running node: what it reads from files, headers and peers' answers.

use std::path::Path;

use serde_json::{Value as Json, json};
use tidm_crypto::hash::sha256;
use tidm_crypto::sign::{KeyKind, SigningKey};
use tidm_crypto::{jcs, jws};
use tidm_node::config::Config;
use tidm_node::evidence::tiles::journal;
use tidm_node::jobs::archive::check::{FILE_BYTES, check};
use tidm_node::lang::Lang;
use tidm_node::objects::Key;
use tidm_node::server::range::{self, Wanted};
use tidm_node::store::read::Cursor;
use tidm_node::{api, jobs, server};
use tidm_space::contract::signed_bytes;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::time::Time;
use tidm_space::wire::odrl;
use tidm_space::wire::terms::digest;

use crate::{Parser, choose, contained};

/// A setting, a name or an answer is taken whole or refused; what is taken reads the same when it is written again.
pub(crate) fn settings(data: &[u8]) {
    const PARSERS: [Parser; 11] = [
        config,
        object_key,
        journals,
        ranges,
        cursors,
        languages,
        rows,
        query,
        object_claims,
        archives,
        flight_commands,
    ];
    choose(&PARSERS, data);
}

fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Read, not loaded: nothing on disk is asked.
    if let Ok(config) = Config::parse(Path::new("/nowhere"), text, &Default::default(), &[]) {
        assert!(config.node.did.as_str().starts_with("did:"));
    }
}

fn object_key(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = Key::parse(text) {
        assert_eq!(key.as_str(), text);
        assert!(!text.split('/').any(|part| part.is_empty() || part.starts_with('.')), "{text}");
    }
}

/// Records are whole or not there; the longest prefix of whole ones is what a crash left.
fn journals(data: &[u8]) {
    let records = journal::parse(data);
    let bytes: usize = records.iter().flatten().map(|(path, bytes)| path.len() + bytes.len()).sum();
    assert!(bytes <= data.len());
}

fn ranges(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for bytes in [0, 1, 1000, u64::MAX] {
        if let Wanted::Part(part) = range::parse(text, bytes) {
            assert!(part.start < part.end && part.end <= bytes, "{part:?} of {bytes}");
        }
    }
}

fn cursors(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(cursor) = Cursor::parse(text) {
        let again = Cursor::parse(&cursor.write()).unwrap();
        assert_eq!((again.key, again.id), (cursor.key, cursor.id));
    }
}

fn languages(data: &[u8]) {
    let header = std::str::from_utf8(data).ok();
    let _: Lang = Lang::negotiate(header, Lang::En);
}

/// What a provider sent as the rows of a result.
fn rows(data: &[u8]) {
    contained(|| drop(std::panic::catch_unwind(|| drop(api::rows(data)))));
}

fn query(data: &[u8]) {
    if let Ok(sql) = jobs::query::parse(data) {
        drop(jobs::query::digest(&sql));
    }
}

fn object_claims(data: &[u8]) {
    drop(server::objects::parse(data));
}

/// A file of a stranger: as it is, and signed by a key of ours, so that what lies behind the signatures is reached, too.
fn archives(data: &[u8]) {
    if check(data).is_ok() {
        let file = jcs::parse_within(data, FILE_BYTES).unwrap();
        assert_eq!(jcs::canonical(&file).unwrap(), data);
    }
    let Some(file) = jcs::parse_within(data, FILE_BYTES).ok().and_then(resigned) else { return };
    drop(check(&file));
}

/// The same by a key of ours, with a contract that says nobody signed it.
fn resigned(mut file: Json) -> Option<Vec<u8>> {
    let key = SigningKey::from_secret_bytes(KeyKind::Ed25519, &[1; 32]).ok()?;
    let archive = file.get_mut("archive")?;
    let by = archive.get("by")?.as_str()?.to_owned();
    for it in archive.get_mut("keys")?.as_array_mut()? {
        if it.get("did").and_then(Json::as_str) == Some(&by) {
            it["jwk"] = key.verifying_key().to_jwk();
        }
    }
    if let Some(signed) = signed(archive) {
        archive["contract"]["signedSha256"] = signed.into();
    }
    let contract = archive.get_mut("contract")?.as_object_mut()?;
    for name in ["providerSignature", "consumerSignature"] {
        contract.insert(name.to_owned(), Json::Null);
    }
    let archive = sha256(&jcs::canonical(archive).ok()?).to_string();
    let said = json!({ "@type": file["@type"], "archiveSha256": archive });
    let signature = jws::sign("k", "tidm-archive+jws", &jcs::canonical(&said).ok()?, &key);
    file.as_object_mut()?.insert("signature".to_owned(), signature.into());
    jcs::canonical(&file).ok()
}

/// What the parties would have signed.
fn signed(archive: &Json) -> Option<String> {
    let it = archive.get("contract")?;
    let text = |name: &str| it.get(name).and_then(Json::as_str);
    let policy = odrl::parse(it.get("policy")?.to_string().as_bytes()).ok()?.model;
    let payload = signed_bytes(
        &Id::parse(text("id")?).ok()?,
        &Did::parse(text("provider")?).ok()?,
        &Did::parse(text("consumer")?).ok()?,
        &Id::parse(text("product")?).ok()?,
        digest(&policy),
        Time::parse(text("signedAt")?).ok()?,
    );
    Some(sha256(&payload).to_string())
}

/// The protobuf in a descriptor or ticket of Arrow Flight SQL.
fn flight_commands(data: &[u8]) {
    drop(server::flight::command(data));
}
