//! What a caller is told when something fails: RFC 9457 problem documents, in Chinese or English.
//!
//! Threat model: the reader may be a stranger. A problem never holds a secret, a path of this machine,
//! another party's data or an internal error's text: what is internal is logged under the same code and
//! only the code leaves. Who is at fault is said plainly, since the other side has to act on it.
//!
//! Never a text that exists in one language only: every code has a row in [`catalogue`], and a test
//! compares both columns.

pub mod catalogue;
mod credentials;
mod deliveries;
mod derived;
mod flight;
mod matchings;
mod offers;
mod people;
mod queries;
mod split;
mod standing;
mod tables;
mod tc609;
mod watermarks;

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use tidm_space::fault::Fault;

use crate::lang::Lang;

/// Media type of RFC 9457.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Whose turn it is to change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Who called us.
    Caller,
    /// The node on the other side of a protocol.
    Peer,
    /// This node: its operator has to look.
    Node,
    /// A rule that a contract or the space set; nobody made a mistake.
    Rule,
}

impl Party {
    fn key(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Peer => "peer",
            Self::Node => "node",
            Self::Rule => "rule",
        }
    }
}

/// One failure as its reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: u16,
    /// Stable and short, for programs: `negotiation.after-end`.
    pub code: &'static str,
    pub party: Party,
    /// What exactly is wrong this time, in the words of whoever found it. Already fit for strangers.
    pub detail: Option<String>,
    /// The same in Chinese, where whoever found it said it so.
    pub detail_zh: Option<Box<str>>,
    /// The term, field or earlier event that led here.
    pub cause: Option<String>,
    pub retry_after: Option<Duration>,
    /// Row of the catalogue that speaks when `code` has none of its own.
    family: &'static str,
}

impl Problem {
    /// A problem with a catalogue row of its own; status and party come from that row.
    pub fn of(code: &'static str) -> Self {
        let entry = catalogue::find(code, "internal");
        Self {
            status: entry.status,
            code,
            party: entry.party,
            detail: None,
            detail_zh: None,
            cause: None,
            retry_after: None,
            family: "internal",
        }
    }

    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = Some(text.into());
        self
    }

    #[must_use]
    pub fn cause(mut self, text: impl Into<String>) -> Self {
        self.cause = Some(text.into());
        self
    }

    /// Short sentence: what kind of failure this is.
    pub fn title(&self, lang: Lang) -> &'static str {
        let entry = catalogue::find(self.code, self.family);
        lang.pick(entry.title_zh, entry.title_en)
    }

    /// What the reader can do now.
    pub fn next_step(&self, lang: Lang) -> &'static str {
        let entry = catalogue::find(self.code, self.family);
        lang.pick(entry.next_zh, entry.next_en)
    }

    /// What is wrong this time, in the reader's language where it was said in it.
    pub fn said(&self, lang: Lang) -> Option<&str> {
        let zh = self.detail_zh.as_deref().filter(|_| lang == Lang::Zh);
        zh.or(self.detail.as_deref())
    }

    /// The members of RFC 9457 §3.1 and ours (`code`, `party`, `cause`, `nextStep`).
    pub fn document(&self, lang: Lang) -> Value {
        let mut it = Map::new();
        it.insert("type".into(), json!(format!("urn:tidm:problem:{}", self.code)));
        it.insert("title".into(), json!(self.title(lang)));
        it.insert("status".into(), json!(self.status));
        it.insert("code".into(), json!(self.code));
        it.insert("party".into(), json!(self.party.key()));
        it.insert("nextStep".into(), json!(self.next_step(lang)));
        if let Some(detail) = self.said(lang) {
            it.insert("detail".into(), json!(detail));
        }
        if let Some(cause) = &self.cause {
            it.insert("cause".into(), json!(cause));
        }
        Value::Object(it)
    }

    /// The HTTP answer: status, body, language and, where one may try again, when.
    pub fn response(&self, lang: Lang) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = (status, self.document(lang).to_string()).into_response();
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(lang.tag()));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            // Rounded up: "0" would invite an immediate storm.
            headers
                .insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)));
        }
        answer
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let code = fault.code();
        let detail_zh = match &fault {
            Fault::Denied { zh, .. } => zh.as_deref().map(Box::from),
            Fault::PeerMisbehaved { .. }
            | Fault::PeerIncompatible { .. }
            | Fault::NotFound { .. }
            | Fault::Conflict { .. }
            | Fault::Refused { .. }
            | Fault::Unavailable { .. }
            | Fault::ApiMisuse(_) => None,
        };
        let (status, party, family, detail, cause, retry_after) = match fault {
            Fault::PeerMisbehaved { reason, .. } => {
                (400, Party::Peer, "peer.misbehaved", Some(reason), None, None)
            }
            Fault::PeerIncompatible { reason, .. } => {
                (400, Party::Peer, "peer.incompatible", Some(reason), None, None)
            }
            Fault::Denied { rule, reason, .. } => {
                (403, Party::Rule, "denied", Some(reason), Some(rule), None)
            }
            Fault::NotFound { what } => {
                (404, Party::Caller, "not-found", None, Some(what.to_owned()), None)
            }
            Fault::Conflict { reason, .. } => {
                (409, Party::Caller, "conflict", Some(reason), None, None)
            }
            Fault::Refused { reason, .. } => {
                (422, Party::Caller, "refused", Some(reason), None, None)
            }
            Fault::Unavailable { reason, retry_after } => {
                (503, Party::Node, "unavailable", Some(reason), None, Some(retry_after))
            }
            // Our own mistake: its text is for our log alone.
            Fault::ApiMisuse(_) => (500, Party::Node, "internal", None, None, None),
        };
        Self { status, code, party, detail, detail_zh, cause, retry_after, family }
    }
}

#[cfg(test)]
mod tests;
