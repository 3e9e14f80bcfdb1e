//! A reconciliation report as JSON, to be signed: RFC 8785 bytes under a JWS of `typ` [`TYP`].
//!
//! Never with a time or an order of its own: equal reports are equal bytes.

use serde_json::{Map, Value, json};

use crate::evidence::audit::share;
use crate::evidence::audit::{Account, ClosedView, Finding, LeaseView, Report, finding};
use crate::lang::Lang;

use super::envelope;

/// Keeps a report from being taken for another signed thing.
pub const TYP: &str = "tidm-audit+jws";

/// The report's document.
pub fn to_json(it: &Report) -> Value {
    let mut doc = envelope("AuditReport", None);
    let subject = &it.subject;
    for (name, value) in [
        ("contract", json!(subject.contract.as_str())),
        ("product", json!(subject.product.as_str())),
        ("provider", json!(subject.provider.as_str())),
        ("consumer", json!(subject.consumer.as_str())),
        ("signed", json!(subject.signed.to_string())),
        ("asOf", json!(it.at.to_string())),
        ("verdict", json!(it.verdict().word())),
        // As text: counts beyond 2^53 survive every JSON reader.
        ("uses", json!(it.uses().to_string())),
        ("limit", json!(subject.limit.map(|it| it.to_string()))),
        ("remaining", json!(it.remaining().map(|it| it.to_string()))),
        ("absent", json!(it.absent.map(crate::negotiation::message::Role::word))),
        ("providerAccount", account(&it.provider)),
        ("consumerAccount", account(&it.consumer)),
        ("operatorAccount", operator(it.operator.as_ref())),
        ("findings", it.findings.iter().map(one).collect()),
    ] {
        doc.insert(name.to_owned(), value);
    }
    Value::Object(doc)
}

fn operator(it: Option<&share::Account>) -> Value {
    json!(it.map(|it| json!({
        "operator": it.operator.as_str(),
        "heard": it.heard,
        "acts": it.acts.iter().map(|it| json!({
            "at": it.at.to_string(), "act": it.act.word(), "lease": it.lease.as_ref().map(crate::id::Id::as_str), "detail": it.detail,
        })).collect::<Vec<_>>(),
    })))
}

fn one(it: &Finding) -> Value {
    json!({
        "severity": it.severity.word(),
        "code": it.code.word(),
        "about": it.about.as_ref().map(crate::id::Id::as_str),
        "detail": it.detail,
        "text": { "zh": finding(it, Lang::Zh), "en": finding(it, Lang::En) },
    })
}

fn account(it: &Account) -> Value {
    let mut doc = Map::new();
    doc.insert("facts".to_owned(), json!(it.facts.to_string()));
    doc.insert("factsDigest".to_owned(), json!(it.digest.map(|it| it.to_string())));
    doc.insert(
        "concluded".to_owned(),
        json!(it.concluded.map(|it| json!({
            "at": it.at.to_string(),
            "signed": it.signed.to_string(),
            "providerSigned": it.provider_signed,
            "consumerSigned": it.consumer_signed,
        }))),
    );
    doc.insert(
        "negotiation".to_owned(),
        json!(it.negotiation.map(crate::negotiation::state::Name::token)),
    );
    let transfers: Map<String, Value> =
        it.transfers.iter().map(|(id, state)| (id.to_string(), json!(state.token()))).collect();
    doc.insert("transfers".to_owned(), Value::Object(transfers));
    let deliveries = it.deliveries.iter().map(|it| {
        json!({ "at": it.at.to_string(), "bytes": it.bytes.to_string(), "content": it.content.to_string() })
    });
    doc.insert("deliveries".to_owned(), deliveries.collect());
    let leases: Map<String, Value> =
        it.leases.iter().map(|(id, view)| (id.to_string(), lease(view))).collect();
    doc.insert("leases".to_owned(), Value::Object(leases));
    let refusals = it.refusals.iter().map(|it| {
        json!({ "at": it.at.to_string(), "kind": it.kind.name(), "code": it.code, "rule": it.rule, "more": it.more.to_string() })
    });
    doc.insert("refusals".to_owned(), refusals.collect());
    doc.insert(
        "ended".to_owned(),
        json!(it.ended.as_ref().map(|it| json!({
            "at": it.at.to_string(), "why": it.why.word(), "by": it.by.word(), "reason": it.reason,
        }))),
    );
    let derived =
        it.derived.iter().map(|(at, id)| json!({ "at": at.to_string(), "product": id.as_str() }));
    doc.insert("derived".to_owned(), derived.collect());
    doc.insert("keyDestroyed".to_owned(), json!(it.key_destroyed.map(|it| it.to_string())));
    doc.insert(
        "deletion".to_owned(),
        json!(it.deletion.as_ref().map(|it| json!({
            "at": it.at.to_string(),
            "files": it.files.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "receipt": it.receipt.to_string(),
        }))),
    );
    Value::Object(doc)
}

fn lease(it: &LeaseView) -> Value {
    json!({
        "opened": it.opened.as_ref().map(|it| json!({
            "at": it.at.to_string(),
            "kind": it.kind.name(),
            "until": it.until.to_string(),
            "use": it.use_number.map(|it| it.to_string()),
            "purpose": it.purpose,
            "query": it.query.map(|it| it.to_string()),
        })),
        "missed": it.missed.map(|(at, _)| at.to_string()),
        "closed": it.closed.as_ref().map(closed),
    })
}

fn closed(it: &ClosedView) -> Value {
    json!({
        "at": it.at.to_string(),
        "how": it.how.word(),
        "rows": it.rows.to_string(),
        "bytes": it.bytes.to_string(),
        "result": it.result.map(|it| it.to_string()),
        "receipt": it.receipt.map(|it| it.to_string()),
    })
}
