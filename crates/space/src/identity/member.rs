//! The member list of a space: who belongs to it, in which roles, as its operator signed it.
//!
//! Never trusts a list by itself: the shell verifies the signature with a key of the operator that it was
//! configured with; [`MemberList::check`] then holds operator, age and version against what is known.

use crate::fault::Fault;
use crate::id::Id;
use crate::identity::credential::{CREDIT_CODE, Credential};
use crate::identity::did::Did;
use crate::time::Time;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberList {
    pub space: Id,
    pub operator: Did,
    /// Grows with every edition; an older one is never taken back.
    pub version: u64,
    pub issued: Time,
    pub expires: Time,
    pub members: Vec<Member>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub did: Did,
    pub name: String,
    pub roles: Vec<Role>,
    pub credit_code: Option<CreditCode>,
    /// DSP root of the member's node.
    pub endpoint: Option<String>,
    /// Cut off: stays on the list so that everybody knows, and may do nothing.
    pub cut: bool,
}

/// The white paper's five roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    Provider,
    Consumer,
    Custodian,
    Intermediary,
    Infrastructure,
}

impl Role {
    pub const ALL: [Self; 5] =
        [Self::Provider, Self::Consumer, Self::Custodian, Self::Intermediary, Self::Infrastructure];

    pub fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Consumer => "consumer",
            Self::Custodian => "custodian",
            Self::Intermediary => "intermediary",
            Self::Infrastructure => "infrastructure",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// The legal entity whose budget a use is charged to: by its credit code where its space's list or its membership says one, else
/// the DID itself.
#[derive(Clone, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Group(String);

impl Group {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn of_entity(code: &CreditCode) -> Self {
        // No DID begins so.
        Self(format!("credit-code:{}", code.as_str()))
    }
}

impl From<&Did> for Group {
    fn from(it: &Did) -> Self {
        Self(it.to_string())
    }
}

impl Group {
    /// The legal entity that a membership credential names, whose issuer was believed already. A code whose check character
    /// is wrong names none.
    pub fn by_credential(it: &Credential) -> Option<Self> {
        let said = it.subjects.first()?.claims.get(CREDIT_CODE)?.as_str()?;
        CreditCode::parse(said).ok().map(|it| Self::of_entity(&it))
    }

    /// By its text, as a row holds it.
    pub fn parse(text: &str) -> Option<Self> {
        let entity = text.strip_prefix("credit-code:").map(CreditCode::parse);
        entity
            .map_or_else(|| Did::parse(text).is_ok(), |it| it.is_ok())
            .then(|| Self(text.to_owned()))
    }
}

impl MemberList {
    /// Whether this list may replace the one last seen (`seen`: its version) of the space `space`.
    pub fn check(
        &self,
        space: &Id,
        operator: &Did,
        now: Time,
        seen: Option<u64>,
    ) -> Result<(), Fault> {
        let no = |code: &'static str, why: String| Err(Fault::denied(code, "membership", why));
        if self.space != *space {
            return no("members.space", format!("the list is of the space {}", self.space));
        }
        if self.operator != *operator {
            return no(
                "members.operator",
                format!("the list is by {}, not by the space's operator", self.operator),
            );
        }
        if self.issued > now.after(crate::limits::CLOCK_SKEW) {
            return no(
                "members.future",
                "the list was issued in the future: compare the clocks".to_owned(),
            );
        }
        if self.expires <= now {
            return no("members.expired", format!("the list expired at {}", self.expires));
        }
        match seen {
            Some(seen) if self.version < seen => no(
                "members.older",
                format!("version {} is older than version {seen}, which was seen", self.version),
            ),
            _ => Ok(()),
        }
    }

    /// The member, unless it is not one or was cut off.
    pub fn active(&self, did: &Did) -> Result<&Member, Fault> {
        let no = |code: &'static str, why: &str| {
            Fault::denied(code, "membership", format!("{did} {why}"))
        };
        let member = self.members.iter().find(|m| m.did == *did);
        let member = member.ok_or_else(|| no("members.stranger", "is no member of the space"))?;
        if member.cut { Err(no("members.cut", "was cut off from the space")) } else { Ok(member) }
    }

    /// Active members in a role.
    pub fn in_role(&self, role: Role) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |m| !m.cut && m.roles.contains(&role))
    }
}

/// 统一社会信用代码, GB 32100-2015: 18 characters, the last one a check (modulo 31).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CreditCode(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a unified social credit code (统一社会信用代码): 18 digits and capitals, the last one a check character"
)]
pub struct BadCreditCode;

/// GB 32100 §3: without I, O, Z, S, V, so that no two look alike.
const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";

impl CreditCode {
    pub fn parse(text: &str) -> Result<Self, BadCreditCode> {
        let values: Option<Vec<usize>> = text.chars().map(|c| ALPHABET.find(c)).collect();
        let values = values.ok_or(BadCreditCode)?;
        let (Some((check, body)), 18) = (values.split_last(), values.len()) else {
            return Err(BadCreditCode);
        };
        // Characters 3 to 8 are the registrar's administrative division: digits.
        if body.iter().skip(2).take(6).any(|v| *v > 9) {
            return Err(BadCreditCode);
        }
        // Weight of place i is 3^(i-1) mod 31.
        let (sum, _) =
            body.iter().fold((0, 1), |(sum, weight), v| (sum + v * weight, weight * 3 % 31));
        if (31 - sum % 31) % 31 == *check { Ok(Self(text.to_owned())) } else { Err(BadCreditCode) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::identity::credential::{Profile, Subject};

    #[test]
    fn a_membership_names_a_legal_entity_by_a_whole_code() {
        let credential = |claims| Credential {
            profile: Profile::Vc20,
            id: None,
            kinds: vec![],
            issuer: Did::parse("did:web:operator.example").unwrap(),
            subjects: vec![Subject { id: None, claims }],
            from: None,
            until: None,
            statuses: vec![],
            schemas: vec![],
        };
        for (said, known) in [
            (json!("91350100M000100Y43"), true),
            (json!("91350100M000100Y44"), false),
            (json!("91350100m000100y43"), false),
            (json!(["91350100M000100Y43"]), false),
            (json!("did:web:a.example"), false),
            (json!(null), false),
        ] {
            let claims = [(CREDIT_CODE.to_owned(), said.clone())].into_iter().collect();
            let found = Group::by_credential(&credential(claims));
            let listed = CreditCode::parse("91350100M000100Y43").unwrap();
            assert_eq!(found, known.then(|| Group::of_entity(&listed)), "{said}");
        }
    }

    #[test]
    fn credit_codes_check_modulo_31() {
        // The standard's own example and two public ones.
        for good in ["91350100M000100Y43", "91110000600037341L", "914403001922038216"] {
            assert!(CreditCode::parse(good).is_ok(), "{good}");
            for place in 0..18 {
                let mut other: Vec<char> = good.chars().collect();
                other[place] = if other[place] == '1' { '2' } else { '1' };
                let other: String = other.into_iter().collect();
                assert_eq!(CreditCode::parse(&other), Err(BadCreditCode), "{other}");
            }
        }
        for bad in [
            "",
            "91350100M000100Y4",
            "91350100M000100Y433",
            "91350100m000100y43",
            "9135A100M000100Y43",
            "统一社会信用代码",
        ] {
            assert_eq!(CreditCode::parse(bad), Err(BadCreditCode), "{bad}");
        }
    }

    #[test]
    fn lists_are_held_against_what_is_known() {
        let (space, operator) = (Id::parse("urn:s").unwrap(), Did::parse("did:web:op").unwrap());
        let list = MemberList {
            space: space.clone(),
            operator: operator.clone(),
            version: 3,
            issued: Time::from_ms(1_000),
            expires: Time::from_ms(9_000_000),
            members: vec![member("a", false), member("b", true)],
        };
        let other = (Id::parse("urn:t").unwrap(), Did::parse("did:web:other").unwrap());
        for (space, operator, now, seen, code) in [
            (&space, &operator, 2_000, None, None),
            (&space, &operator, 2_000, Some(3), None),
            (&space, &operator, 2_000, Some(4), Some("members.older")),
            (&space, &operator, 9_000_000, None, Some("members.expired")),
            (&other.0, &operator, 2_000, None, Some("members.space")),
            (&space, &other.1, 2_000, None, Some("members.operator")),
        ] {
            let got = list.check(space, operator, Time::from_ms(now), seen);
            assert_eq!(got.err().map(|f| f.code()), code);
        }
        let future = MemberList { issued: Time::from_ms(60_000), ..list.clone() };
        assert_eq!(
            future.check(&space, &operator, Time::ZERO, None).unwrap_err().code(),
            "members.future"
        );
        for (name, code) in
            [("a", None), ("b", Some("members.cut")), ("c", Some("members.stranger"))]
        {
            let did = Did::parse(&format!("did:web:{name}")).unwrap();
            assert_eq!(list.active(&did).err().map(|f| f.code()), code, "{name}");
        }
        assert_eq!(list.in_role(Role::Provider).count(), 1);
    }

    fn member(name: &str, cut: bool) -> Member {
        Member {
            did: Did::parse(&format!("did:web:{name}")).unwrap(),
            name: name.to_owned(),
            roles: vec![Role::Provider],
            credit_code: None,
            endpoint: None,
            cut,
        }
    }
}
