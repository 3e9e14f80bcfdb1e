//! Targets in `tidm-node` that need no running node: what it reads from files, headers and peers' answers.

use std::path::Path;

use tidm_node::config::Config;
use tidm_node::evidence::tiles::journal;
use tidm_node::lang::Lang;
use tidm_node::objects::Key;
use tidm_node::server::range::{self, Wanted};
use tidm_node::store::read::Cursor;
use tidm_node::{api, jobs, server};

use crate::{Parser, choose, contained};

/// A setting, a name or an answer is taken whole or refused; what is taken reads the same when it is written again.
pub(crate) fn settings(data: &[u8]) {
    const PARSERS: [Parser; 9] =
        [config, object_key, journals, ranges, cursors, languages, rows, query, object_claims];
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
