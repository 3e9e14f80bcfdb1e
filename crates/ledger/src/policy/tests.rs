use proptest::prelude::*;

use super::*;
use crate::note::NoteSigner;

fn witness(seed: u8) -> VerifierKey {
    NoteSigner::cosigner(&format!("w{seed}.example"), &[seed; 32]).unwrap().verifier().clone()
}

fn log(seed: u8) -> VerifierKey {
    NoteSigner::ed25519("log.example", &[seed; 32]).unwrap().verifier().clone()
}

/// Replaces `$1` … `$9` by witness keys and `$L` by the log's.
fn fill(text: &str) -> String {
    let text = text.replace("$L", &log(100).to_string());
    (1..10).fold(text, |text, it| text.replace(&format!("${it}"), &witness(it).to_string()))
}

fn parse(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(fill(text).as_bytes())
}

fn check(text: &str, signers: &[u8]) -> bool {
    let keys: Vec<VerifierKey> = signers.iter().map(|&it| witness(it)).collect();
    satisfied(&parse(text).unwrap(), &keys)
}

const EXAMPLE: &str = "\
log $L https://log.example/
# two organisations
witness X1 $1
witness X2 $2 https://x2.example/
witness X3 $3
group X-witnesses 2 X1 X2 X3

\twitness  Y1\t$4
witness Y2 $5
witness Y3 $6
group Y-witnesses any Y1 Y2 Y3
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
";

#[test]
fn the_example_of_the_specification() {
    let policy = parse(EXAMPLE).unwrap();
    assert_eq!(policy.logs().len(), 1);
    assert_eq!(policy.log_keys("log.example").collect::<Vec<_>>(), [&log(100)]);
    assert_eq!(policy.log_keys("other").count(), 0);
    assert_eq!(policy.witnesses().len(), 6);
    assert_eq!(policy.witnesses()[1].url.as_deref(), Some("https://x2.example/"));
    let table: &[(&[u8], bool)] = &[
        (&[], false),
        (&[1, 2, 4], true),
        (&[2, 3, 6], true),
        (&[1, 2, 3, 4, 5, 6], true),
        (&[1, 2, 3], false),
        (&[4, 5, 6], false),
        (&[1, 4, 5, 6], false),
        // The same witness twice counts once; strangers do not count.
        (&[1, 1, 4], false),
        (&[7, 8, 9], false),
    ];
    for (signers, expected) in table {
        assert_eq!(check(EXAMPLE, signers), *expected, "{signers:?}");
    }
}

#[test]
fn small_policies() {
    assert!(check("quorum none\n", &[]));
    assert!(check("witness a $1\nquorum none", &[]));
    assert!(!parse("quorum none").unwrap().needs_witnesses());
    assert!(check("witness a $1\nquorum a\n", &[1]));
    assert!(!check("witness a $1\nquorum a\n", &[2]));
    assert!(check("witness a $1\nwitness b $2\ngroup g 1 a b\nquorum g\n", &[2]));
    assert!(!check("witness a $1\nwitness b $2\ngroup g all a b\nquorum g\n", &[2]));
    // A key of the same bytes and another name is not the policy's key.
    let renamed = VerifierKey::new("other", KeyKind::Cosignature, witness(1).public()).unwrap();
    assert!(!satisfied(&parse("witness a $1\nquorum a\n").unwrap(), [&renamed]));
}

#[test]
fn nasty_policies_are_refused() {
    use PolicyFault::*;
    let name = |it: &str| Name(it.as_bytes().to_vec());
    let as_log = VerifierKey::new("w1.example", KeyKind::Ed25519, witness(1).public()).unwrap();
    let renamed = VerifierKey::new("other", KeyKind::Cosignature, witness(1).public()).unwrap();
    let table = [
        ("", 2, Quorum),
        ("# quorum none\n", 3, Quorum),
        ("quorum none\nquorum none\n", 2, Quorum),
        ("quorum a\nwitness a $1\n", 1, Unknown(name("a"))),
        ("quorum\n", 1, Syntax),
        ("quorum a b\n", 1, Syntax),
        ("Quorum none\n", 1, Syntax),
        ("quorum none # comment\n", 1, Syntax),
        ("mirror a $1\nquorum none\n", 1, Syntax),
        ("log\nquorum none\n", 1, Syntax),
        ("log $L url more\nquorum none\n", 1, Syntax),
        ("witness a\nquorum none\n", 1, Syntax),
        ("group g any\nquorum none\n", 1, Syntax),
        ("quorum none\r\n", 1, Control),
        ("quorum none\x7f\n", 1, Control),
        ("quorum\x0bnone\n", 1, Control),
        ("quorum none\0\n", 1, Control),
        ("quorum\u{a0}none\n", 1, Syntax),
        ("witness none $1\nquorum none\n", 1, DuplicateName),
        ("witness a $1\nwitness a $2\nquorum a\n", 2, DuplicateName),
        ("witness a $1\ngroup a any a\nquorum a\n", 2, DuplicateName),
        ("witness a $1\nwitness b $1\nquorum a\n", 2, DuplicateKey),
        (&format!("witness a $1\nwitness b {renamed}\nquorum a\n"), 2, DuplicateKey),
        (&format!("witness a $1\nlog {as_log}\nquorum a\n"), 2, DuplicateKey),
        ("log $L\nlog $L\nquorum none\n", 2, DuplicateKey),
        ("witness a $L\nquorum a\n", 1, NotAWitnessKey),
        ("witness a key\nquorum a\n", 1, Key(NoteError::BadKey("expected <name>+<id>+<key>"))),
        ("witness a $1\ngroup g 0 a\nquorum g\n", 2, Threshold),
        ("witness a $1\ngroup g 2 a\nquorum g\n", 2, Threshold),
        ("witness a $1\ngroup g 01 a\nquorum g\n", 2, Threshold),
        ("witness a $1\ngroup g +1 a\nquorum g\n", 2, Threshold),
        ("witness a $1\ngroup g most a\nquorum g\n", 2, Threshold),
        ("witness a $1\ngroup g any a a\nquorum g\n", 2, AlreadyMember(name("a"))),
        ("witness a $1\ngroup g any a\ngroup h any a\nquorum g\n", 3, AlreadyMember(name("a"))),
        ("group g any g\nquorum g\n", 1, Unknown(name("g"))),
        ("group g any none\nquorum g\n", 1, Unknown(name("none"))),
    ];
    for (text, line, what) in table {
        assert_eq!(parse(text), Err(PolicyError { line, what }), "{text:?}");
    }
    let bad_url = [fill("log $L ").as_bytes(), b"\xff\nquorum none\n"].concat();
    assert_eq!(Policy::parse(&bad_url), Err(PolicyError { line: 1, what: Url }));
    assert!(Policy::parse(&vec![b'\n'; MAX_POLICY_BYTES + 1]).is_err());
}

#[test]
fn names_are_octets() {
    let text =
        [fill("witness \u{212a} $1\nwitness K $2\n").as_bytes(), b"# \xff\nquorum \xe2\x84\xaa"]
            .concat();
    let policy = Policy::parse(&text).unwrap();
    assert_eq!(policy.witnesses()[0].name.to_string(), "\u{212a}");
    assert_eq!(policy.witnesses()[0].name.as_bytes(), b"\xe2\x84\xaa");
    assert!(satisfied(&policy, [&witness(1)]));
    assert!(!satisfied(&policy, [&witness(2)]));
}

#[test]
fn thirty_two_of_each_are_possible() {
    let mut text = String::new();
    for it in 0..32_u8 {
        let key = NoteSigner::cosigner("w", &[it + 1; 32]).unwrap();
        let log = NoteSigner::ed25519("l", &[it + 101; 32]).unwrap();
        let before = it.checked_sub(1).map_or(String::new(), |it| format!(" g{it}"));
        text += &format!(
            "log {}\nwitness w{it} {}\ngroup g{it} all w{it}{before}\n",
            log.verifier(),
            key.verifier()
        );
    }
    let policy = Policy::parse((text + "quorum g31\n").as_bytes()).unwrap();
    assert!(satisfied(&policy, policy.witness_keys()));
    assert!(!satisfied(&policy, policy.witness_keys().skip(1)));
}

proptest! {
    #[test]
    fn k_of_n_is_counting(k in 1usize..=6, mask in 0u8..64) {
        let text = format!(
            "{}group g {k} w1 w2 w3 w4 w5 w6\nquorum g\n",
            (1..=6).map(|it| format!("witness w{it} ${it}\n")).collect::<String>(),
        );
        let signers: Vec<u8> = (1..=6).filter(|it| mask & (1 << (it - 1)) != 0).collect();
        prop_assert_eq!(check(&text, &signers), signers.len() >= k);
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes: Vec<u8>, text in "((log|witness|group|quorum|#|a|b|any|none)[ \t\n]){0,20}") {
        drop(Policy::parse(&bytes));
        drop(Policy::parse(text.as_bytes()));
    }
}
