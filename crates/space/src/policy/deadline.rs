//! By when copies have to be gone, and what that means for uses: none reaches beyond it.
//!
//! Threat: a date of deletion that is signed, shown and kept by nobody. So it is the contract's own end
//! ([`crate::contract::Contract::ends`]): what deletes, refuses, signs and misses is what does so at every end. Never asks a
//! clock; which uses there were is told by the caller.

use crate::fault::Fault;
use crate::policy::terms::{Delete, Terms};
use crate::time::Time;

impl Delete {
    /// By when, given when the first use began. A span counts from there, as `elapsedTime` does everywhere here: from the first
    /// lease, and of plain bytes, which are used without one, from the start of their first delivery. Without a first use it
    /// has not begun.
    pub fn at(self, first_use: Option<Time>) -> Option<Time> {
        match self {
            Self::AfterUse => None,
            Self::By(at) => Some(at),
            Self::Within(span) => first_use.map(|it| span.after(it)),
        }
    }
}

impl Terms {
    /// By when the copies have to be gone.
    pub fn gone_by(&self, first_use: Option<Time>) -> Option<Time> {
        self.delete.and_then(|it| it.at(first_use))
    }

    /// The end by the clock that binds every permission: of their use, or of the copies.
    pub fn until(&self, first_use: Option<Time>) -> Option<Time> {
        [self.summary.until, self.gone_by(first_use)].into_iter().flatten().min()
    }

    /// Whether data may still be used, or leave.
    ///
    /// # Errors
    /// [`Fault::Denied`] `policy.denied` from the moment on at which the copies have to be gone.
    pub fn check_not_gone(&self, first_use: Option<Time>, now: Time) -> Result<(), Fault> {
        let Some(at) = self.gone_by(first_use).filter(|it| *it <= now) else { return Ok(()) };
        Err(Fault::denied(
            "policy.denied",
            "delete",
            format!("all copies had to be deleted by {at}"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::span::Span;
    use crate::wire::samples::at;

    #[test]
    fn a_span_counts_from_the_first_use_and_a_date_from_nothing() {
        let hour = Span::parse("PT1H").unwrap();
        for (delete, first_use, due) in [
            (Delete::AfterUse, Some(at(0)), None),
            (Delete::By(at(9)), None, Some(at(9))),
            (Delete::By(at(9)), Some(at(20)), Some(at(9))),
            (Delete::Within(hour), None, None),
            (Delete::Within(hour), Some(at(5)), Some(at(3605))),
        ] {
            assert_eq!(delete.at(first_use), due, "{delete:?} {first_use:?}");
        }
    }
}
