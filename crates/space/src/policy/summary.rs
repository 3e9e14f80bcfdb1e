//! The flat view of compiled permissions: for showing and for counters, never for deciding.

use crate::policy::model::Action;
use crate::policy::terms::{Clause, Cmp, Delete, Limits, Member, Summary, Test};

pub(super) fn summary(grants: &[Clause], bans: &[Clause], delete: Option<Delete>) -> Summary {
    let mut flat = grants
        .iter()
        .filter(|g| {
            matches!(g.action, Action::Use | Action::Read | Action::Display | Action::Aggregate)
        })
        .map(flat_clause);
    let mut out = flat.next().unwrap_or_default();
    for other in flat {
        keep_common(&mut out, &other);
    }
    out.export = grants.iter().any(|g| g.action == Action::Distribute)
        && !bans.iter().any(|b| b.action == Action::Distribute);
    out.delete_after_use = delete == Some(Delete::AfterUse);
    out
}

/// The number of the last use that a permission may permit; `None`: it is bound to none, whatever its alternatives say.
pub(super) fn most_uses(grant: &Clause) -> Option<u64> {
    flat_clause(grant).uses
}

fn flat_clause(grant: &Clause) -> Summary {
    let mut out = Summary { limits: grant.limits.clone(), ..Summary::default() };
    gather(&grant.when, &mut out);
    out
}

/// What certainly binds: the members of `and`, however deep, and nothing of alternatives.
fn gather(test: &Test, out: &mut Summary) {
    match test {
        Test::All(all) | Test::Sequence(all) => all.iter().for_each(|it| gather(it, out)),
        Test::Clock(Cmp::Gteq | Cmp::Gt, at) => out.from = out.from.max(Some(*at)),
        Test::Clock(Cmp::Lteq | Cmp::Lt, at) => {
            out.until = Some(out.until.map_or(*at, |old| old.min(*at)));
        }
        Test::Count(cmp @ (Cmp::Lt | Cmp::Lteq | Cmp::Eq), n) => {
            let most = if *cmp == Cmp::Lt { n.saturating_sub(1) } else { *n };
            out.uses = Some(out.uses.map_or(most, |old| old.min(most)));
        }
        Test::Purpose(Member::In, all) => common(&mut out.purposes, all),
        Test::Recipient(Member::In, all) => common(&mut out.recipients, all),
        Test::Kind(all) => common(&mut out.kinds, all),
        Test::Any(_)
        | Test::One(_)
        | Test::Clock(Cmp::Eq | Cmp::Neq, _)
        | Test::Count(Cmp::Gt | Cmp::Gteq | Cmp::Neq, _)
        | Test::Purpose(Member::NotIn | Member::All, _)
        | Test::Recipient(Member::NotIn | Member::All, _)
        | Test::Elapsed(..)
        | Test::Delay(..)
        | Test::Enforcement(_)
        | Test::Window(_)
        | Test::Metered(..)
        | Test::Interval(_)
        | Test::Frequency(..)
        | Test::Size(..)
        | Test::Records(..)
        | Test::Group(..)
        | Test::Entity(_)
        | Test::Network(..)
        | Test::Version(..)
        | Test::Event(..)
        | Test::Among(..) => {}
    }
}

/// Two lists that both bind: what is in both.
fn common<T: Clone + PartialEq>(slot: &mut Option<Vec<T>>, new: &[T]) {
    *slot = Some(match slot.take() {
        Some(old) => old.into_iter().filter(|it| new.contains(it)).collect(),
        None => new.to_vec(),
    });
}

fn keep_common(out: &mut Summary, other: &Summary) {
    fn agree<T: PartialEq>(a: &mut Option<T>, b: &Option<T>) {
        if a != b {
            *a = None;
        }
    }
    agree(&mut out.from, &other.from);
    agree(&mut out.until, &other.until);
    agree(&mut out.uses, &other.uses);
    agree(&mut out.purposes, &other.purposes);
    agree(&mut out.recipients, &other.recipients);
    agree(&mut out.kinds, &other.kinds);
    if out.limits != other.limits {
        out.limits = Limits::default();
    }
}
