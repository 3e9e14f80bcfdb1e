//! Permissions and prohibitions that meet (ODRL §2.10).
//!
//! Never decides which of them is meant: it says what the policy's own strategy makes of them.

use crate::lang::Lang;
use crate::policy::apart::{Meeting, meeting};
use crate::policy::check::{Remark, Ruled, Severity};
use crate::policy::compile::Side;
use crate::policy::model::{Action, Conflict, Policy};
use crate::policy::terms::{Clause, Test};

pub(super) fn remarks(policy: &Policy, rules: &[Ruled<'_>], out: &mut Vec<Remark>) {
    let side = |side: Side| {
        rules.iter().filter(move |it| it.side == side).filter_map(|it| it.clause.as_ref())
    };
    for ban in side(Side::Ban) {
        let mut met = false;
        for grant in side(Side::Grant) {
            let how = meeting(grant, ban);
            if how != Meeting::Never {
                met = true;
                out.push(told(policy.conflict, how == Meeting::Always, ban, grant));
            }
        }
        // What is not permitted is denied anyway; only a carved-out part needs a prohibition. Handing on is said often.
        let hands_on = ban.action == Action::Distribute;
        if !met && !hands_on {
            out.push(Remark::new(
                Severity::Note,
                &ban.place,
                "conflict.none",
                "没有许可允许此行为，禁止并不改变什么",
                "no permission grants this, so that the prohibition changes nothing",
            ));
        }
    }
}

fn unconditional(it: &Clause) -> bool {
    it.when == Test::All(vec![]) && it.target.is_none() && it.assignee.is_none()
}

/// `whole`: whatever the permission permits is prohibited.
fn told(strategy: Option<Conflict>, whole: bool, ban: &Clause, grant: &Clause) -> Remark {
    let (severity, code, zh, en) = match strategy {
        None | Some(Conflict::Invalid) if whole => (
            Severity::Error,
            "conflict.void",
            "同一行为既被允许又被禁止，策略无效",
            "the same is permitted and prohibited, which makes the policy void",
        ),
        None | Some(Conflict::Invalid) => (
            Severity::Error,
            "conflict.overlap",
            "许可与禁止可能同时适用，届时策略整体无效，节点不签署：须写互斥的条件，或写明 conflict",
            "both may apply at once, which would make the whole policy void, so that no node signs it: say conditions that exclude each other, or a conflict strategy",
        ),
        Some(Conflict::Prohibition) if whole => (
            Severity::Error,
            "conflict.blocked",
            "禁止总是优先，许可永不生效",
            "the prohibition always wins, so that the permission never takes effect",
        ),
        Some(Conflict::Prohibition) => (
            Severity::Note,
            "conflict.carved",
            "禁止优先，从许可中除去一部分",
            "the prohibition wins where both apply",
        ),
        Some(Conflict::Permission) if grant.action.covers(&ban.action) && unconditional(grant) => (
            Severity::Warning,
            "conflict.idle",
            "许可总是优先，禁止永不生效",
            "the permission always wins, so that the prohibition never takes effect",
        ),
        Some(Conflict::Permission) => (
            Severity::Note,
            "conflict.overridden",
            "许可优先，禁止在其范围内不生效",
            "the permission wins where both apply",
        ),
    };
    let (acts_zh, acts_en) = (grant.action.words(Lang::Zh), grant.action.words(Lang::En));
    Remark::new(
        severity,
        &ban.place,
        code,
        format!("与 {}（{acts_zh}）：{zh}", grant.place),
        format!("with {} ({acts_en}): {en}", grant.place),
    )
}
