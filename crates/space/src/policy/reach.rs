//! How far a policy is understood: all of what ODRL can say, or what a node can also find out and keep.
//!
//! Threat: a term that is signed and kept by nobody looks like protection. So a node signs within [`Reach::Node`]
//! only, where each term refused has its name and a reason; [`Reach::Whole`] is for evaluations whose caller hands in
//! every fact (test suites, what-if questions). Never widened without the code that keeps the new term.

use crate::policy::model::{Action, Operand};

/// What is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// What this program's gate, workers and output gate know and keep: for signing.
    Node,
    /// All that is understood.
    Whole,
}

/// Why a node does not sign a term that it understands.
pub(super) fn operand(it: &Operand) -> Option<&'static str> {
    const FOREIGN: &str =
        "is understood, but nobody here can prove where or on what a use takes place";
    const UNPROVEN: &str = "is understood, but no proof of it reaches the gate";
    const UNTOLD: &str = "is understood, but no node is told of it";
    Some(match it {
        Operand::SystemDevice | Operand::VirtualLocation => FOREIGN,
        Operand::Application | Operand::Algorithm | Operand::Model | Operand::Industry => UNPROVEN,
        Operand::Event
        | Operand::DeliveryChannel
        | Operand::FileFormat
        | Operand::Language
        | Operand::Media
        | Operand::Product => UNTOLD,
        Operand::DateTime
        | Operand::Count
        | Operand::Purpose
        | Operand::Recipient
        | Operand::ElapsedTime
        | Operand::DelayPeriod
        | Operand::TimeWindow
        | Operand::MeteredTime
        | Operand::TimeInterval
        | Operand::Frequency
        | Operand::DataSize
        | Operand::RecordCount
        | Operand::GroupCount
        | Operand::GroupFrequency
        | Operand::GroupMeteredTime
        | Operand::GroupDataSize
        | Operand::GroupRecordCount
        | Operand::GroupMatchBudget
        | Operand::PayAmount
        | Operand::Currency
        | Operand::Columns
        | Operand::AggregatesOnly
        | Operand::MinGroup
        | Operand::OutputRows
        | Operand::OutputBytes
        | Operand::DeliveryRate
        | Operand::DeliveryConnections
        | Operand::KeyOperator
        | Operand::MatchKey
        | Operand::MatchItems
        | Operand::MatchBudget
        | Operand::MinMatches
        | Operand::MatchShare
        | Operand::MatchResult
        | Operand::MatchReveal
        | Operand::PrivacyBudget
        | Operand::PrivacyUnit
        | Operand::ValueExpression
        | Operand::Watermark
        | Operand::KindOfUse
        | Operand::Enforcement
        | Operand::Environment
        | Operand::Encryption
        | Operand::DeliveryMethod
        | Operand::Spatial
        | Operand::Network
        | Operand::Role
        | Operand::Version
        | Operand::UsagePurpose
        | Operand::UsageEndDate
        | Operand::Unknown(_) => return None,
    })
}

/// Whether some kind of use, or the publication of a derived product, exercises this action, so that a permission for it
/// means something here.
pub(super) fn exercised(it: &Action) -> bool {
    matches!(
        it,
        Action::Use
            | Action::Read
            | Action::Display
            | Action::Aggregate
            | Action::Derive
            | Action::Distribute
    )
}
