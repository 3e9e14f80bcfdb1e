//! How file, environment and flags are laid over one another.
//!
//! Never guesses: a name that is not in the table is an error that names the nearest one.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::error::{ConfigError, From};
use super::key::{KEYS, Key, Kind, PREFIX};
use super::nearest::nearest;

/// Variables with our prefix that are no settings: the program's own, those of tests, and those that
/// Kubernetes injects for a service named `tidm` (`TIDM_PORT`, `TIDM_SERVICE_HOST`…).
const NOT_SETTINGS: &[&str] = &[
    "TIDM_DIR",
    "TIDM_LOG",
    "TIDM_PASSPHRASE_FILE",
    "TIDM_CONFORMANCE",
    "TIDM_TCK",
    "TIDM_TEST_",
    "TIDM_SERVICE_",
    "TIDM_PORT",
];

/// Where each value came from, by `section.key`.
pub(super) type Origins = BTreeMap<String, From>;

/// One table out of three places, unknown names refused.
pub(super) fn gather(
    text: &str,
    env: &BTreeMap<String, String>,
    flags: &[(String, String)],
) -> Result<(Table, Origins), ConfigError> {
    let mut table: Table = toml::from_str(text).map_err(|e| ConfigError::syntax(&e))?;
    let mut origins = Origins::new();
    for (section, values) in &table {
        let Value::Table(values) = values else {
            return Err(ConfigError::unknown(section, From::File, nearest(section)));
        };
        for name in values.keys() {
            let path = format!("{section}.{name}");
            if find(&path).is_none() {
                return Err(ConfigError::unknown(&path, From::File, nearest(&path)));
            }
            origins.insert(path, From::File);
        }
    }
    for (name, value) in env {
        if !name.starts_with(PREFIX) || NOT_SETTINGS.iter().any(|it| name.starts_with(it)) {
            continue;
        }
        let Some(key) = KEYS.iter().find(|it| it.variable() == *name) else {
            let path = name.trim_start_matches(PREFIX).to_ascii_lowercase().replacen('_', ".", 1);
            let near = nearest(&path).map(Key::variable);
            return Err(ConfigError::unknown_named(name, From::Env, near));
        };
        lay(&mut table, &mut origins, key, value, From::Env)?;
    }
    for (path, value) in flags {
        let key =
            find(path).ok_or_else(|| ConfigError::unknown(path, From::Flag, nearest(path)))?;
        lay(&mut table, &mut origins, key, value, From::Flag)?;
    }
    Ok((table, origins))
}

fn find(path: &str) -> Option<&'static Key> {
    let (section, name) = path.split_once('.')?;
    KEYS.iter().find(|it| it.section == section && it.name == name)
}

fn lay(
    table: &mut Table,
    origins: &mut Origins,
    key: &Key,
    text: &str,
    from: From,
) -> Result<(), ConfigError> {
    let path = key.path();
    let value = value(key.kind, text.trim())
        .ok_or_else(|| ConfigError::shape(&path, text, from, key.example))?;
    let section = table.entry(key.section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(section) = section {
        section.insert(key.name.to_owned(), value);
    }
    origins.insert(path, from);
    Ok(())
}

fn value(kind: Kind, text: &str) -> Option<Value> {
    Some(match kind {
        Kind::Text => Value::String(text.to_owned()),
        Kind::Number => Value::Integer(text.parse().ok()?),
        Kind::Switch => Value::Boolean(match text {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => return None,
        }),
        Kind::List => {
            Value::Array(pieces(text, ',').map(|it| Value::String(it.to_owned())).collect())
        }
        Kind::Custodians => Value::Array(pieces(text, ';').map(custodian).collect::<Option<_>>()?),
        Kind::Spaces => Value::Array(pieces(text, ';').map(space).collect::<Option<_>>()?),
    })
}

fn pieces(text: &str, by: char) -> impl Iterator<Item = &str> {
    text.split(by).map(str::trim).filter(|it| !it.is_empty())
}

fn custodian(text: &str) -> Option<Value> {
    let (vkey, url) = text.split_once(' ')?;
    let mut it = Table::new();
    it.insert("vkey".into(), Value::String(vkey.to_owned()));
    it.insert("url".into(), Value::String(url.trim().to_owned()));
    Some(Value::Table(it))
}

fn space(text: &str) -> Option<Value> {
    let mut it = Table::new();
    for piece in text.split_whitespace() {
        let (name, value) = piece.split_once('=')?;
        let list = || Value::Array(pieces(value, ',').map(|it| it.to_owned().into()).collect());
        let value = if name == "client_crls" { list() } else { Value::String(value.to_owned()) };
        if it.insert(name.to_owned(), value).is_some() {
            return None;
        }
    }
    Some(Value::Table(it))
}
