//! Which participant a certificate names: the DID among its names, or what the operator wrote down for it.
//!
//! Never says that a certificate is worth anything: the shell has verified its chain, its time, its purpose and its
//! revocation before it asks here.
//!
//! Threat model: an authority vouches for the names that it put into a certificate and for nothing else. So only
//! the alternative names count (RFC 5280 §4.2.1.6), never the subject: its text can be written in many ways, and
//! authorities check it least. Whoever is named twice and differently is nobody, also when the operator's own file is
//! one of the two: neither an authority nor a line left behind in a file may turn one participant into another.

use std::collections::BTreeMap;

use tidm_crypto::hash::Digest;

use crate::fault::Fault;
use crate::identity::did::Did;
use crate::limits::CERTIFICATE_LINES;

/// What a verified certificate says of its holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Alternative names of the kind URI.
    pub uris: Vec<String>,
    /// Alternative names of the kind DNS.
    pub hosts: Vec<String>,
    /// SHA-256 of the certificate.
    pub digest: Option<Digest>,
}

/// A name in the one form in which it is looked up: `dns:`, `uri:` or `sha256:` before it.
fn canonical(text: &str) -> Option<String> {
    let (kind, value) = text.split_once(':')?;
    match kind {
        "uri" if value.contains(':') => Some(text.to_owned()),
        // A wildcard stands for many hosts, and one participant is meant.
        "dns" if !value.is_empty() && !value.contains('*') => Some(text.to_ascii_lowercase()),
        "sha256" => Digest::parse(value).ok().map(|it| format!("sha256:{it}")),
        _ => None,
    }
}

impl Names {
    fn canonical(&self) -> impl Iterator<Item = String> {
        let uris = self.uris.iter().map(|it| format!("uri:{it}"));
        let hosts = self.hosts.iter().map(|it| format!("dns:{}", it.to_ascii_lowercase()));
        uris.chain(hosts).chain(self.digest.map(|it| format!("sha256:{it}")))
    }
}

/// Participants whose certificates do not carry their DID, by the names that the operator wrote down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Register(BTreeMap<String, Did>);

/// A line that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    pub line: usize,
    pub why: &'static str,
}

impl Register {
    /// Lines of `PARTICIPANT dns:NAME`, `PARTICIPANT uri:URI` or `PARTICIPANT sha256:HEX`; `#` begins a comment.
    ///
    /// # Errors
    /// The first line that cannot be read, or that gives a name to a second participant.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        let mut all = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let bad = |why| BadLine { line: index + 1, why };
            let line = line.split_once('#').map_or(line, |(before, _)| before).trim();
            if line.is_empty() {
                continue;
            }
            let Some((participant, name)) = line.split_once(char::is_whitespace) else {
                return Err(bad("write PARTICIPANT dns:NAME, uri:URI or sha256:HEX"));
            };
            let did = Did::parse(participant).or_else(|_| Did::named(participant));
            let did = did.map_err(|_| bad("the participant has no name that can be one"))?;
            let name = canonical(name.trim());
            let name = name.ok_or_else(|| bad("the name is none of dns:, uri: and sha256:"))?;
            if all.len() >= CERTIFICATE_LINES {
                return Err(bad("more names than a space's members can have"));
            }
            if all.insert(name, did.clone()).is_some_and(|before| before != did) {
                return Err(bad("the name is another participant's already"));
            }
        }
        Ok(Self(all))
    }

    /// Whom these names name: one participant, or nobody.
    ///
    /// # Errors
    /// [`Fault::Denied`] `certificate.nameless` or `certificate.names`.
    pub fn participant(&self, names: &Names) -> Result<Did, Fault> {
        let written = names.canonical().filter_map(|it| self.0.get(&it).cloned());
        let own = names.uris.iter().filter_map(|it| Did::parse(it).ok());
        let mut all = written.chain(own);
        let Some(first) = all.next() else {
            return Err(Fault::denied(
                "certificate.nameless",
                "certificate",
                "it names no participant: a URI among its alternative names must be your DID, or this node's \
                 operator registers it / 证书未写明参与方:请将 DID 写入证书的 URI 备用名称,或请本节点运营方登记",
            ));
        };
        if all.any(|it| it != first) {
            return Err(Fault::denied(
                "certificate.names",
                "certificate",
                "it names more than one participant: one certificate is for one / 证书写明了多个参与方:一张证书只能对应一个",
            ));
        }
        Ok(first)
    }
}

#[cfg(test)]
mod tests {
    use tidm_crypto::hash::sha256;

    use super::*;

    fn names(uris: &[&str], hosts: &[&str]) -> Names {
        let all = |it: &[&str]| it.iter().map(|it| (*it).to_owned()).collect();
        Names { uris: all(uris), hosts: all(hosts), digest: Some(sha256(b"certificate")) }
    }

    #[test]
    fn one_participant_or_nobody() {
        let text = format!(
            "# foreign connectors\ndid:web:b dns:Edge.B.example\n\nC uri:urn:connector:c # by its serial\n\
             did:web:d sha256:{}\ndid:web:b uri:https://b.example\n",
            sha256(b"the certificate of d")
        );
        let register = Register::parse(&text).unwrap();
        for (uris, hosts, found) in [
            (&["did:web:a"][..], &["a.example"][..], Ok("did:web:a")),
            (&["did:web:a", "https://a.example", "did:web:a"], &[], Ok("did:web:a")),
            (&[], &["edge.b.EXAMPLE"], Ok("did:web:b")),
            (&["https://b.example"], &["edge.b.example"], Ok("did:web:b")),
            (&["did:web:b"], &["edge.b.example"], Ok("did:web:b")),
            (&["urn:connector:c"], &[], Ok("did:named:C")),
            (&["did:web:a", "did:web:b"], &[], Err("certificate.names")),
            // Neither the file nor the authority makes one into another.
            (&["did:web:a"], &["edge.b.example"], Err("certificate.names")),
            (&[], &["*.b.example", "b.example"], Err("certificate.nameless")),
            (&["did:", "did:WEB:a", "web:a", ""], &[""], Err("certificate.nameless")),
            (&[], &[], Err("certificate.nameless")),
        ] {
            let got = register.participant(&names(uris, hosts));
            let got = got.as_ref().map(Did::as_str).map_err(Fault::code);
            assert_eq!(got, found, "{uris:?} {hosts:?}");
        }
        let d = Names { digest: Some(sha256(b"the certificate of d")), ..Names::default() };
        assert_eq!(register.participant(&d).unwrap().as_str(), "did:web:d");
        assert!(Register::default().participant(&d).is_err());
    }

    #[test]
    fn lines_that_are_none_are_named() {
        for (text, line) in [
            ("did:web:a", 1),
            ("\ndid:web:a a.example", 2),
            ("did:web:a dns:", 1),
            ("did:web:a dns:*.example", 1),
            ("did:web:a sha256:12", 1),
            ("did:web:a uri:nothing", 1),
            ("did: dns:a", 1),
            ("did:web:a dns:x.example\ndid:web:b dns:X.example", 2),
        ] {
            assert_eq!(Register::parse(text).map_err(|it| it.line), Err(line), "{text}");
        }
        assert_eq!(Register::parse("# nobody\n\n"), Ok(Register::default()));
        let line = |at: usize| format!("did:web:a dns:{at}.example\n");
        let many: String = (0..=CERTIFICATE_LINES).map(line).collect();
        assert_eq!(Register::parse(&many).map_err(|it| it.line), Err(CERTIFICATE_LINES + 1));
    }

    proptest::proptest! {
        /// Whatever stands in the file and in a certificate: it names one participant who is in one of them, or nobody.
        #[test]
        fn nobody_is_made_up(
            lines in proptest::collection::vec("(did:web:[ab]|[AB]) (dns|uri|sha256):[ab:]{0,4}", 0..4),
            uris in proptest::collection::vec("(did:web:)?[ab:]{0,3}", 0..3),
            hosts in proptest::collection::vec("[abAB*]{0,3}", 0..3),
        ) {
            let Ok(register) = Register::parse(&lines.join("\n")) else { return Ok(()) };
            let Ok(who) = register.participant(&Names { uris: uris.clone(), hosts, digest: None }) else { return Ok(()) };
            let named = |it: &str| Did::parse(it).or_else(|_| Did::named(it)).is_ok_and(|it| it == who);
            let mut words = lines.iter().filter_map(|it| it.split_once(' ')).map(|(it, _)| it);
            proptest::prop_assert!(words.any(named) || uris.iter().any(|it| named(it)), "{who}");
        }
    }
}
