//! What a presentation proves, and every way in which it may not.

use serde_json::json;
use tidm_crypto::jws;
use tidm_crypto::sign::{KeyKind, SigningKey};

use super::*;
use crate::id::Id;
use crate::identity::credential::list::Bits;
use crate::identity::credential::{MEMBERSHIP, Purpose, Subject};
use crate::identity::document::Method;

const ISSUER: u8 = 1;
const HOLDER: u8 = 2;
const STRANGER: u8 = 3;

fn did(name: &str) -> Did {
    Did::parse(&format!("did:web:{name}")).unwrap()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_secret_bytes(KeyKind::Ed25519, &[seed; 32]).unwrap()
}

fn at(s: i64) -> Time {
    Time::from_ms(s * 1000)
}

fn document(name: &str, seed: u8) -> (Did, Document) {
    let did = did(name);
    let method = Method {
        id: format!("{did}#1"),
        key: key(seed).verifying_key(),
        authentication: true,
        assertion: true,
        invocation: true,
    };
    let (methods, services) = (vec![method], Vec::new());
    (did.clone(), Document { did, methods, services, unknown_methods: 0 })
}

/// Everything that can be changed about one presentation of one credential.
struct Case {
    profile: Profile,
    vp_profile: Profile,
    credential: Credential,
    signer: u8,
    kid: &'static str,
    presenter: u8,
    holder: Did,
    audience: Did,
    made: Time,
    now: Time,
    documents: BTreeMap<Did, Document>,
    lists: BTreeMap<String, List>,
    schemas: BTreeMap<String, Json>,
    scopes: Vec<Scope>,
    count: usize,
}

fn good(profile: Profile) -> Case {
    let claims = json!({"id": "did:web:holder", "foo": "bar"});
    let credential = Credential {
        profile,
        id: Some("urn:uuid:1".to_owned()),
        kinds: vec!["VerifiableCredential".to_owned(), MEMBERSHIP.to_owned()],
        issuer: did("issuer"),
        subjects: vec![Subject {
            id: Some("did:web:holder".to_owned()),
            claims: claims.as_object().unwrap().clone(),
        }],
        from: Some(at(900)),
        until: Some(at(5000)),
        statuses: vec![Status { list: "l".to_owned(), index: 7, purpose: Purpose::Revocation }],
        schemas: vec!["s".to_owned()],
    };
    let list = List {
        issuer: did("issuer"),
        purpose: Purpose::Revocation,
        until: Some(at(5000)),
        bits: Bits::zeros(0),
    };
    Case {
        profile,
        vp_profile: profile,
        credential,
        signer: ISSUER,
        kid: "did:web:issuer#1",
        presenter: HOLDER,
        holder: did("holder"),
        audience: did("me"),
        made: at(1000),
        now: at(1001),
        documents: [document("issuer", ISSUER), document("holder", HOLDER)].into(),
        lists: [("l".to_owned(), list)].into(),
        schemas: [("s".to_owned(), json!({"required": ["id", "foo"]}))].into(),
        scopes: vec![Scope::kind(MEMBERSHIP)],
        count: 1,
    }
}

impl Case {
    fn text(&self) -> String {
        let payload = jwt::write_credential(&self.credential).to_string();
        let typ = jwt::credential_typ(self.profile);
        let vc = jws::sign(self.kid, typ, payload.as_bytes(), &key(self.signer));
        let payload = jwt::write_presentation(
            self.vp_profile,
            &self.holder,
            &self.audience,
            &Id::parse("j").unwrap(),
            self.made,
            &vec![vc; self.count],
        );
        let kid = format!("{}#1", self.holder);
        let typ = jwt::presentation_typ(self.vp_profile);
        jws::sign(&kid, typ, payload.to_string().as_bytes(), &key(self.presenter))
    }

    fn run(&self, texts: &[String]) -> Result<Vec<Verified>, Fault> {
        let trusted = [did("issuer")].into();
        let (holder, me) = (did("holder"), did("me"));
        let asked = Asked { holder: &holder, me: &me, scopes: &self.scopes, trusted: &trusted };
        let opened = open(texts, &asked)?;
        assert!(issuers(&opened).is_subset(&trusted), "nobody else's document is fetched");
        let proven = prove(opened, &self.documents, &asked, self.now)?;
        for (list, issuer) in proven.lists() {
            assert_eq!((list.as_str(), issuer), ("l", did("issuer")));
        }
        proven.hold(&self.lists, &self.schemas, self.now)
    }

    fn code(&self) -> Option<&'static str> {
        self.run(&[self.text()]).err().map(|it| it.code())
    }
}

#[test]
fn a_good_presentation_proves_its_credential() {
    for profile in Profile::ALL {
        let case = good(profile);
        let verified = case.run(&[case.text()]).unwrap();
        assert_eq!(verified.len(), 1);
        assert_eq!(verified[0].credential(), &case.credential);
        assert_eq!(case.run(&[case.text(), case.text()]).unwrap().len(), 2, "more than asked for");
    }
}

type Change = fn(&mut Case);

#[test]
fn each_rule_refuses_with_its_code() {
    let changes: &[(&str, Change)] = &[
        ("presentation.empty", |_| {}),
        ("presentation.mixed", |it| {
            it.vp_profile = if it.profile == Profile::Vc11 { Profile::Vc20 } else { Profile::Vc11 };
        }),
        ("credential.issuer", |it| it.credential.issuer = did("stranger")),
        ("presentation.signature", |it| it.signer = STRANGER),
        ("presentation.signature", |it| it.presenter = STRANGER),
        ("presentation.key", |it| it.kid = "did:web:issuer#2"),
        ("presentation.key", |it| it.kid = "did:web:holder#1"),
        ("presentation.key", |it| {
            it.documents.get_mut(&did("issuer")).unwrap().methods[0].assertion = false;
        }),
        ("presentation.key", |it| {
            it.documents.get_mut(&did("holder")).unwrap().methods[0].authentication = false;
        }),
        ("presentation.holder", |it| it.holder = did("stranger")),
        ("presentation.audience", |it| it.audience = did("other")),
        ("presentation.expired", |it| it.now = at(1300)),
        ("presentation.future", |it| it.made = at(1010)),
        ("credential.subject", |it| {
            it.credential.subjects[0].id = Some("did:web:other".to_owned());
            it.credential.subjects[0].claims.insert("id".to_owned(), json!("did:web:other"));
        }),
        ("credential.expired", |it| it.credential.until = Some(at(1001))),
        ("credential.future", |it| it.credential.from = Some(at(1100))),
        ("credential.revoked", |it| {
            assert!(it.lists.get_mut("l").unwrap().bits.set(7));
        }),
        ("status.issuer", |it| it.lists.get_mut("l").unwrap().issuer = did("holder")),
        ("status.purpose", |it| it.lists.get_mut("l").unwrap().purpose = Purpose::Suspension),
        ("status.expired", |it| it.lists.get_mut("l").unwrap().until = Some(at(1001))),
        ("status.index", |it| it.credential.statuses[0].index = u64::MAX),
        ("internal", |it| it.lists.clear()),
        ("internal", |it| it.schemas.clear()),
        ("internal", |it| {
            it.documents.remove(&did("issuer"));
        }),
        ("credential.schema", |it| {
            it.credential.subjects[0].claims.remove("foo");
        }),
        ("credential.schema-unusable", |it| {
            it.schemas.insert("s".to_owned(), json!({"pattern": "x"}));
        }),
        ("presentation.missing", |it| it.scopes.push(Scope::kind("Other"))),
        ("presentation.missing", |it| it.count = 0),
        ("message.malformed", |it| it.count = PRESENTED + 1),
    ];
    for profile in Profile::ALL {
        for (code, change) in changes {
            let mut case = good(profile);
            change(&mut case);
            if *code == "presentation.empty" {
                assert_eq!(case.run(&[]).unwrap_err().code(), *code);
            } else {
                assert_eq!(case.code(), Some(*code), "{profile:?}");
            }
        }
    }
}

#[test]
fn many_presentations_together_are_bounded() {
    let case = good(Profile::Vc20);
    let texts = vec![case.text(); PRESENTED + 1];
    assert_eq!(case.run(&texts).unwrap_err().code(), "presentation.many");
    let mut crowded = good(Profile::Vc20);
    crowded.count = PRESENTED;
    let texts = vec![crowded.text(); 2];
    assert_eq!(crowded.run(&texts).unwrap_err().code(), "presentation.many");
}

#[test]
fn the_clocks_of_two_nodes_may_differ_a_little() {
    let mut case = good(Profile::Vc11);
    case.made = at(1005);
    case.credential.from = Some(at(1005));
    assert_eq!(case.code(), None);
}

#[test]
fn only_the_issuers_own_credentials_about_us_enter_our_wallet() {
    let case = good(Profile::Vc20);
    let payload = jwt::write_credential(&case.credential).to_string();
    let vc = jws::sign("#1", "vc+jwt", payload.as_bytes(), &key(ISSUER));
    assert!(receive(&vc, &did("issuer"), &did("holder")).is_ok());
    let code =
        |issuer: &str, holder: &str| receive(&vc, &did(issuer), &did(holder)).unwrap_err().code();
    assert_eq!(code("stranger", "holder"), "credential.issuer");
    assert_eq!(code("issuer", "other"), "credential.subject");
    let long = "x".repeat(CREDENTIAL_BYTES + 1);
    assert!(receive(&long, &did("issuer"), &did("holder")).is_err());
}
