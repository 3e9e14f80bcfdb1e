use std::collections::BTreeSet;

use super::*;

fn chinese(text: &str) -> bool {
    text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
}

#[test]
fn every_code_speaks_both_languages() {
    let mut seen = BTreeSet::new();
    for it in catalogue::ENTRIES.iter().chain(offers::ENTRIES) {
        assert!(seen.insert(it.code), "{} twice", it.code);
        assert!((400..600).contains(&it.status), "{}", it.code);
        for (zh, en) in [(it.title_zh, it.title_en), (it.next_zh, it.next_en)] {
            assert!(chinese(zh) && !zh.is_empty(), "{}: {zh}", it.code);
            assert!(!chinese(en) && !en.is_empty(), "{}: {en}", it.code);
        }
    }
}

#[test]
fn each_fault_has_its_status_and_party() {
    let wait = Duration::from_secs(2);
    for (fault, status, code, party, title_en) in [
        (
            Fault::misbehaved("negotiation.after-end", "r"),
            400,
            "negotiation.after-end",
            "peer",
            "The message breaks the protocol",
        ),
        (
            Fault::incompatible("policy.term", "r"),
            400,
            "policy.term",
            "peer",
            "This node does not support what was asked",
        ),
        (
            Fault::denied("lease.count", "count ≤ 3", "r"),
            403,
            "lease.count",
            "rule",
            "A rule does not allow this",
        ),
        (Fault::NotFound { what: "lease" }, 404, "not-found", "caller", "Not found"),
        (
            Fault::conflict("store.moved", "r"),
            409,
            "store.moved",
            "caller",
            "The state has changed meanwhile",
        ),
        (
            Fault::refused("product.draft", "r"),
            422,
            "product.draft",
            "caller",
            "This cannot be done now",
        ),
        (
            Fault::Unavailable { reason: "r".into(), retry_after: wait },
            503,
            "unavailable",
            "node",
            "Not available now",
        ),
        (Fault::ApiMisuse("secret detail"), 500, "internal", "node", "This node failed"),
    ] {
        let it = Problem::from(fault);
        let document = it.document(Lang::En);
        assert_eq!(it.status, status);
        assert_eq!(document["code"], code);
        assert_eq!(document["party"], party);
        assert_eq!(document["title"], title_en);
        assert_eq!(document["status"], status);
        assert!(!document.to_string().contains("secret detail"));
        assert!(chinese(it.title(Lang::Zh)));
    }
}

#[test]
fn the_answer_names_type_language_and_wait() {
    let it = Problem::from(Fault::Unavailable {
        reason: "r".into(),
        retry_after: Duration::from_millis(1500),
    });
    let answer = it.response(Lang::Zh);
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["content-type"], MEDIA_TYPE);
    assert_eq!(answer.headers()["content-language"], "zh-CN");
    assert_eq!(answer.headers()["retry-after"], "2");
}

#[test]
fn a_row_of_its_own_decides_status() {
    let it = Problem::of("key.destroyed").cause("contract 7").detail("gone");
    let document = it.document(Lang::En);
    assert_eq!((it.status, document["cause"].as_str()), (410, Some("contract 7")));
    assert_eq!(Problem::of("no such code").status, 500);
}
