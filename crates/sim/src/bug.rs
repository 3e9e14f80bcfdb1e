//! Planted bugs: negative controls. Each invariant must catch the ones that break it.
//!
//! Never reachable from `run`: a world has a bug only if a test or `--bug` plants it.

/// What an execution layer might get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The gate is shown an ended contract as if it were active.
    BlindGate,
    /// The gate is shown a suspended contract as if it were active.
    DeafGate,
    /// The debit of a lease is not saved.
    SkipDebit,
    /// The grant is answered before its commit is durable, and the commit is lost in a crash.
    AnswerBeforeDurable,
    /// A restart writes the first version of a contract over its tombstone.
    Resurrect,
    /// A crash loses the outbox.
    LoseOutbox,
    /// A crash in a commit keeps its first rows.
    TornCommit,
    /// The sequencer marks facts as logged although the compare-and-set failed.
    MarkUnlogged,
    /// The sequencer appends again what it appended before a crash.
    DoubleAppend,
    /// A head is signed before its row is durable.
    SignBeforeDurable,
    /// A node starts although a custodian saw more of its log.
    IgnoreWitness,
    /// The query server does not ask whether the lease still stands.
    OpenClosedLease,
    /// The key store believes a backup rather than the tombstone.
    KeyFromBackup,
    /// The provider's row of a contract holds other terms than were signed.
    OtherTerms,
    /// A finalization that cannot be delivered is given up.
    GiveUpFinalize,
    /// A data plane moves bytes whatever the state of the flow.
    FlowRunsOn,
    /// An order to a data plane that was not answered once is not repeated.
    OrderOnce,
    /// Whoever shows no membership is heard nevertheless.
    HearAnybody,
    /// A status list that was fetched once is believed for ever.
    StaleStatus,
    /// A wallet that cannot be reached once is never told.
    TellOnce,
    /// The issuer asks neither whether it issued on this request before, nor whether the invitation was used.
    IssueTwice,
    /// The gate is not shown when earlier uses began.
    ForgetStarts,
    /// The length of a lease is not debited.
    FreeTime,
    /// Rows and bytes are not debited.
    FreeAmounts,
    /// A closing gives back all that was reserved, whatever was used.
    GiveBackAll,
    /// A renewal is decided without the contract's terms.
    RenewBlindly,
    /// A renewal is decided as if lease and contract still stood.
    RenewTheDead,
    /// A legal entity's uses are counted for one contract alone.
    CountAccounts,
    /// The gate is not shown by when copies have to be gone.
    GateWithoutDate,
    /// The timer of a contract's end by the clock is not saved.
    NoLastDay,
}

impl Bug {
    pub const ALL: [Self; 30] = [
        Self::BlindGate,
        Self::DeafGate,
        Self::SkipDebit,
        Self::AnswerBeforeDurable,
        Self::Resurrect,
        Self::LoseOutbox,
        Self::TornCommit,
        Self::MarkUnlogged,
        Self::DoubleAppend,
        Self::SignBeforeDurable,
        Self::IgnoreWitness,
        Self::OpenClosedLease,
        Self::KeyFromBackup,
        Self::OtherTerms,
        Self::GiveUpFinalize,
        Self::FlowRunsOn,
        Self::OrderOnce,
        Self::HearAnybody,
        Self::StaleStatus,
        Self::TellOnce,
        Self::IssueTwice,
        Self::ForgetStarts,
        Self::FreeTime,
        Self::FreeAmounts,
        Self::GiveBackAll,
        Self::RenewBlindly,
        Self::RenewTheDead,
        Self::CountAccounts,
        Self::GateWithoutDate,
        Self::NoLastDay,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::BlindGate => "blind-gate",
            Self::DeafGate => "deaf-gate",
            Self::SkipDebit => "skip-debit",
            Self::AnswerBeforeDurable => "answer-before-durable",
            Self::Resurrect => "resurrect",
            Self::LoseOutbox => "lose-outbox",
            Self::TornCommit => "torn-commit",
            Self::MarkUnlogged => "mark-unlogged",
            Self::DoubleAppend => "double-append",
            Self::SignBeforeDurable => "sign-before-durable",
            Self::IgnoreWitness => "ignore-witness",
            Self::OpenClosedLease => "open-closed-lease",
            Self::KeyFromBackup => "key-from-backup",
            Self::OtherTerms => "other-terms",
            Self::GiveUpFinalize => "give-up-finalize",
            Self::FlowRunsOn => "flow-runs-on",
            Self::OrderOnce => "order-once",
            Self::HearAnybody => "hear-anybody",
            Self::StaleStatus => "stale-status",
            Self::TellOnce => "tell-once",
            Self::IssueTwice => "issue-twice",
            Self::ForgetStarts => "forget-starts",
            Self::FreeTime => "free-time",
            Self::FreeAmounts => "free-amounts",
            Self::GiveBackAll => "give-back-all",
            Self::RenewBlindly => "renew-blindly",
            Self::RenewTheDead => "renew-the-dead",
            Self::CountAccounts => "count-accounts",
            Self::GateWithoutDate => "gate-without-date",
            Self::NoLastDay => "no-last-day",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}
