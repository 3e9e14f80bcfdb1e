//! Faults as gRPC statuses: the same texts as problem documents, and the same codes for programs.
//!
//! Never a text of another library's, and never one that a stranger may not read: both come from
//! [`crate::problem`].

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use tidm_space::fault::Fault;

use crate::lang::Lang;
use crate::problem::Problem;
use crate::store::writer::WorkError;

/// Trailer with the code of a problem document.
const CODE: &str = "tidm-code";
/// Trailer with the term that said no, percent-encoded.
const CAUSE: &str = "tidm-cause";
/// Statuses are sent in headers; a longer text is cut.
const MESSAGE_CHARS: usize = 1000;

/// The language that a call asks for.
pub(super) fn lang(metadata: &MetadataMap, fallback: Lang) -> Lang {
    let wanted = metadata.get("accept-language").and_then(|it| it.to_str().ok());
    Lang::negotiate(wanted, fallback)
}

/// What a caller is told.
pub(super) fn status(error: WorkError, lang: Lang) -> Status {
    let fault = match error {
        WorkError::Fault(fault) => fault,
        WorkError::Store(reason) => {
            tracing::error!(%reason, "the store failed while answering a Flight call");
            again()
        }
        WorkError::Stopping => again(),
    };
    if let Fault::ApiMisuse(what) = &fault {
        tracing::error!(what, "a fault of our own while answering a Flight call");
    } else {
        tracing::info!(code = fault.code(), %fault, "refused a Flight call");
    }
    metrics::counter!("tidm_flight_refused_total", "code" => fault.code()).increment(1);
    of(fault, lang)
}

fn again() -> Fault {
    let retry_after = std::time::Duration::from_secs(1);
    Fault::Unavailable { reason: "try again".to_owned(), retry_after }
}

fn of(fault: Fault, lang: Lang) -> Status {
    let code = code(&fault);
    let problem = Problem::from(fault);
    let mut text = problem.title(lang).to_owned();
    if let Some(detail) = problem.said(lang) {
        text = format!("{text}: {detail}");
    }
    let text: String =
        format!("{text}; {}", problem.next_step(lang)).chars().take(MESSAGE_CHARS).collect();
    let mut status = Status::new(code, text);
    let trailers = status.metadata_mut();
    if let Ok(value) = problem.code.parse() {
        trailers.insert(CODE, value);
    }
    let cause = problem.cause.map(|it| utf8_percent_encode(&it, NON_ALPHANUMERIC).to_string());
    if let Some(Ok(value)) = cause.map(|it| it.parse()) {
        trailers.insert(CAUSE, value);
    }
    status
}

/// The status of a fault: programs decide by it whether to try again.
fn code(fault: &Fault) -> Code {
    match (fault.code(), fault) {
        ("flight.token" | "flight.token-expired", _) => Code::Unauthenticated,
        ("flight.unknown", _) => Code::Unimplemented,
        // The same ticket again: it was one use, and that use is over or under way.
        ("lease.returned" | "lease.expired" | "lease.running" | "flight.ticket-expired", _) => {
            Code::FailedPrecondition
        }
        ("query.deadline", _) => Code::DeadlineExceeded,
        ("query.memory" | "query.too-many-rows" | "query.too-many-bytes" | "flight.busy", _) => {
            Code::ResourceExhausted
        }
        (_, Fault::Denied { .. }) => Code::PermissionDenied,
        (
            _,
            Fault::PeerMisbehaved { .. } | Fault::PeerIncompatible { .. } | Fault::Refused { .. },
        ) => Code::InvalidArgument,
        (_, Fault::NotFound { .. }) => Code::NotFound,
        (_, Fault::Conflict { .. }) => Code::Aborted,
        (_, Fault::Unavailable { .. }) => Code::Unavailable,
        (_, Fault::ApiMisuse(_)) => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_status_code_and_text() {
        for (fault, expected, word) in [
            (Fault::denied("flight.token", "authorization", "r"), Code::Unauthenticated, "token"),
            (
                Fault::denied("query.raw-rows", "tidm:aggregatesOnly", "r"),
                Code::PermissionDenied,
                "r",
            ),
            (Fault::denied("lease.returned", "lease", "r"), Code::FailedPrecondition, "r"),
            (Fault::denied("query.too-many-rows", "x", "r"), Code::ResourceExhausted, "r"),
            (Fault::misbehaved("flight.ticket", "r"), Code::InvalidArgument, "r"),
            (Fault::refused("query.malformed", "r"), Code::InvalidArgument, "r"),
            (
                Fault::incompatible("flight.unknown", "DoExchange"),
                Code::Unimplemented,
                "DoExchange",
            ),
            (Fault::NotFound { what: "contract" }, Code::NotFound, "Not found"),
            (Fault::ApiMisuse("secret"), Code::Internal, "failed"),
            (again(), Code::Unavailable, "try again"),
        ] {
            let name = fault.code();
            let said = of(fault, Lang::En);
            assert_eq!(said.code(), expected, "{name}");
            assert!(said.message().contains(word) && !said.message().contains("secret"), "{said}");
            assert_eq!(said.metadata().get(CODE).unwrap(), name);
        }
    }

    #[test]
    fn both_languages_and_the_term_arrive() {
        let fault = || Fault::denied("query.small-group", "tidm:minGroup", "细节".repeat(2000));
        let (zh, en) = (of(fault(), Lang::Zh), of(fault(), Lang::En));
        assert_ne!(zh.message(), en.message());
        assert_eq!(zh.message().chars().count(), MESSAGE_CHARS);
        assert_eq!(zh.metadata().get(CAUSE).unwrap(), "tidm%3AminGroup");
        let mut metadata = MetadataMap::new();
        assert_eq!(lang(&metadata, Lang::En), Lang::En);
        metadata.insert("accept-language", "zh-CN".parse().unwrap());
        assert_eq!(lang(&metadata, Lang::En), Lang::Zh);
    }
}
