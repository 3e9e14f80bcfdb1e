//! The rules of reconciliation: which facts of one side imply which of the other.
//!
//! Never guesses who is right. A race that honest nodes can lose (a return that arrives after the lease
//! expired) is a note, not a contradiction.

use std::collections::BTreeMap;

use tidm_crypto::hash::Digest;

use crate::id::Id;
use crate::limits::CLOCK_SKEW;
use crate::negotiation::message::Role;
use crate::time::Time;

use super::super::fact::{Closed, Fact};
use super::{Account, ClosedView, Code, Finding, GRACE, LeaseView, Report, Severity, Subject};

/// Reconciles. `None` for a side whose facts could not be had: then only the other side is checked.
pub fn check(
    subject: &Subject,
    provider: Option<&[Fact]>,
    consumer: Option<&[Fact]>,
    at: Time,
) -> Report {
    let absent = match (provider, consumer) {
        (None, _) => Some(Role::Provider),
        (Some(_), None) => Some(Role::Consumer),
        (Some(_), Some(_)) => None,
    };
    let provider = Account::of(subject, Role::Provider, provider.unwrap_or_default());
    let consumer = Account::of(subject, Role::Consumer, consumer.unwrap_or_default());
    let mut work = Work {
        subject,
        provider: &provider,
        consumer: &consumer,
        both: absent.is_none(),
        at,
        findings: vec![],
    };
    if let Some(role) = absent {
        work.found(Severity::Missing, Code::NoPeerFacts, None, [subject.party(role).to_string()]);
    }
    work.identity();
    work.conclusion();
    work.deliveries();
    work.leases();
    work.counts();
    work.standing();
    work.ending();
    work.destruction();
    work.notes();
    let mut findings = work.findings;
    findings.sort();
    findings.dedup();
    let operator = None;
    Report { subject: subject.clone(), at, provider, consumer, operator, absent, findings }
}

pub(super) struct Work<'a> {
    subject: &'a Subject,
    pub(super) provider: &'a Account,
    pub(super) consumer: &'a Account,
    /// Whether both sides' facts are there; without, nothing can be missing on the absent side.
    pub(super) both: bool,
    at: Time,
    findings: Vec<Finding>,
}

impl Work<'_> {
    pub(super) fn found<const N: usize>(
        &mut self,
        severity: Severity,
        code: Code,
        about: Option<&Id>,
        detail: [String; N],
    ) {
        self.findings.push(Finding {
            severity,
            code,
            about: about.cloned(),
            detail: detail.to_vec(),
        });
    }

    /// Missing, or pending while what implies it is fresh.
    fn owed_since(&self, since: Time) -> Severity {
        if self.at.since(since) < GRACE { Severity::Pending } else { Severity::Missing }
    }

    fn sides(&self) -> [(Role, &Account); 2] {
        [(Role::Provider, self.provider), (Role::Consumer, self.consumer)]
    }

    /// Each fact by its own side, about this contract.
    fn identity(&mut self) {
        let foreign: Vec<(Role, Id)> = self
            .sides()
            .into_iter()
            .flat_map(|(role, it)| it.foreign.iter().map(move |id| (role, id.clone())))
            .collect();
        for (role, id) in foreign {
            self.found(
                Severity::Contradiction,
                Code::ForeignFact,
                Some(&id),
                [role.word().to_owned()],
            );
        }
    }

    fn conclusion(&mut self) {
        for (role, account) in [(Role::Provider, self.provider), (Role::Consumer, self.consumer)] {
            let has_facts = account.facts > 0 || self.both;
            match &account.concluded {
                None if has_facts => {
                    let other = if role == Role::Provider { self.consumer } else { self.provider };
                    let severity =
                        other.concluded.map_or(Severity::Missing, |it| self.owed_since(it.at));
                    self.found(severity, Code::NotConcluded, None, [role.word().to_owned()]);
                }
                Some(it) if it.signed != self.subject.signed => {
                    let detail = [
                        role.word().to_owned(),
                        it.signed.to_string(),
                        self.subject.signed.to_string(),
                    ];
                    self.found(Severity::Contradiction, Code::SignedDiffers, None, detail);
                }
                Some(_) | None => {}
            }
        }
        if let (Some(a), Some(b)) = (&self.provider.concluded, &self.consumer.concluded)
            && (a.provider_signed, a.consumer_signed) != (b.provider_signed, b.consumer_signed)
        {
            let words =
                |it: &super::Conclusion| format!("{}/{}", it.provider_signed, it.consumer_signed);
            self.found(Severity::Contradiction, Code::SignaturesDiffer, None, [words(a), words(b)]);
        }
        if let (Some(a), Some(b)) = (self.provider.negotiation, self.consumer.negotiation)
            && a != b
        {
            // One that still moves may be behind; two ends that differ never meet again.
            let severity = if a.is_terminal() && b.is_terminal() {
                Severity::Contradiction
            } else {
                Severity::Missing
            };
            self.found(
                severity,
                Code::NegotiationDiffers,
                None,
                [a.token().to_owned(), b.token().to_owned()],
            );
        }
    }

    /// What arrived was provided; what was provided arrived. Transfer ids differ on the two sides, contents do not.
    fn deliveries(&mut self) {
        if !self.both {
            return;
        }
        let mut open: BTreeMap<(Digest, u64), Vec<Time>> = BTreeMap::new();
        for it in &self.provider.deliveries {
            open.entry((it.content, it.bytes)).or_default().push(it.at);
        }
        let provided: Vec<(Digest, u64)> = open.keys().copied().collect();
        for it in self.consumer.deliveries.clone() {
            let key = (it.content, it.bytes);
            if !provided.contains(&key) {
                self.found(
                    Severity::Contradiction,
                    Code::NotProvided,
                    None,
                    [it.content.to_string(), it.bytes.to_string()],
                );
            } else if let Some(times) = open.get_mut(&key) {
                times.pop();
            }
        }
        for ((content, bytes), times) in open {
            if let Some(first) = times.first() {
                let severity = self.owed_since(*first);
                self.found(
                    severity,
                    Code::NotArrived,
                    None,
                    [content.to_string(), bytes.to_string()],
                );
            }
        }
        let ends = |it: &Account| {
            let mut all: Vec<&str> = it.transfers.values().map(|it| it.token()).collect();
            all.sort_unstable();
            all.join(",")
        };
        let (ours, theirs) = (ends(self.provider), ends(self.consumer));
        if ours != theirs {
            let over = |it: &Account| it.transfers.values().all(|it| it.is_terminal());
            let same_number = self.provider.transfers.len() == self.consumer.transfers.len();
            let all_over = same_number && over(self.provider) && over(self.consumer);
            let severity = if all_over { Severity::Contradiction } else { Severity::Pending };
            self.found(severity, Code::TransfersDiffer, None, [ours, theirs]);
        }
    }

    fn leases(&mut self) {
        let (provider, consumer) = (self.provider, self.consumer);
        self.leases_of(Role::Provider, &provider.leases, &consumer.leases);
        self.leases_of(Role::Consumer, &consumer.joined, &provider.joined);
    }

    /// The leases of one side's gate, as that side and its peer know them.
    fn leases_of(
        &mut self,
        gate: Role,
        granted: &BTreeMap<Id, LeaseView>,
        held: &BTreeMap<Id, LeaseView>,
    ) {
        let holder = match gate {
            Role::Provider => Role::Consumer,
            Role::Consumer => Role::Provider,
        };
        let ids: std::collections::BTreeSet<&Id> = granted.keys().chain(held.keys()).collect();
        let nothing = LeaseView::default();
        for id in ids {
            let granted = granted.get(id).unwrap_or(&nothing);
            let held = held.get(id).unwrap_or(&nothing);
            self.lease_pair(id, granted, held);
            for (role, side) in [(gate, granted), (holder, held)] {
                self.lease_alone(id, role, side);
            }
        }
    }

    fn lease_alone(&mut self, id: &Id, role: Role, side: &LeaseView) {
        match (&side.opened, &side.closed) {
            (Some(open), None) if self.at.since(side.until().unwrap_or(open.until)) > GRACE => {
                let until = side.until().unwrap_or(open.until);
                let detail = [role.word().to_owned(), until.to_string()];
                self.found(Severity::Missing, Code::LeaseOpen, Some(id), detail);
            }
            (None, Some(_)) => {
                self.found(
                    Severity::Contradiction,
                    Code::CloseWithoutOpen,
                    Some(id),
                    [role.word().to_owned()],
                );
            }
            (Some(_) | None, _) => {}
        }
    }

    fn lease_pair(&mut self, id: &Id, granted: &LeaseView, held: &LeaseView) {
        if !self.both {
            return;
        }
        match (&granted.opened, &held.opened) {
            (Some(gate), None) if let Some((_, how)) = held.missed => {
                // The grant's answer was lost, or went to a program instead, and the consumer says so: the use
                // counts all the same.
                let code = match how {
                    Closed::Returned => Code::UsedByProgram,
                    Closed::Expired | Closed::Revoked => Code::NeverArrived,
                };
                let detail = [gate.kind.name().to_owned(), gate.at.to_string()];
                self.found(Severity::Note, code, Some(id), detail);
            }
            (Some(gate), None) => {
                // Whoever missed it learns of it when the lease ends at the gate.
                let since = granted.closed.as_ref().map_or(gate.until, |it| it.at);
                let severity = self.owed_since(since);
                self.found(
                    severity,
                    Code::NotHeld,
                    Some(id),
                    [gate.kind.name().to_owned(), gate.at.to_string()],
                );
            }
            (None, Some(user)) => {
                let detail = [user.kind.name().to_owned(), user.at.to_string()];
                self.found(Severity::Contradiction, Code::NotGranted, Some(id), detail);
            }
            (Some(gate), Some(user)) if (gate.kind, gate.until) != (user.kind, user.until) => {
                let words = |it: &super::Opened| format!("{} {}", it.kind.name(), it.until);
                self.found(
                    Severity::Contradiction,
                    Code::LeaseTermsDiffer,
                    Some(id),
                    [words(gate), words(user)],
                );
            }
            (None, None) if let Some((at, _)) = held.missed => {
                let detail = ["-".to_owned(), at.to_string()];
                self.found(Severity::Contradiction, Code::NotGranted, Some(id), detail);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        self.renewals(id, granted, held);
        let (Some(gate), Some(user)) = (&granted.closed, &held.closed) else { return };
        let words = |it: &ClosedView| {
            let result = it.result.map_or_else(|| "-".to_owned(), |it| it.to_string());
            format!("{} {} {} {result}", it.how.word(), it.rows, it.bytes)
        };
        if gate.how != user.how {
            self.found(
                Severity::Note,
                Code::EndedDifferently,
                Some(id),
                [words(gate), words(user)],
            );
        } else if gate.how == Closed::Returned
            && (gate.rows, gate.bytes, gate.result) != (user.rows, user.bytes, user.result)
        {
            self.found(
                Severity::Contradiction,
                Code::OutcomeDiffers,
                Some(id),
                [words(gate), words(user)],
            );
        }
    }

    /// What the holder says was renewed, the gate renewed; the other way round, an answer may have been lost.
    fn renewals(&mut self, id: &Id, granted: &LeaseView, held: &LeaseView) {
        for (number, until) in &held.renewed {
            if granted.renewed.get(number) != Some(until) {
                let detail = [number.to_string(), until.to_string()];
                self.found(Severity::Contradiction, Code::RenewalNotGranted, Some(id), detail);
            }
        }
        if held.opened.is_some() {
            for (number, until) in &granted.renewed {
                if !held.renewed.contains_key(number) {
                    let detail = [number.to_string(), until.to_string()];
                    self.found(Severity::Note, Code::RenewalNotHeld, Some(id), detail);
                }
            }
        }
    }

    /// The gate's own numbers: 1, 2, 3… up to the limit, and none after the end.
    fn counts(&mut self) {
        let mut numbers: Vec<(u64, Time, &Id)> = Vec::new();
        for (id, lease) in &self.provider.leases {
            if let Some(open) = &lease.opened {
                numbers.push((open.use_number.unwrap_or(0), open.at, id));
            }
        }
        numbers.sort_unstable();
        for (expected, (number, at, id)) in (1..).zip(numbers) {
            if number != expected {
                let detail = [expected.to_string(), number.to_string()];
                self.found(Severity::Contradiction, Code::CountBroken, Some(id), detail);
            }
            if let Some(limit) = self.subject.limit
                && number > limit
            {
                let detail = [limit.to_string(), number.to_string()];
                self.found(Severity::Contradiction, Code::CountExceeded, Some(id), detail);
            }
            if let Some(end) = &self.provider.ended
                && at > end.at
            {
                let detail = [end.at.to_string(), at.to_string()];
                self.found(Severity::Contradiction, Code::UseAfterEnd, Some(id), detail);
            }
        }
        // The consumer's clock is another one: allow what two nodes' clocks may differ.
        if let Some(end) = &self.consumer.ended {
            for (id, lease) in &self.consumer.leases {
                if let Some(open) = &lease.opened
                    && open.at.since(end.at) > CLOCK_SKEW
                {
                    let detail = [end.at.to_string(), open.at.to_string()];
                    self.found(Severity::Contradiction, Code::UseAfterEnd, Some(id), detail);
                }
            }
        }
    }

    fn ending(&mut self) {
        if !self.both {
            return;
        }
        match (&self.provider.ended, &self.consumer.ended) {
            (Some(one), None) | (None, Some(one)) => {
                let deaf =
                    if self.provider.ended.is_some() { Role::Consumer } else { Role::Provider };
                let severity = self.owed_since(one.at);
                let detail =
                    [deaf.word().to_owned(), one.why.word().to_owned(), one.at.to_string()];
                self.found(severity, Code::EndUnknown, None, detail);
            }
            (Some(a), Some(b)) if (a.why, a.by) != (b.why, b.by) => {
                // Both may have ended it before the other's notice came.
                let words = |it: &super::Ending| format!("{} {}", it.why.word(), it.by.word());
                let crossed = a.by == Role::Provider && b.by == Role::Consumer;
                let severity = if crossed { Severity::Note } else { Severity::Contradiction };
                self.found(severity, Code::EndDiffers, None, [words(a), words(b)]);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    /// After the end: the key is gone, the copies are gone, and both sides hold the same receipt.
    fn destruction(&mut self) {
        match (&self.provider.ended, self.provider.key_destroyed) {
            (Some(end), None) => {
                let severity = self.owed_since(end.at);
                self.found(severity, Code::KeyNotDestroyed, None, [end.at.to_string()]);
            }
            (None, Some(at)) => {
                self.found(
                    Severity::Contradiction,
                    Code::KeyDestroyedEarly,
                    None,
                    [at.to_string()],
                );
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        if let (Some(end), None) = (&self.consumer.ended, &self.consumer.deletion) {
            let severity = self.owed_since(end.at);
            self.found(severity, Code::DeletionMissing, None, [end.at.to_string()]);
        }
        if let Some(deletion) = &self.consumer.deletion {
            let kept: Vec<String> = self
                .consumer
                .deliveries
                .iter()
                .filter(|it| it.at <= deletion.at && !deletion.files.contains(&it.content))
                .map(|it| it.content.to_string())
                .collect();
            for content in kept {
                self.found(Severity::Missing, Code::DeletionIncomplete, None, [content]);
            }
        }
        if !self.both {
            return;
        }
        match (&self.consumer.deletion, &self.provider.deletion) {
            (Some(signed), None) => {
                let severity = self.owed_since(signed.at);
                self.found(severity, Code::DeletionNotReceived, None, [signed.receipt.to_string()]);
            }
            (Some(a), Some(b)) if (a.receipt, &a.files) != (b.receipt, &b.files) => {
                let detail = [b.receipt.to_string(), a.receipt.to_string()];
                self.found(Severity::Contradiction, Code::DeletionDiffers, None, detail);
            }
            (None, Some(b)) => {
                let detail = [b.receipt.to_string(), String::new()];
                self.found(Severity::Contradiction, Code::DeletionDiffers, None, detail);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    fn notes(&mut self) {
        let refused: Vec<_> = self
            .provider
            .refusals
            .iter()
            .map(|it| [it.at.to_string(), times(&it.code, it.more), it.rule.clone()])
            .collect();
        for detail in refused {
            self.found(Severity::Note, Code::Refused, None, detail);
        }
        let troubles: Vec<_> = self
            .sides()
            .into_iter()
            .flat_map(|(role, it)| {
                it.troubles
                    .iter()
                    .map(move |(at, code)| [role.word().to_owned(), at.to_string(), code.clone()])
            })
            .collect();
        for detail in troubles {
            self.found(Severity::Note, Code::Trouble, None, detail);
        }
    }
}

/// A refusal's code, and how many there were.
fn times(code: &str, more: u64) -> String {
    if more == 0 { code.to_owned() } else { format!("{code} ×{}", more.saturating_add(1)) }
}
