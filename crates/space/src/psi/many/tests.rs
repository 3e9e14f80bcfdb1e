use tidm_crypto::jws;
use tidm_crypto::sign::{KeyKind, SigningKey};

use super::*;
use crate::identity::member::CreditCode;
use crate::wire::samples::{did, id};

fn key(byte: u8) -> SigningKey {
    SigningKey::from_secret_bytes(KeyKind::Es256, &[byte; 32]).unwrap()
}

fn contract(number: usize) -> Id {
    id(&format!("urn:agreement:{number}"))
}

fn proposal() -> Proposal {
    let session = [9; 32];
    let member = |number: usize| Member {
        did: did(&format!("did:web:m{number}.example")),
        under: under(&session, &contract(number)),
    };
    Proposal {
        id: session,
        leader: did("did:web:leader.example"),
        items: 1000,
        key: Key::parse("1:text,2:digits;first").unwrap(),
        members: vec![member(0), member(1), member(2)],
    }
}

fn word(proposal: &Proposal, at: usize) -> Word {
    let byte = u8::try_from(at).unwrap() + 1;
    let (public, items) = ([byte; 32], 50 + u64::from(byte));
    let payload = Word::signed(proposal, at, &public, items);
    let signature = jws::sign("kid", WORD_TYPE, &payload, &key(byte));
    Word { key: public, items, signature }
}

#[test]
fn parties_are_different_and_each_knows_its_contract() {
    let it = proposal();
    it.check().unwrap();
    for at in 0..3 {
        assert_eq!(it.number_of(&it.members[at].did, &contract(at)).unwrap(), at);
        let other = it.number_of(&it.members[at].did, &contract(at + 1));
        assert_eq!(other.unwrap_err().code(), "psi.parties");
    }
    let changed = |change: fn(&mut Proposal)| {
        let mut it = proposal();
        change(&mut it);
        it
    };
    for (wrong, code) in [
        (changed(|it| it.members.truncate(1)), "psi.parties"),
        (changed(|it| it.members[1].did = it.members[0].did.clone()), "psi.parties"),
        (changed(|it| it.members[1].did = it.leader.clone()), "psi.parties"),
        (changed(|it| it.members = vec![it.members[0].clone(); MATCH_MEMBERS + 1]), "psi.parties"),
        (changed(|it| it.key = Key::parse("part:text").unwrap()), "psi.parties"),
        (changed(|it| it.items = 0), "psi.size"),
        (changed(|it| it.items = MATCH_MANY_ITEMS + 1), "psi.size"),
    ] {
        assert_eq!(wrong.check().unwrap_err().code(), code, "{wrong:?}");
    }
    // Two names of one legal entity are one party.
    let entity = Group::of_entity(&CreditCode::parse("91350100M000100Y43").unwrap());
    it.check_apart(|did| Group::from(did)).unwrap();
    for one in [&it.leader, &it.members[0].did] {
        let of = |did: &Did| {
            if did == one || *did == it.members[2].did { entity.clone() } else { Group::from(did) }
        };
        assert_eq!(it.check_apart(of).unwrap_err().code(), "psi.parties");
    }
}

/// A word is good for its session, its place, its key and its size, and from nobody else.
#[test]
fn words_are_their_members_own() {
    let it = proposal();
    let public = |byte: u8| key(byte).verifying_key();
    let good = word(&it, 1);
    good.verify(&it, 1, &public(2)).unwrap();
    assert_eq!(good.key_id().unwrap().as_deref(), Some("kid"));
    let other = |change: fn(&mut Proposal)| {
        let mut it = proposal();
        change(&mut it);
        it
    };
    let payload = Word::signed(&it, 1, &good.key, good.items);
    for (word, proposal, at, with) in [
        // Somebody else's signature, or place.
        (good.clone(), it.clone(), 1, 1),
        (good.clone(), it.clone(), 0, 2),
        (good.clone(), it.clone(), 3, 2),
        // A key or a size put in by whoever carries it.
        (Word { key: [7; 32], ..good.clone() }, it.clone(), 1, 2),
        (Word { items: 1, ..good.clone() }, it.clone(), 1, 2),
        // Another session, other participants, contracts, terms or sizes.
        (good.clone(), other(|it| it.id = [8; 32]), 1, 2),
        (good.clone(), other(|it| it.leader = did("did:web:x.example")), 1, 2),
        (good.clone(), other(|it| it.items += 1), 1, 2),
        (good.clone(), other(|it| it.key.equals = Equals::Refuse), 1, 2),
        (good.clone(), other(|it| it.members.swap(0, 2)), 1, 2),
        (good.clone(), other(|it| it.members[0].under = it.members[1].under), 1, 2),
        (good.clone(), other(|it| drop(it.members.pop())), 1, 2),
        // Another kind of statement of the same key.
        (
            Word { signature: jws::sign("kid", "JWT", &payload, &key(2)), ..good.clone() },
            it.clone(),
            1,
            2,
        ),
        (Word { signature: "a.b.c".to_owned(), ..good.clone() }, it.clone(), 1, 2),
        (Word { signature: "a".repeat(MATCH_WORD_BYTES + 1), ..good }, it, 1, 2),
    ] {
        let refused = word.verify(&proposal, at, &public(with)).unwrap_err();
        assert_eq!(refused.code(), "psi.member-key", "{word:?} {proposal:?} {at}");
    }
}

#[test]
fn leases_name_all_that_was_agreed() {
    let proposal = proposal();
    let words: Vec<Word> = (0..3).map(|at| word(&proposal, at)).collect();
    let it = Agreed { proposal, words };
    it.check().unwrap();
    let changed = |change: fn(&mut Agreed)| {
        let mut it = it.clone();
        change(&mut it);
        it
    };
    let mut digests = BTreeSet::from([it.digest().to_string(), it.proposal.digest().to_string()]);
    for other in [
        changed(|it| it.proposal.id = [1; 32]),
        changed(|it| it.proposal.items = 1),
        changed(|it| it.words[2].key = [8; 32]),
        changed(|it| it.words[2].items = 8),
        changed(|it| it.words.swap(0, 1)),
    ] {
        assert!(digests.insert(other.digest().to_string()), "{other:?}");
    }
    for (wrong, code) in [
        (changed(|it| drop(it.words.pop())), "psi.member-key"),
        (changed(|it| it.words[0].key = it.words[1].key), "psi.member-key"),
        (changed(|it| it.words[0].items = u64::MAX), "psi.size"),
        (changed(|it| it.proposal.members.truncate(1)), "psi.parties"),
    ] {
        assert_eq!(wrong.check().unwrap_err().code(), code);
    }
}

#[test]
fn contracts_say_the_word_and_the_strictest_counts() {
    let reveal = |all: &[Reveal]| Some(all.iter().copied().collect());
    let own = |key: &str| Key::parse(key);
    let common = Matching {
        key: own("part_no:text;first"),
        reveal: reveal(&[Reveal::Common]),
        ..Matching::default()
    };
    let key = Key::parse("1:text;first").unwrap();
    assert_eq!(numbered(common.key.as_ref().unwrap()), key);
    for (terms, code) in [
        (common.clone(), None),
        (Matching { key: own("nr:text;first"), ..common.clone() }, None),
        (Matching { reveal: reveal(&Reveal::ALL), ..common.clone() }, None),
        (Matching { reveal: None, ..common.clone() }, Some("psi.reveal")),
        (Matching { reveal: reveal(&[Reveal::Rows]), ..common.clone() }, Some("psi.reveal")),
        (Matching { to: Some(To::Both), ..common.clone() }, Some("psi.reveal")),
        (Matching { key: own("part_no:text;multiply"), ..common.clone() }, Some("psi.reveal")),
        (Matching { key: own("part_no:digits;first"), ..common.clone() }, Some("psi.columns")),
        (Matching { key: own("a:text,b:text;first"), ..common.clone() }, Some("psi.columns")),
        (Matching { key: None, ..common.clone() }, Some("psi.terms")),
    ] {
        let found = allowed(&terms, &key);
        assert_eq!(found.err().map(|it| it.code().to_owned()).as_deref(), code, "{terms:?}");
    }
    // Who reveals only what is common is in no matching of two.
    let two = super::super::Asked::Rows.allowed(&common, None, (crate::psi::Protocol::Fast, 1, 9));
    assert_eq!(two.unwrap_err().code(), "psi.reveal");
    let few = Matching { least: Some(10), ..common.clone() };
    let share = Matching { share: Some(50), ..common };
    let both = [&few, &share];
    for (matches, term) in
        [(9, Some("tidm:minMatches")), (10, None), (50, None), (51, Some("tidm:matchShare"))]
    {
        assert_eq!(withheld(both, matches, 100), term, "{matches}");
    }
}
