use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::json;

use super::decide::*;
use super::log::{Entry, START, broken};
use super::oidc;
use super::role::{self, Role, conflict};
use super::rule::{Known, Rule};
use super::scope::Scope;
use crate::time::Time;

const ON: Settings = Settings { separation: true, second_factor: SecondFactor::Off };
const OFF: Settings = Settings { separation: false, second_factor: SecondFactor::Off };
const NOW: Time = Time::ZERO;

fn person(name: &str, roles: &[Role]) -> Person {
    Person {
        name: name.to_owned(),
        state: State::Active,
        roles: roles.iter().copied().collect(),
        known: Known::default(),
        second_factor: false,
    }
}

fn session() -> Door {
    Door::Session { proven: None }
}

/// role → scopes under separation; no line grants more than its role's.
#[test]
fn the_table_of_roles() {
    for (role, scopes) in [
        (Role::System, "admin accounts own"),
        (Role::Security, "rights own"),
        (Role::Audit, "people-log own"),
        (Role::Steward, "read publish contract own"),
        (Role::Analyst, "read use own"),
        (Role::Auditor, "audit people-log own"),
        (Role::Regulator, "audit own"),
    ] {
        let found = granted(&person("p", &[role]), &ON);
        let words: BTreeSet<&str> = found.iter().map(|it| it.word()).collect();
        assert_eq!(words, scopes.split(' ').collect(), "{}", role.word());
        assert_eq!(Role::from_word(role.word()), Some(role));
    }
    for it in Scope::ALL {
        assert_eq!(Scope::from_word(it.word()), Some(it));
    }
    let all = Person { roles: Role::everything(), ..person("p", &[]) };
    assert_eq!(granted(&all, &OFF), Scope::ALL.into());
    assert_eq!(granted(&all, &ON), [Scope::Own].into(), "conflicting roles grant nothing");
    assert_eq!(role::read(&role::write(&all.roles)), all.roles);
    assert_eq!(role::read("root admin"), BTreeSet::new());
}

#[test]
fn acts_and_why_not() {
    let (sys, sec, aud) = (
        person("sys", &[Role::System]),
        person("sec", &[Role::Security]),
        person("aud", &[Role::Audit]),
    );
    let (bob, sec2) = (person("bob", &[Role::Analyst]), person("sec2", &[Role::Security]));
    let new = Person { state: State::Invited, ..person("new", &[]) };
    let off = Person { state: State::Disabled, ..person("off", &[]) };
    let everyone: Vec<Person> = [&sys, &sec, &aud, &bob, &new, &off].map(Clone::clone).into();
    let roles = |all: &[Role]| all.iter().copied().collect::<BTreeSet<_>>();
    let (analyst, both, none) =
        (roles(&[Role::Analyst]), roles(&[Role::System, Role::Audit]), roles(&[]));
    let to_audit = roles(&[Role::Audit]);
    let use_key = BTreeSet::from([Scope::Use]);
    let check = |who: &Person, act: Act<'_>, expected: &str| {
        let found = decide(who, &session(), &act, &everyone, &ON, NOW);
        let said = match found {
            Ok(it) if it.drops_roles => "ok, roles dropped".to_owned(),
            Ok(it) if it.drops_link => "ok, link dropped".to_owned(),
            Ok(_) => "ok".to_owned(),
            Err(why) => why.reason(),
        };
        assert_eq!(said, expected, "{} {act:?}", who.name);
    };
    check(&sys, Act::Add, "ok");
    check(&sec, Act::Add, "no role grants accounts");
    check(&aud, Act::Add, "no role grants accounts");
    check(&sys, Act::SetRoles { of: &bob, to: &analyst }, "no role grants rights");
    check(&sec, Act::SetRoles { of: &bob, to: &analyst }, "ok, link dropped");
    check(&sec, Act::SetRoles { of: &new, to: &analyst }, "the account is invited");
    check(
        &sec,
        Act::SetRoles { of: &bob, to: &both },
        "system-administrator and audit-administrator must not meet",
    );
    check(&sec, Act::SetRoles { of: &sec, to: &both }, "not to oneself");
    check(&sec, Act::SetRoles { of: &sys, to: &to_audit }, "nobody else is system-administrator");
    check(&sys, Act::Disable(&sys), "not to oneself");
    check(&sys, Act::Disable(&sec), "nobody else is security-administrator");
    check(&sys, Act::Disable(&bob), "ok, link dropped");
    check(&sys, Act::Disable(&off), "the account is disabled");
    check(&sys, Act::Enable(&bob), "the account is active");
    check(&sys, Act::Enable(&off), "ok");
    let mixed = Person { roles: both, ..off };
    check(&sys, Act::Enable(&mixed), "system-administrator and audit-administrator must not meet");
    check(&sys, Act::Link(&bob), "ok, roles dropped");
    check(&sys, Act::Link(&sec), "nobody else is security-administrator");
    check(&sys, Act::Link(&new), "ok");
    check(&bob, Act::MakeKey(&use_key), "ok");
    check(&sec, Act::MakeKey(&use_key), "no role grants use");
    check(&bob, Act::RevokeKeyOf("bob"), "ok");
    check(&bob, Act::RevokeKeyOf("sys"), "no role grants rights");
    check(&sec, Act::SetRoles { of: &bob, to: &none }, "ok");
    // With a second one, the first may go.
    let more: Vec<Person> = [&sec, &sec2].map(Clone::clone).into();
    let act = Act::SetRoles { of: &sec, to: &none };
    assert!(decide(&sec2, &session(), &act, &more, &ON, NOW).is_ok());
    // Not so where the second one's roles count for nothing.
    let void = person("void", &[Role::Security, Role::Audit]);
    let act = Act::Disable(&sec);
    let left = [sys.clone(), sec.clone(), void];
    let found = decide(&sys, &session(), &act, &left, &ON, NOW);
    assert_eq!(found, Err(Denied::Last(Role::Security)));
}

#[test]
fn the_second_factor_is_asked_of_whom_the_settings_say() {
    let ask = Settings { second_factor: SecondFactor::Administrators, ..OFF };
    let admin = Person { roles: Role::everything(), ..person("a", &[]) };
    let bob = person("bob", &[Role::Analyst]);
    let own = BTreeSet::from([Scope::Own]);
    assert_eq!(scopes(&admin, &session(), &ask), own);
    assert_eq!(scopes(&bob, &session(), &ask), granted(&bob, &ask));
    let at = |ms: i64| Door::Session { proven: Some(Time::from_ms(ms)) };
    let enrolled = Person { second_factor: true, ..admin.clone() };
    assert_eq!(scopes(&enrolled, &at(0), &ask), Scope::ALL.into());
    // A session that was proven by a factor which is gone by now.
    assert_eq!(scopes(&admin, &at(0), &ask), own);
    assert_eq!(may(&admin, &at(0), Scope::Rights, &ask), Err(Denied::Enrol));
    let key = BTreeSet::from([Scope::Own]);
    let made = decide(&admin, &at(0), &Act::MakeKey(&key), &[], &ask, NOW);
    assert_eq!(made, Err(Denied::Enrol));
    assert_eq!(may(&admin, &session(), Scope::Rights, &ask), Err(Denied::Enrol));
    assert_eq!(may(&enrolled, &session(), Scope::Rights, &ask), Err(Denied::StepUp));
    let to = BTreeSet::new();
    let act = Act::SetRoles { of: &bob, to: &to };
    for (proven, now, fine) in
        [(1000, 1000, true), (1000, 300_999, true), (1000, 301_000, false), (2000, 1000, false)]
    {
        let found = decide(&enrolled, &at(proven), &act, &[], &ask, Time::from_ms(now));
        assert_eq!(found, if fine { Ok(Effect::default()) } else { Err(Denied::StepUp) }, "{now}");
    }
    // A key stands for nobody who had to enrol and did not.
    let key = Door::Key { scopes: [Scope::Admin].into(), proven: None };
    assert!(scopes(&admin, &key, &ask).is_empty());
    assert_eq!(scopes(&enrolled, &key, &ask), Scope::ALL.into());
    assert_eq!(decide(&enrolled, &key, &act, &[], &ask, NOW), Err(Denied::StepUp));
    assert_eq!(decide(&enrolled, &key, &act, &[], &OFF, NOW), Err(Denied::StepUp));
}

/// Links, what is known of people, rules: as for keys of contracts.
#[test]
fn links_attributes_and_rules_are_set_by_who_gave_a_code() {
    let key =
        |scopes: &[Scope]| Door::Key { scopes: scopes.iter().copied().collect(), proven: None };
    let now = Time::from_ms(1_000_000);
    let old = Door::Session { proven: Some(Time::from_ms(600_000)) };
    let fresh = Door::Session { proven: Some(now) };
    let plain = person("a", &[Role::System, Role::Security]);
    let enrolled = Person { second_factor: true, ..plain.clone() };
    let bob = person("bob", &[Role::Analyst]);
    let asked = Err(Denied::StepUp);
    for (act, scope) in [
        (Act::Link(&bob), Scope::Accounts),
        (Act::SetKnown(&bob), Scope::Rights),
        (Act::SetRule, Scope::Rights),
    ] {
        for (who, door, expected) in [
            (&plain, session(), Ok(())),
            (&enrolled, session(), asked.clone()),
            (&enrolled, old.clone(), asked.clone()),
            (&enrolled, fresh.clone(), Ok(())),
            (&enrolled, key(&[Scope::Admin]), asked.clone()),
            (&enrolled, key(&[scope]), Ok(())),
            (&enrolled, key(&[Scope::Own]), Err(Denied::Missing(scope))),
        ] {
            let found = decide(who, &door, &act, &[], &OFF, now).map(drop);
            assert_eq!(found, expected, "{act:?} {door:?}, enrolled: {}", who.second_factor);
        }
    }
}

/// Keys of contracts: who has a second factor gives a code, demanded or not; a program's key has the scope or has not. Where
/// one is demanded of anybody, nobody does it without one, whatever their role.
#[test]
fn keys_are_destroyed_by_who_gave_a_code_and_by_programs_made_for_it() {
    let key =
        |scopes: &[Scope]| Door::Key { scopes: scopes.iter().copied().collect(), proven: None };
    let (now, then) = (Time::from_ms(1_000_000), Time::from_ms(600_000));
    let proven = |at| Door::Session { proven: Some(at) };
    let plain = person("wang", &[Role::Steward]);
    let enrolled = Person { second_factor: true, ..plain.clone() };
    let ask = |second_factor| Settings { second_factor, ..OFF };
    let [administrators, everybody] =
        [SecondFactor::Administrators, SecondFactor::Everybody].map(ask);
    let (code, enrol) = (Err(Denied::StepUp), Err(Denied::Enrol));
    let missing = Err(Denied::Missing(Scope::Contract));
    // Under: off, administrators (a data steward is none), everybody.
    for (who, door, fine) in [
        (&plain, session(), [Ok(()), enrol.clone(), enrol.clone()]),
        // Proven by a factor that is gone.
        (&plain, proven(now), [Ok(()), enrol.clone(), enrol.clone()]),
        (&plain, key(&[Scope::Admin]), [Ok(()), enrol.clone(), enrol.clone()]),
        (&plain, key(&[Scope::Contract]), [Ok(()), enrol.clone(), enrol]),
        (&enrolled, session(), [code.clone(), code.clone(), code.clone()]),
        (&enrolled, proven(then), [code.clone(), code.clone(), code.clone()]),
        (&enrolled, proven(now), [Ok(()), Ok(()), Ok(())]),
        (&enrolled, key(&[Scope::Admin]), [code.clone(), code.clone(), code.clone()]),
        (&enrolled, key(&[Scope::Contract]), [Ok(()), Ok(()), Ok(())]),
        (&enrolled, key(&[Scope::Read]), [missing.clone(), missing.clone(), missing]),
    ] {
        let own = BTreeSet::from([Scope::Own]);
        for (settings, fine) in [OFF, administrators, everybody].iter().zip(fine) {
            let act = Act::NodeKeys(Scope::Contract);
            let found = decide(who, &door, &act, &[], settings, now).map(drop);
            assert_eq!(found, fine, "{door:?} {settings:?}, enrolled: {}", who.second_factor);
            // A key for oneself opens what a code opened: the same, by a session or a key for everything.
            let Door::Session { .. } = door else { continue };
            let found = decide(who, &door, &Act::MakeKey(&own), &[], settings, now).map(drop);
            assert_eq!(found, fine, "a key: {settings:?}, enrolled: {}", who.second_factor);
        }
    }
    let wanted = BTreeSet::from([Scope::Contract]);
    let made = decide(&enrolled, &session(), &Act::MakeKey(&wanted), &[], &OFF, now);
    assert_eq!(
        made,
        code.map(|()| Effect::default()),
        "else anybody at the session made one first"
    );
}

fn any_role() -> impl Strategy<Value = Role> {
    (0..Role::ALL.len()).prop_map(|it| Role::ALL[it])
}

fn any_scope() -> impl Strategy<Value = Scope> {
    (0..Scope::ALL.len()).prop_map(|it| Scope::ALL[it])
}

fn any_person() -> impl Strategy<Value = Person> {
    let state = prop_oneof![Just(State::Invited), Just(State::Active), Just(State::Disabled)];
    (state, prop::collection::btree_set(any_role(), 0..4), any::<bool>()).prop_map(
        |(state, roles, second_factor)| Person { state, roles, second_factor, ..person("p", &[]) },
    )
}

fn any_door() -> impl Strategy<Value = Door> {
    let proven = || prop::option::of((0..1_000_000_i64).prop_map(Time::from_ms));
    prop_oneof![
        proven().prop_map(|proven| Door::Session { proven }),
        (prop::collection::btree_set(any_scope(), 0..4), proven())
            .prop_map(|(scopes, proven)| Door::Key { scopes, proven }),
    ]
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let factor = prop_oneof![
        Just(SecondFactor::Off),
        Just(SecondFactor::Administrators),
        Just(SecondFactor::Everybody)
    ];
    (any::<bool>(), factor)
        .prop_map(|(separation, second_factor)| Settings { separation, second_factor })
}

/// A step of a story: who acts, on whom, what.
fn any_step() -> impl Strategy<Value = (usize, usize, u8, BTreeSet<Role>)> {
    (0..6_usize, 0..6_usize, 0..7_u8, prop::collection::btree_set(any_role(), 0..3))
}

proptest! {
    /// Total; nothing beyond what roles grant; nothing for who is not active; a key never beyond its owner.
    #[test]
    fn deny_by_default(it in any_person(), door in any_door(), settings in any_settings()) {
        let found = scopes(&it, &door, &settings);
        let most: BTreeSet<Scope> =
            it.roles.iter().flat_map(|it| it.scopes()).copied().chain([Scope::Own]).collect();
        prop_assert!(found.is_subset(&most));
        prop_assert!(it.state == State::Active || found.is_empty());
        for scope in Scope::ALL {
            prop_assert_eq!(may(&it, &door, scope, &settings).is_ok(), found.contains(&scope));
        }
        if let Door::Key { scopes: written, .. } = &door {
            prop_assert!(found.is_subset(&granted(&it, &settings)));
            prop_assert!(written.contains(&Scope::Admin) || found.is_subset(written));
        }
        if settings.separation {
            let both = |a, b| found.contains(&a) && found.contains(&b);
            prop_assert!(!both(Scope::Accounts, Scope::Rights));
            prop_assert!(!both(Scope::Rights, Scope::Use) && !both(Scope::Rights, Scope::Read));
            prop_assert!(!both(Scope::Admin, Scope::PeopleLog));
        }
    }

    /// Whatever people do to one another: no account gathers what is apart, none gains by its own act, a link from
    /// others never opens an account that still has roles, and the node is never left without those who let people in.
    #[test]
    fn separation_cannot_be_gone_around(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut all = vec![
            person("sys", &[Role::System]), person("sec", &[Role::Security]), person("aud", &[Role::Audit]),
            person("sec2", &[Role::Security]), person("bob", &[Role::Analyst]),
            Person { state: State::Invited, ..person("new", &[]) },
        ];
        // Who made an account may hold its link, and whoever uses one is in.
        let (mut link, mut joined) = ([false, false, false, false, false, true], [true; 6]);
        joined[5] = false;
        for (who, whom, what, to) in steps {
            let (actor, of) = (all[who].clone(), all[whom].clone());
            let act = match what {
                0 => Act::SetRoles { of: &of, to: &to },
                1 => Act::Disable(&of),
                2 => Act::Enable(&of),
                3 => Act::Link(&of),
                4 => Act::SetKnown(&of),
                5 => Act::ResetSecondFactor(&of),
                _ => {
                    // The holder of an open link uses it: no decision, the account becomes active.
                    if link[whom] && of.state != State::Disabled {
                        prop_assert!(of.roles.is_empty(), "{:?} is taken over", of);
                        all[whom].state = State::Active;
                        (link[whom], joined[whom]) = (false, true);
                    }
                    continue;
                }
            };
            let before = granted(&actor, &ON);
            let Ok(effect) = decide(&actor, &session(), &act, &all, &ON, NOW) else { continue };
            link[whom] &= !effect.drops_link;
            match act {
                Act::SetRoles { .. } => all[whom].roles = to.clone(),
                Act::Disable(_) => all[whom].state = State::Disabled,
                Act::Enable(_) if joined[whom] => all[whom].state = State::Active,
                Act::Enable(_) => all[whom].state = State::Invited,
                Act::Link(_) => {
                    if effect.drops_roles { all[whom].roles.clear(); }
                    prop_assert!(all[whom].roles.is_empty());
                    link[whom] = true;
                }
                Act::Add
                | Act::Unlock(_)
                | Act::SetKnown(_)
                | Act::ResetSecondFactor(_)
                | Act::SetRule
                | Act::MakeKey(_)
                | Act::RevokeKeyOf(_)
                | Act::NodeKeys(_) => {}
            }
            prop_assert!(granted(&all[who], &ON).is_subset(&before), "{} gained", actor.name);
            for it in &all {
                prop_assert!(conflict(&it.roles).is_none(), "{:?}", it);
            }
            for role in [Role::System, Role::Security] {
                prop_assert!(all.iter().any(|it| it.state == State::Active && it.roles.contains(&role)));
            }
        }
    }
}

#[test]
fn rules_name_what_is_missing() {
    let known = Known {
        groups: ["line-3".to_owned()].into(),
        attributes: BTreeMap::from([
            ("department".to_owned(), "quality".to_owned()),
            ("clearance".to_owned(), "2".to_owned()),
            ("odd".to_owned(), "two".to_owned()),
        ]),
    };
    for (rule, unmet) in [
        ("group=line-3", ""),
        ("group=line-4", "group=line-4"),
        ("department=design|quality; clearance>=2", ""),
        ("department=quality; clearance>=3", "clearance>=3"),
        ("odd>=1", "odd>=1"),
        ("absent>=0", "absent>=0"),
        ("absent=x", "absent=x"),
    ] {
        let it = Rule::parse(rule).unwrap();
        assert_eq!(it.unmet(&known).map(ToString::to_string).unwrap_or_default(), unmet, "{rule}");
        assert_eq!(Rule::parse(&it.to_string()), Ok(it));
    }
    assert_eq!(Known::parse(&known.to_string()), Ok(known));
    for bad in ["x", "x=", "=x", "a=1;a=2", "group=a;group=a", "a=b=c", &"x=".repeat(9)] {
        assert!(Known::parse(bad).is_err(), "{bad}");
    }
    let many: Vec<String> = (0..33).map(|it| format!("a{it}=1")).collect();
    assert!(Known::parse(&many.join(";")).is_err());
    let long = "x".repeat(65);
    for bad in [
        "",
        ";",
        "x",
        "=x",
        "x=",
        "a>=-1",
        "a>=x",
        "a=b=c",
        &format!("{long}=1"),
        &"a=b;".repeat(17),
        &format!("a={}", ["x"; 17].join("|")),
    ] {
        assert!(Rule::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_log_shows_where_it_was_changed() {
    let entry = |place: u64, who: &str| Entry {
        place,
        at: Time::from_ms(i64::try_from(place).unwrap()),
        who: who.to_owned(),
        act: "people.add".to_owned(),
        subject: "bob".to_owned(),
        allowed: true,
        reason: String::new(),
        times: 1,
    };
    let mut chain = Vec::new();
    let mut before = START;
    for place in 1..=4 {
        let it = entry(place, "sys");
        before = it.digest(before);
        chain.push((it, before));
    }
    let check = |all: &[(Entry, _)]| broken(all.iter().map(|(it, digest)| (it, *digest)));
    assert_eq!(check(&chain), None);
    assert_eq!(check(&[]), None);
    let mut changed = chain.clone();
    changed[2].0.who = "nobody".to_owned();
    assert_eq!(check(&changed), Some(3));
    let mut shorter = chain.clone();
    shorter.remove(1);
    assert_eq!(check(&shorter), Some(2));
    let mut counted = chain.clone();
    counted[3].0.times = 2;
    assert_eq!(check(&counted), Some(4), "how often is part of it");
    let mut forged = chain;
    forged[1].0.allowed = false;
    forged[1].1 = forged[1].0.digest(forged[0].1);
    assert_eq!(check(&forged), Some(3), "the next entry no longer follows");
}

#[test]
fn tokens_that_are_not_for_this_sign_in_are_refused() {
    let good = json!({"iss": "https://id", "sub": "7", "aud": "tidm", "nonce": "n", "iat": 100, "exp": 400});
    let expected = oidc::Expected { issuer: "https://id", client: "tidm", nonce: "n" };
    let at = |seconds: i64| Time::from_ms(seconds * 1000);
    for (change, now, code) in [
        (json!({}), 200, ""),
        (json!({"aud": ["tidm", "other"], "azp": "tidm"}), 200, ""),
        (json!({"iss": "https://evil"}), 200, "oidc.issuer"),
        (json!({"iss": "https://id/"}), 200, "oidc.issuer"),
        (json!({"aud": "other"}), 200, "oidc.audience"),
        (json!({"aud": ["tidm", "other"]}), 200, "oidc.audience"),
        (json!({"azp": "other"}), 200, "oidc.audience"),
        (json!({"nonce": "m"}), 200, "oidc.nonce"),
        (json!({"nonce": null}), 200, "oidc.nonce"),
        (json!({"nonce": ""}), 200, "oidc.nonce"),
        (json!({}), 404, ""),
        (json!({}), 405, "oidc.time"),
        (json!({}), 90, "oidc.time"),
        (json!({"nbf": 300}), 200, "oidc.time"),
        (json!({"exp": "soon"}), 200, "oidc.malformed"),
        (json!({"sub": ""}), 200, "oidc.malformed"),
        (json!({"sub": 7}), 200, "oidc.malformed"),
        (json!({"aud": {}}), 200, "oidc.malformed"),
        (json!({"aud": vec!["x"; 17]}), 200, "oidc.malformed"),
    ] {
        let mut token = good.clone();
        for (name, value) in change.as_object().unwrap() {
            token[name] = value.clone();
        }
        let found = oidc::claims(token.to_string().as_bytes())
            .and_then(|it| oidc::check(&it, &expected, at(now)));
        assert_eq!(found.err().map_or("", |it| it.code()), code, "{token} at {now}");
    }
    for bad in [&b""[..], b"[]", b"{", b"{\"iss\":\"a\",\"iss\":\"b\"}", &vec![b' '; 20_000]] {
        assert!(
            oidc::claims(bad).is_err() && oidc::keys(bad).is_err() && oidc::id_token(bad).is_err()
        );
    }
    let document = json!({"issuer": "https://id", "authorization_endpoint": "https://id/a", "token_endpoint": "https://id/t", "jwks_uri": "https://id/k"});
    assert!(oidc::provider(document.to_string().as_bytes(), "https://id").is_ok());
    let other = oidc::provider(document.to_string().as_bytes(), "https://id2").unwrap_err();
    assert_eq!(other.code(), "oidc.issuer");
    assert!(oidc::keys(json!({"keys": vec![json!({}); 33]}).to_string().as_bytes()).is_err());
}

#[test]
fn claims_bring_roles_and_under_separation_no_administrator() {
    let mappings: Vec<_> = [
        "groups:quality=analyst",
        "groups:it=system-administrator",
        "role:steward=data-steward",
        "url:https://x=auditor",
    ]
    .map(|it| oidc::Mapping::parse(it).unwrap())
    .into();
    let claims = json!({"groups": ["quality", "it", 3], "role": "steward", "url": "https://x", "sub": "analyst"});
    let claims = claims.as_object().unwrap();
    let words = |separation| role::write(&oidc::roles(claims, &mappings, separation));
    assert_eq!(words(true), "data-steward analyst auditor");
    assert_eq!(words(false), "system-administrator data-steward analyst auditor");
    for bad in ["", "groups=analyst", ":x=analyst", "g:=analyst", "g:x=root", "g:x"] {
        assert_eq!(oidc::Mapping::parse(bad), None, "{bad}");
    }
}
