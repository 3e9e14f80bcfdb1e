//! What the gate knows of who asks, beside what the request says: where it asks from, and what its membership says.
//!
//! Threat: an asker that says so itself. Nothing here is ever read from a message of the asker's own words: the address is
//! that of the connection, roles and regions are what an issuer or the operator of a space signed. Never filled in by
//! guessing: what nobody vouched for stays unknown, and unknown denies.

use core::net::IpAddr;

use crate::identity::credential::{COUNTRY, Credential, ROLES};
use crate::identity::member::{CreditCode, Member};
use crate::limits::{MEMBER_REGION_BYTES, MEMBER_ROLES};
use crate::policy::terms::Topic;
use crate::policy::usage::TEE;

/// Of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The other end of the connection: a proxy's where one stands in between.
    pub address: Option<IpAddr>,
    pub roles: Option<Vec<String>>,
    /// The member's region with all that contain it: `CN-32`, `CN`.
    pub regions: Option<Vec<String>>,
}

impl Seen {
    /// What a membership credential says, whose issuer was believed already.
    pub fn by_credential(it: &Credential) -> Self {
        let claim = |name| it.subjects.first().and_then(|it| it.claims.get(name));
        // All of them or none: one that was left out would be taken for one that the member has not.
        let all = claim(ROLES).and_then(|it| it.as_array()).filter(|it| it.len() <= MEMBER_ROLES);
        let roles =
            all.and_then(|all| all.iter().map(|it| it.as_str().map(str::to_owned)).collect());
        let country = claim(COUNTRY).and_then(|it| it.as_str());
        Self { address: None, roles, regions: country.and_then(regions) }
    }

    /// What the member list of a space says. Of a legal entity its credit code says where it is registered (GB 32100:
    /// characters 3 to 8 are a code of GB/T 2260).
    pub fn by_list(it: &Member) -> Self {
        let roles = it.roles.iter().map(|it| it.name().to_owned()).collect();
        Self { address: None, roles: Some(roles), regions: it.credit_code.as_ref().map(registered) }
    }
}

/// Codes of ISO 3166 contain each other by their hyphens; `None`: this is none.
pub fn regions(code: &str) -> Option<Vec<String>> {
    let plain = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphanumeric());
    if code.len() > MEMBER_REGION_BYTES || !code.split('-').all(plain) {
        return None;
    }
    let ends = code.match_indices('-').map(|(at, _)| at);
    let mut all: Vec<String> = ends.filter_map(|at| code.get(..at)).map(str::to_owned).collect();
    all.push(code.to_owned());
    all.reverse();
    Some(all)
}

/// County, prefecture and province by their codes of GB/T 2260, and the country.
fn registered(code: &CreditCode) -> Vec<String> {
    let part = |digits: usize| {
        let head = code.as_str().get(2..2usize.saturating_add(digits))?;
        head.bytes().all(|b| b.is_ascii_digit()).then(|| format!("{head:0<6}"))
    };
    let mut all: Vec<String> = [6, 4, 2].into_iter().filter_map(part).collect();
    all.dedup();
    all.push("CN".to_owned());
    all
}

/// The same as an evaluation takes it.
pub(super) struct Topics<'a>(Vec<(Topic, Vec<&'a str>)>);

impl<'a> Topics<'a> {
    pub(super) fn of(seen: &'a Seen, attested: bool) -> Self {
        let mut all = vec![];
        for (topic, said) in [(Topic::Role, &seen.roles), (Topic::Region, &seen.regions)] {
            let said = said.as_ref().map(|it| it.iter().map(String::as_str).collect());
            all.extend(said.map(|it: Vec<&str>| (topic, it)));
        }
        if attested {
            all.extend(ATTESTED.iter().map(|(topic, said)| (*topic, said.to_vec())));
        }
        Self(all)
    }

    pub(super) fn facts(&self) -> Vec<(Topic, &[&'a str])> {
        self.0.iter().map(|(topic, said)| (*topic, said.as_slice())).collect()
    }
}

/// What accepted evidence proves of where a use takes place.
pub const ATTESTED: &[(Topic, &[&str])] = &[(Topic::Environment, TEE)];

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::identity::credential::{Profile, Subject};
    use crate::policy::compile::compile;
    use crate::policy::eval::{Request, evaluate};
    use crate::policy::usage::Use;
    use crate::time::Time;
    use crate::wire::odrl::OdrlPolicy;
    use crate::wire::samples::did;

    #[test]
    fn regions_name_all_that_contain_them() {
        for (code, all) in [
            ("CN", Some(vec!["CN"])),
            ("CN-32-05", Some(vec!["CN-32-05", "CN-32", "CN"])),
            ("", None),
            ("CN-", None),
            ("中国", None),
            ("CN\u{0}", None),
        ] {
            let all = all.map(|all| all.into_iter().map(str::to_owned).collect());
            assert_eq!(regions(code), all, "{code}");
        }
        assert_eq!(regions(&"C".repeat(MEMBER_REGION_BYTES + 1)), None);
        for (code, all) in [
            ("91350100M000100Y43", &["350100", "350000", "CN"][..]),
            ("91110000600037341L", &["110000", "CN"]),
        ] {
            assert_eq!(registered(&CreditCode::parse(code).unwrap()), all);
        }
    }

    fn credential(claims: Map<String, serde_json::Value>) -> Credential {
        Credential {
            profile: Profile::Vc20,
            id: None,
            kinds: vec![],
            issuer: did("did:web:operator.example"),
            subjects: vec![Subject { id: None, claims }],
            from: None,
            until: None,
            statuses: vec![],
            schemas: vec![],
        }
    }

    /// A role that is forbidden does not go unseen behind many others, nor in a form that is not read.
    #[test]
    fn a_role_is_not_absent_because_there_are_many() {
        let rule = json!({
            "@type": "Offer", "@id": "urn:offer:1",
            "permission": [{ "action": "use", "constraint": [{
                "leftOperand": "tidm:assigneeRole", "operator": "isNoneOf", "rightOperand": ["competitor"],
            }] }],
        });
        let terms = compile(&OdrlPolicy::parse(rule).unwrap().model).unwrap();
        let many = |count: usize| (0..count).map(|it| json!(format!("r{it}"))).collect::<Vec<_>>();
        for (roles, permitted) in [
            (many(MEMBER_ROLES), true),
            ([many(MEMBER_ROLES - 1), vec![json!("competitor")]].concat(), false),
            ([many(MEMBER_ROLES), vec![json!("competitor")]].concat(), false),
            (vec![json!("consumer"), json!({ "@value": "competitor" })], false),
        ] {
            let claims = Map::from_iter([(ROLES.to_owned(), json!(roles))]);
            let seen = Seen::by_credential(&credential(claims));
            let topics = Topics::of(&seen, false);
            let facts = topics.facts();
            let mut asked = Request::new(Time::ZERO, Use::Query, "did:web:consumer.example");
            asked.more.topics = &facts;
            assert_eq!(evaluate(&terms, &asked).permitted().is_ok(), permitted, "{roles:?}");
        }
    }

    /// An issuer may write what it likes: what is not of the form is not known.
    #[test]
    fn credentials_of_any_shape_are_read() {
        let many: Vec<String> = (0..100).map(|it| it.to_string()).collect();
        for (roles, country, known) in [
            (json!(["provider", "auditor"]), json!("CN-32"), (Some(2), Some(2))),
            (json!(many[..MEMBER_ROLES]), json!("中国"), (Some(MEMBER_ROLES), None)),
            (json!(many[..MEMBER_ROLES + 1]), json!("中国"), (None, None)),
            (json!(many), json!("中国"), (None, None)),
            (json!([1, null, "a"]), json!(86), (None, None)),
            (json!([]), json!(86), (Some(0), None)),
            (json!("provider"), json!(["CN"]), (None, None)),
            (json!(null), json!("-"), (None, None)),
        ] {
            let mut claims = Map::new();
            claims.insert(ROLES.to_owned(), roles);
            claims.insert(COUNTRY.to_owned(), country);
            let it = credential(claims.clone());
            let seen = Seen::by_credential(&it);
            let got = (seen.roles.map(|it| it.len()), seen.regions.map(|it| it.len()));
            assert_eq!(got, known, "{claims:?}");
            assert_eq!(
                Seen::by_credential(&Credential { subjects: vec![], ..it }),
                Seen::default()
            );
        }
    }
}
