//! ODRL 2.2 as DSP 2025-1 exchanges it (contract-schema.json), as plain domain types.
//!
//! Wider than DSP's schema where ODRL is: rules with parties of their own, remedies, consequences. Holds unknown
//! terms under their names so that they can be echoed and refused by name; never decides what a term means
//! ([`super::compile`] does). Own terms start with `tidm:` and are announced by [`PROFILE`].

use crate::id::Id;

/// The profile that policies with `tidm:` terms name.
pub const PROFILE: &str = "urn:tidm:policy:1";

/// One policy. `extra` and the `unsupported` lists hold property names only: the values stay in the wire type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub id: Id,
    pub kind: Kind,
    /// Absent inside a catalogue's dataset (DSP forbids it there).
    pub target: Option<Id>,
    /// Parties are what the peer calls them; usually DIDs (see [`crate::identity::did::Did::parse`]).
    pub assigner: Option<Id>,
    pub assignee: Option<Id>,
    pub profile: Vec<String>,
    pub permissions: Vec<Rule>,
    pub prohibitions: Vec<Rule>,
    pub obligations: Vec<Rule>,
    pub conflict: Option<Conflict>,
    /// Of an agreement, verbatim: DSP allows times without a zone here, and nothing is decided by it.
    pub timestamp: Option<String>,
    /// Names of unknown properties that change no rule (titles, notes); echoed, otherwise ignored.
    pub extra: Vec<String>,
    /// Names of properties that would change the meaning of the policy and are not understood; refused.
    pub unsupported: Vec<String>,
    /// The document as its author wrote it, where it says more than this model: what is echoed is that. Never read for
    /// a decision; header and rules above are what counts.
    pub verbatim: Option<Verbatim>,
}

/// A policy document of somebody else's, kept to be echoed. [`crate::wire::odrl`] makes it and writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verbatim(pub(crate) Box<str>);

impl Policy {
    /// As an offer under a name of its own, for whoever signs, without a target: what it says of use stays as it is.
    #[must_use]
    pub fn offered(self, id: Id, assigner: Option<Id>) -> Self {
        let (kind, target, assignee) = (Kind::Offer, None, None);
        Self { id, kind, assigner, assignee, target, ..self }
    }

    /// An empty policy: permits nothing.
    pub fn new(id: Id, kind: Kind) -> Self {
        Self {
            id,
            kind,
            target: None,
            assigner: None,
            assignee: None,
            profile: vec![],
            permissions: vec![],
            prohibitions: vec![],
            obligations: vec![],
            conflict: None,
            timestamp: None,
            extra: vec![],
            unsupported: vec![],
            verbatim: None,
        }
    }

    /// Whether both say the same rules; ids, kind, parties, target and time may differ (an agreement and its offer).
    pub fn same_terms(&self, other: &Self) -> bool {
        self.permissions == other.permissions
            && self.prohibitions == other.prohibitions
            && self.obligations == other.obligations
            && self.conflict == other.conflict
            && self.profile == other.profile
            && self.unsupported == other.unsupported
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Offer,
    Agreement,
    Set,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Offer => "Offer",
            Self::Agreement => "Agreement",
            Self::Set => "Set",
        }
    }
}

/// ODRL §2.10: what wins when a permission and a prohibition meet. Absent means `invalid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    Permission,
    Prohibition,
    Invalid,
}

/// A permission, prohibition or duty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub action: Action,
    /// The rule's own asset and party, where they differ from the policy's (ODRL §2.6); DSP has them in the policy.
    pub target: Option<Id>,
    pub assignee: Option<Id>,
    pub constraints: Vec<Constraint>,
    /// Duties of a permission: to be done before it is used (ODRL §2.6.3). DSP's own place for duties is the policy.
    pub duties: Vec<Self>,
    /// Of a prohibition: what heals its infringement (ODRL §2.6.5).
    pub remedies: Vec<Self>,
    /// Of a duty: what is owed besides, once it was not done (ODRL §2.6.4).
    pub consequences: Vec<Self>,
    pub unsupported: Vec<String>,
}

impl Rule {
    pub fn new(action: Action, constraints: Vec<Constraint>) -> Self {
        Self {
            action,
            target: None,
            assignee: None,
            constraints,
            duties: vec![],
            remedies: vec![],
            consequences: vec![],
            unsupported: vec![],
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint {
    Atomic(Atomic),
    And(Vec<Self>),
    Or(Vec<Self>),
    Xone(Vec<Self>),
    AndSequence(Vec<Self>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Atomic {
    pub left: Operand,
    pub op: Operator,
    pub right: Value,
    /// ODRL `unit`, for example a currency.
    pub unit: Option<String>,
    pub unsupported: Vec<String>,
}

impl Atomic {
    pub fn new(left: Operand, op: Operator, right: Value) -> Self {
        Self { left, op, right, unit: None, unsupported: vec![] }
    }
}

impl From<Atomic> for Constraint {
    fn from(it: Atomic) -> Self {
        Self::Atomic(it)
    }
}

/// A right operand. Numbers are text: DSP's schema knows strings, objects and arrays only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    /// A JSON-LD typed literal `{"@value", "@type"}`.
    Typed {
        text: String,
        datatype: String,
    },
    /// A JSON-LD reference `{"@id"}`.
    Reference(String),
    List(Vec<Self>),
    /// Any other JSON, as canonical text; nothing compiles against it.
    Opaque(String),
}

impl Value {
    pub fn text(it: impl Into<String>) -> Self {
        Self::Text(it.into())
    }

    /// The scalar's text, whatever its dress.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(t) | Self::Typed { text: t, .. } | Self::Reference(t) => Some(t),
            Self::List(_) | Self::Opaque(_) => None,
        }
    }

    /// A scalar, or every member of a list of scalars.
    pub fn texts(&self) -> Option<Vec<&str>> {
        match self {
            Self::List(all) => all.iter().map(Self::as_text).collect(),
            Self::Text(_) | Self::Typed { .. } | Self::Reference(_) | Self::Opaque(_) => {
                Some(vec![self.as_text()?])
            }
        }
    }
}

/// Defines a closed list of ODRL terms with the open door `Unknown(name)`.
macro_rules! terms {
    ($(#[$doc:meta])* $name:ident { $($(#[$note:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$note])* $variant,)*
            /// Kept verbatim; never compiles.
            Unknown(String),
        }

        impl $name {
            /// Every known term, for tests and editors.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant),*];

            /// By its plain (unprefixed ODRL, or `tidm:`) name.
            pub fn from_name(name: &str) -> Self {
                match name {
                    $($text => Self::$variant,)*
                    other => Self::Unknown(other.to_owned()),
                }
            }

            pub fn name(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Unknown(name) => name,
                }
            }
        }
    };
}

terms! {
    /// What a rule is about. [`super::action`] says which includes which.
    Action {
        Use = "use",
        Read = "read",
        /// Opening for viewing only.
        Display = "display",
        /// ODRL means a composite collection; here it grants less: queries whose results are aggregates.
        Aggregate = "aggregate",
        /// Export to third parties. Deviation from ODRL: `use` does not include it; it must be said.
        Distribute = "distribute",
        Delete = "delete",
        Compensate = "compensate",
        // The rest of ODRL's vocabulary (§4.4, §4.5): understood, see `super::action`; nothing here exercises it.
        AcceptTracking = "acceptTracking",
        Annotate = "annotate",
        Anonymize = "anonymize",
        Archive = "archive",
        Attribute = "attribute",
        ConcurrentUse = "concurrentUse",
        Derive = "derive",
        Digitize = "digitize",
        EnsureExclusivity = "ensureExclusivity",
        Execute = "execute",
        Extract = "extract",
        Give = "give",
        GrantUse = "grantUse",
        Include = "include",
        Index = "index",
        Inform = "inform",
        Install = "install",
        Modify = "modify",
        Move = "move",
        NextPolicy = "nextPolicy",
        ObtainConsent = "obtainConsent",
        Play = "play",
        Present = "present",
        Print = "print",
        Reproduce = "reproduce",
        ReviewPolicy = "reviewPolicy",
        Sell = "sell",
        Stream = "stream",
        Synchronize = "synchronize",
        TextToSpeech = "textToSpeech",
        Transfer = "transfer",
        Transform = "transform",
        Translate = "translate",
        Uninstall = "uninstall",
        Watermark = "watermark",
        // Deprecated words for some of those (ODRL §4.8).
        Append = "append",
        AppendTo = "appendTo",
        Copy = "copy",
        Export = "export",
        License = "license",
        Pay = "pay",
        Write = "write",
        WriteTo = "writeTo",
    }
}

terms! {
    /// What a constraint speaks about.
    Operand {
        DateTime = "dateTime",
        Count = "count",
        Purpose = "purpose",
        Recipient = "recipient",
        /// Counted from the first use.
        ElapsedTime = "elapsedTime",
        /// Counted from the agreement.
        DelayPeriod = "delayPeriod",
        PayAmount = "payAmount",
        /// ISO 4217 code of the payment. A constraint of its own, since DSP's context drops ODRL's `unit`.
        Currency = "tidm:currency",
        /// Data fields that may be touched.
        Columns = "tidm:columns",
        /// `eq "true"`: results are aggregates. A constraint on `use`, since every connector knows `use`.
        AggregatesOnly = "tidm:aggregatesOnly",
        /// Fewest rows behind each result group.
        MinGroup = "tidm:minGroup",
        OutputRows = "tidm:outputRows",
        OutputBytes = "tidm:outputBytes",
        /// Bytes per second of all deliveries under the contract together.
        DeliveryRate = "tidm:deliveryRate",
        /// Connections that deliver under the contract at a time.
        DeliveryConnections = "tidm:deliveryConnections",
        /// `eq` the DID of the operator that releases its share of the data key beside the provider.
        KeyOperator = "tidm:keyOperator",
        /// Columns by which lists are matched, see [`super::matching::Key`].
        MatchKey = "tidm:matchKey",
        /// Items that the consumer puts in at a time.
        MatchItems = "tidm:matchItems",
        /// Items that the consumer puts in under the contract.
        MatchBudget = "tidm:matchBudget",
        /// Fewest matches that are shown.
        MinMatches = "tidm:minMatches",
        /// Most of the consumer's items that may match, in percent.
        MatchShare = "tidm:matchShare",
        /// Who gets the matches: `consumer` or `both`.
        MatchResult = "tidm:matchResult",
        /// How a copy is marked, in a duty to `watermark`, see [`super::mark::Mark`].
        Watermark = "tidm:watermark",
        /// `lteq "1.5"`: what noisy answers may cost together, see [`super::privacy`].
        PrivacyBudget = "tidm:privacyBudget",
        /// Whose rows are protected, and how much they may add, see [`super::privacy::Unit`].
        PrivacyUnit = "tidm:privacyUnit",
        /// What may be worked out of a match, see [`super::matching::Reveal`].
        MatchReveal = "tidm:matchReveal",
        /// Kinds of use, see [`super::usage::Use`].
        KindOfUse = "tidm:kindOfUse",
        /// `gteq "E2"`: least enforcement level, see [`super::usage::Level`].
        Enforcement = "tidm:enforcementLevel",
        /// Which rows may be touched, see [`super::filter`].
        ValueExpression = "tidm:valueExpression",
        // Understood and evaluated where somebody hands in the facts; `super::reach` says why no node signs them.
        /// Where the use happens: codes of regions, ISO 3166 or GB/T 2260.
        Spatial = "spatial",
        SystemDevice = "systemDevice",
        VirtualLocation = "virtualLocation",
        Event = "event",
        Version = "version",
        /// Use by the clock, all uses together.
        MeteredTime = "meteredTime",
        /// At most one use in each such period.
        TimeInterval = "timeInterval",
        DeliveryChannel = "deliveryChannel",
        FileFormat = "fileFormat",
        Industry = "industry",
        Language = "language",
        Media = "media",
        Product = "product",
        /// Hours of a week, see [`super::window`].
        TimeWindow = "tidm:timeWindow",
        /// `lteq "5/P1D"`: uses in any such period.
        Frequency = "tidm:frequency",
        /// Bytes, all uses together.
        DataSize = "tidm:dataSize",
        /// Rows, all uses together.
        RecordCount = "tidm:recordCount",
        /// Uses of the product's line by all of the consumer's legal entity, under whatever contract.
        GroupCount = "tidm:groupCount",
        /// The same of what else is counted, as [`Self::Frequency`], [`Self::MeteredTime`], [`Self::DataSize`],
        /// [`Self::RecordCount`] and [`Self::MatchBudget`] are written.
        GroupFrequency = "tidm:groupFrequency",
        GroupMeteredTime = "tidm:groupMeteredTime",
        GroupDataSize = "tidm:groupDataSize",
        GroupRecordCount = "tidm:groupRecordCount",
        GroupMatchBudget = "tidm:groupMatchBudget",
        Role = "tidm:assigneeRole",
        /// Addresses and networks (CIDR), see [`super::network`].
        Network = "tidm:networkAddress",
        Application = "tidm:application",
        Algorithm = "tidm:algorithm",
        Model = "tidm:model",
        Environment = "tidm:executionEnvironment",
        Encryption = "tidm:encryptionMode",
        DeliveryMethod = "tidm:deliveryMethod",
        // Of the Catena-X profile (CX-0152): the two that say what a term above says.
        /// `purpose`
        UsagePurpose = "UsagePurpose",
        /// `eq`: no use after it, `dateTime lteq`.
        UsageEndDate = "DataUsageEndDate",
    }
}

terms! {
    /// DSP's operators. Its schema's `term-lteq` is a slip for `lteq` and is read as that.
    Operator {
        Eq = "eq",
        Neq = "neq",
        Gt = "gt",
        Gteq = "gteq",
        Lt = "lt",
        Lteq = "lteq",
        IsA = "isA",
        HasPart = "hasPart",
        IsPartOf = "isPartOf",
        IsAllOf = "isAllOf",
        IsAnyOf = "isAnyOf",
        IsNoneOf = "isNoneOf",
    }
}
