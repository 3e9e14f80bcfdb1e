//! What the operator of a split key says to have done, beside the two parties' accounts.
//!
//! Never more than the operator's word, and never a finding where its facts could not be had: that is said, too.

use std::fmt::Write as _;

use crate::evidence::fact::{Fact, ShareAct, What};
use crate::id::Id;
use crate::identity::did::Did;
use crate::lang::Lang;
use crate::time::Time;

use super::text::cell;
use super::{Code, Finding, Report, Severity};

/// The operator's own account of one contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub operator: Did,
    /// Whether its facts could be had.
    pub heard: bool,
    pub acts: Vec<Act>,
}

/// One fact of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    pub at: Time,
    pub act: ShareAct,
    pub lease: Option<Id>,
    pub detail: String,
}

impl Account {
    /// Reads the operator's facts about the contract, in the order of their times; facts of others are left out.
    pub fn of(operator: &Did, contract: &Id, facts: Option<&[Fact]>) -> Self {
        let own = |it: &&Fact| it.by == *operator && it.links.contract.as_ref() == Some(contract);
        let mut acts: Vec<Act> =
            facts.unwrap_or_default().iter().filter(own).filter_map(act).collect();
        acts.sort_by(|a, b| (a.at, &a.lease).cmp(&(b.at, &b.lease)));
        Self { operator: operator.clone(), heard: facts.is_some(), acts }
    }
}

fn act(it: &Fact) -> Option<Act> {
    let What::Share { act, detail, .. } = &it.what else { return None };
    Some(Act { at: it.at, act: *act, lease: it.links.lease.clone(), detail: detail.clone() })
}

impl Report {
    /// The same with what the operator says. A release for a lease that the provider's facts lack contradicts.
    #[must_use]
    pub fn with_operator(mut self, account: Account) -> Self {
        let complete = self.absent != Some(crate::negotiation::message::Role::Provider);
        for it in account.acts.iter().filter(|it| complete && it.act == ShareAct::Released) {
            let known = it.lease.as_ref().is_some_and(|id| self.provider.leases.contains_key(id));
            if !known {
                self.findings.push(Finding {
                    severity: Severity::Contradiction,
                    code: Code::ShareWithoutLease,
                    about: it.lease.clone(),
                    detail: vec![account.operator.to_string(), it.at.to_string()],
                });
            }
        }
        self.findings.sort();
        self.operator = Some(account);
        self
    }
}

pub(super) fn section(out: &mut String, it: &Report, lang: Lang) -> std::fmt::Result {
    let Some(account) = &it.operator else { return Ok(()) };
    let p = |zh, en| lang.pick(zh, en);
    writeln!(
        out,
        "\n## {} {}\n",
        p("运营方的密钥份额", "Shares of the key at the operator"),
        cell(account.operator.as_str())
    )?;
    if !account.heard {
        writeln!(
            out,
            "{}",
            p(
                "未能取得运营方的存证条目，或尚未向其请求份额。",
                "The operator's facts could not be had, or it was never asked for a share."
            )
        )?;
    } else if account.acts.is_empty() {
        writeln!(out, "{}", p("尚无放行或拒绝。", "Nothing was released or refused yet."))?;
    }
    for act in &account.acts {
        let said = match act.act {
            ShareAct::Released => p("放行其份额", "released its share"),
            ShareAct::Refused => p("拒绝放行其份额", "refused its share"),
            ShareAct::Held => p("暂停放行", "put a hold on it"),
            ShareAct::Freed => p("恢复放行", "took the hold away"),
        };
        let lease = act.lease.as_ref().map_or("-", Id::as_str);
        writeln!(out, "- {}: {said} ({}) {}", act.at, cell(lease), cell(&act.detail))?;
    }
    Ok(())
}
