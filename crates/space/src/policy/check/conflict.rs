//! Permissions and prohibitions that meet (ODRL §2.10).
//!
//! Never decides which of them is meant: it says what the policy's own strategy makes of them.

use crate::lang::Lang;
use crate::policy::check::{Remark, Ruled, Severity, room};
use crate::policy::compile::Side;
use crate::policy::model::{Action, Conflict, Policy};
use crate::policy::terms::{Clause, Test};
use crate::time::Time;

pub(super) fn remarks(policy: &Policy, rules: &[Ruled<'_>], now: Time, out: &mut Vec<Remark>) {
    let side = |side: Side| {
        rules
            .iter()
            .filter(move |it| it.side == side)
            .filter_map(|it| Some((it, it.clause.as_ref()?)))
    };
    for (ban_at, ban) in side(Side::Ban) {
        let mut met = false;
        for (grant_at, grant) in side(Side::Grant) {
            // What forbids always meets whatever is permitted, be that possible or not.
            let meets = || {
                let (grant, ban) = (room::pieces(grant, grant_at), room::pieces(ban, ban_at));
                room::meet(grant, ban, now)
            };
            // A permission to use says nothing of derived products.
            let apart = ban.action == Action::Derive && grant.action != Action::Derive;
            if !apart && ban.action.stops(&grant.action) && (unconditional(ban) || meets()) {
                met = true;
                out.push(meeting(policy.conflict, ban, grant));
            }
        }
        // What is not permitted is denied anyway; only a carved-out part needs a prohibition. Handing on is said often.
        let hands_on = matches!(ban.action, Action::Distribute | Action::Derive);
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

/// It applies whatever the facts are.
fn unconditional(it: &Clause) -> bool {
    it.when == Test::All(vec![]) && it.target.is_none() && it.assignee.is_none()
}

fn meeting(strategy: Option<Conflict>, ban: &Clause, grant: &Clause) -> Remark {
    let always = unconditional(ban);
    let whole = always && ban.action.covers(&grant.action);
    let (severity, code, zh, en) = match strategy {
        None | Some(Conflict::Invalid) if whole => (
            Severity::Error,
            "conflict.void",
            "同一行为既被允许又被禁止，策略无效",
            "the same is permitted and prohibited, which makes the policy void",
        ),
        None | Some(Conflict::Invalid) => (
            Severity::Warning,
            "conflict.overlap",
            "许可与禁止可能同时适用，此时策略无效",
            "both may apply at once, which makes the policy void in that case",
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
