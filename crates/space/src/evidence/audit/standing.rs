//! Suspensions and resumptions, laid side by side, duties that were not signed for, and products made under the contract.
//!
//! Never a contradiction because of a message that is still under way: a consumer may not have heard of the last change.

use std::fmt::Write as _;

use crate::lang::Lang;
use crate::limits::CLOCK_SKEW;
use crate::time::Time;

use super::check::Work;
use super::{Account, Code, Severity};

impl Work<'_> {
    /// No use begins at the gate while it is suspended, and the consumer knows of no change that the provider did not make.
    pub(super) fn standing(&mut self) {
        let (provider, consumer) = (self.provider, self.consumer);
        for (id, lease) in &provider.leases {
            if let Some(open) = &lease.opened
                && let Some(since) = suspended_at(provider, open.at)
            {
                let detail = [since.to_string(), open.at.to_string()];
                self.found(Severity::Contradiction, Code::UseWhileSuspended, Some(id), detail);
            }
        }
        if self.both {
            for (change, (at, reason)) in &consumer.standing {
                let same = provider.standing.get(change).is_some_and(|it| it.1 == *reason);
                if !same {
                    let detail = [change.to_string(), at.to_string()];
                    self.found(Severity::Contradiction, Code::StandingDiffers, None, detail);
                }
            }
        }
        for (at, duty) in &provider.missed {
            let detail = [duty.clone(), at.to_string()];
            self.found(Severity::Missing, Code::DutyMissed, None, detail);
        }
    }
}

/// Since when it was suspended at that time, both by the same clock.
fn suspended_at(it: &Account, at: Time) -> Option<Time> {
    let before = it.standing.values().filter(|(since, _)| *since < at);
    let (since, reason) = before.max_by_key(|(since, _)| *since)?;
    // Times are drawn before what they are of becomes durable: two things of one moment are in no order.
    let long = reason.is_some() && at.since(*since) > CLOCK_SKEW;
    long.then_some(*since)
}

/// What an account says of suspensions and duties, one line each.
pub(super) fn lines(it: &Account, who: &str, lang: Lang, out: &mut String) -> std::fmt::Result {
    for (at, reason) in it.standing.values() {
        match reason {
            Some(why) => {
                let word = lang.pick("记录合约中止", "recorded a suspension of the contract");
                writeln!(out, "- {at}: {who} {word}: {}", super::text::cell(why))?;
            }
            None => {
                let word = lang.pick("记录合约恢复", "recorded that the contract was resumed");
                writeln!(out, "- {at}: {who} {word}")?;
            }
        }
    }
    for (at, duty) in &it.missed {
        let word = lang.pick("未按期收到义务回执", "got no receipt for a duty in time");
        writeln!(out, "- {at}: {who} {word}: {}", super::text::cell(duty))?;
    }
    for (at, product) in &it.derived {
        let word =
            lang.pick("发布了源自本合约的产品", "published a product made under the contract");
        writeln!(out, "- {at}: {who} {word}: {}", super::text::cell(product.as_str()))?;
    }
    Ok(())
}
