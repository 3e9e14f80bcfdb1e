//! Targets in `tidm-sandbox`: statements of askers, and what a worker that was taken over may say to its host.

use std::sync::LazyLock;

use tidm_sandbox::noise::shape;
use tidm_sandbox::plan::canonical_hash;
use tidm_sandbox::refusal::Refusal;
use tidm_sandbox::{frame, job, trial};

use crate::{Parser, choose, contained};

/// A statement is refused by a name of ours, or becomes a plan whose rows stand for groups; frames are bounded.
pub(crate) fn statements(data: &[u8]) {
    const PARSERS: [Parser; 5] = [statement, spelling, frames, hello, noisy];
    choose(&PARSERS, data);
}

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().build().unwrap());

/// The engine may panic on some statements; in the product that ends a worker, which the host reports as failed.
fn statement(data: &[u8]) {
    let Ok(sql) = std::str::from_utf8(data) else { return };
    let mut shown = None;
    contained(|| {
        let run = || RUNTIME.block_on(trial::answer(sql));
        shown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).ok();
    });
    if let Some(Ok(cells)) = shown {
        for hidden in trial::HIDDEN {
            assert!(!cells.iter().any(|cell| cell.contains(hidden)), "{sql} shows {hidden}");
        }
    }
}

/// An answer with noise is one row, whatever is asked; and it is refused before or after it is planned.
fn noisy(data: &[u8]) {
    let Ok(sql) = std::str::from_utf8(data) else { return };
    let mut rows = None;
    contained(|| {
        let run = || RUNTIME.block_on(trial::noisy(sql));
        rows = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).ok();
    });
    if let Some(Ok(rows)) = rows {
        assert_eq!(rows, 1, "{sql}");
        assert!(shape::preflight(sql).is_ok(), "{sql}");
    }
}

/// Hashing is total, and does not depend on blanks around the statement.
fn spelling(data: &[u8]) {
    let Ok(sql) = std::str::from_utf8(data) else { return };
    // After `#` and `@` the tokenizer takes a blank into the name; neither is in a statement that a worker accepts.
    if let Ok(hash) = canonical_hash(sql)
        && !sql.contains(['#', '@'])
    {
        assert_eq!(canonical_hash(&format!("  {sql}\n")), Ok(hash));
    }
}

fn frames(data: &[u8]) {
    if let Some((header, rest)) = data.split_first_chunk::<{ frame::HEADER_BYTES }>()
        && let Ok((kind, length)) = frame::parse_header(*header, 1 << 20)
    {
        assert_eq!(frame::header(kind, length), Ok(*header));
        if let Ok((_, ipc)) = frame::parse_result(rest.to_vec()) {
            assert!(rest.ends_with(&ipc));
        }
    }
}

fn hello(data: &[u8]) {
    if let Ok(hello) = serde_json::from_slice::<job::Hello>(data) {
        let again = serde_json::to_vec(&hello).unwrap();
        assert_eq!(serde_json::from_slice::<job::Hello>(&again).unwrap(), hello);
    }
    drop(serde_json::from_slice::<Refusal>(data));
}
