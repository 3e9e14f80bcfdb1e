//! How a tool connects to a provider's Arrow Flight SQL service, as lines that work when they are pasted into Python.
//!
//! Never runs them: the token is printed for the person who asked for it.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

use tidm_node::config::Security;

use crate::cli::Global;
use crate::client::{Outcome, config};

/// The program for an answer of `/uses/flight`.
pub(super) fn python(answer: &Value, global: &Global) -> Outcome<String> {
    let text = |field: &str| {
        answer
            .get(field)
            .and_then(Value::as_str)
            .with_context(|| format!("the node's answer has no {field}"))
    };
    let ca = match config(global).map(|it| it.http.security) {
        Ok(Security::Tls { ca: Some(ca), .. }) => Some(ca),
        Ok(Security::Tls { ca: None, .. } | Security::Plain) | Err(_) => None,
    };
    let expires = answer.get("expires").and_then(Value::as_str);
    Ok(program(text("endpoint")?, text("token")?, expires, ca.as_deref()))
}

/// The command is a protobuf `Any` of a `CommandStatementQuery`; plain pyarrow has no class for it.
fn program(endpoint: &str, token: &str, expires: Option<&str>, ca: Option<&Path>) -> String {
    let roots = match ca.filter(|_| endpoint.starts_with("grpc+tls:")) {
        Some(path) => {
            let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            format!(", tls_root_certs=open({}, \"rb\").read()", quoted(&path.to_string_lossy()))
        }
        None => String::new(),
    };
    let until = expires.map(|it| format!("# token until {it}\n")).unwrap_or_default();
    let (endpoint, header) = (quoted(endpoint), quoted(&format!("Bearer {token}")));
    format!(
        r#"# pip install pyarrow
{until}import pyarrow.flight as flight

def field(tag, value):
    size, n = b"", len(value)
    while n > 127:
        size, n = size + bytes([n & 127 | 128]), n >> 7
    return bytes([tag]) + size + bytes([n]) + value

def query(sql):
    name = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    command = field(10, name) + field(18, field(10, sql.encode()))
    info = client.get_flight_info(flight.FlightDescriptor.for_command(command), options)
    return client.do_get(info.endpoints[0].ticket, options).read_all()

client = flight.FlightClient({endpoint}{roots})
options = flight.FlightCallOptions(headers=[(b"authorization", {header}.encode())])
print(query("SELECT count(*) AS n FROM data"))

# ADBC: adbc_driver_flightsql.dbapi.connect({endpoint}, db_kwargs={{"adbc.flight.sql.authorization_header": {header}}})"#
    )
}

/// A Python literal: JSON's escapes are Python's.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_names_what_the_node_said_and_quotes_it() {
        let ca = Path::new("/none/\"ca\".crt");
        let tls = program("grpc+tls://p.example:1", "a.b", Some("2026-01-01T00:00:00Z"), Some(ca));
        for part in [
            r#"FlightClient("grpc+tls://p.example:1", tls_root_certs=open("/none/\"ca\".crt", "rb").read())"#,
            r#""Bearer a.b""#,
            "# token until 2026-01-01T00:00:00Z",
        ] {
            assert!(tls.contains(part), "{part}\n{tls}");
        }
        assert!(!program("grpc+tcp://p.example:1", "a.b", None, Some(ca)).contains("tls_root"));
    }
}
