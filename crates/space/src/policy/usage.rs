//! Kinds of use, and who really enforces a term of each (enforcement levels).
//!
//! Never promises more than the weakest place a use passes through.

use std::fmt;

use crate::lang::Lang;
use crate::policy::hold::member;
use crate::policy::model::Action;
use crate::policy::terms::{Member, Topic};
use crate::policy::truth::Truth;

/// One way in which a product is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Use {
    /// Asked at the provider; only results leave.
    Query,
    /// An encrypted table that opens only under a lease.
    SealedTable,
    /// Another encrypted file that opens only under a lease.
    SealedFile,
    /// The bytes as they are.
    Plain,
    /// Matched with a list of the consumer's; rows of neither leave (private set intersection).
    Psi,
}

impl Use {
    pub const ALL: [Self; 5] =
        [Self::Query, Self::SealedTable, Self::SealedFile, Self::Plain, Self::Psi];

    /// The word inside a policy (`tidm:kindOfUse`).
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::SealedTable => "sealed-table",
            Self::SealedFile => "sealed-file",
            Self::Plain => "plain",
            Self::Psi => "psi",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// The ODRL action that one such use exercises. Plain bytes can be put to any use.
    pub fn action(self) -> Action {
        match self {
            Self::Query | Self::SealedTable | Self::SealedFile | Self::Psi => Action::Read,
            Self::Plain => Action::Use,
        }
    }

    /// Who enforces what happens to the data in such a use.
    pub fn level(self) -> Level {
        match self {
            Self::Query | Self::Psi => Level::E2,
            Self::SealedTable | Self::SealedFile => Level::E1,
            Self::Plain => Level::E0,
        }
    }

    /// What such a use is by itself, in the words of policies and of TC609: how its data is kept where it arrives, how it
    /// gets there, and where it takes place if that is no matter of evidence.
    pub fn is(self, topic: Topic) -> Option<&'static [&'static str]> {
        const PLAIN: &[&str] = &["plain", "enc/plain", "01"];
        const CIPHER: &[&str] = &["cipher", "enc/cipher", "02"];
        const FILE: &[&str] = &["file", "dlv/file", "01"];
        const API: &[&str] = &["api", "dlv/api", "03"];
        if topic == Topic::Environment {
            return match self {
                Self::Query => Some(SANDBOX),
                Self::Psi => Some(MPC),
                Self::SealedTable | Self::SealedFile | Self::Plain => None,
            };
        }
        match (topic == Topic::Encryption, topic == Topic::Delivery, self) {
            (true, _, Self::Query | Self::Plain) => Some(PLAIN),
            (true, _, Self::SealedTable | Self::SealedFile) => Some(CIPHER),
            (true, _, Self::Psi) => Some(&["other", "enc/other", "03"]),
            (_, true, Self::SealedTable | Self::SealedFile | Self::Plain) => Some(FILE),
            (_, true, Self::Query) => Some(API),
            (_, true, Self::Psi) => Some(&["other", "dlv/other", "04"]),
            (false, false, _) => None,
        }
    }

    /// The same with the best that evidence could prove, where a key is released for it.
    pub(super) fn at_best(self, topic: Topic) -> Option<&'static [&'static str]> {
        let proven = topic == Topic::Environment && self.reaches(Level::E3);
        self.is(topic).or(if proven { Some(TEE) } else { None })
    }

    /// Whether a demand on the environment is met by the kind of use alone.
    pub(super) fn takes_place(self, how: Member, all: &[String]) -> bool {
        self.is(Topic::Environment).is_some_and(|is| member(how, all, is) == Truth::Yes)
    }

    /// Whether such a use can meet a demand for this level: where a key is released, the place of use may be an
    /// attested one.
    pub fn reaches(self, level: Level) -> bool {
        let sealed = matches!(self, Self::SealedTable | Self::SealedFile);
        level <= self.level() || (sealed && level >= Level::E3)
    }

    pub fn words(self, lang: Lang) -> &'static str {
        match self {
            Self::Query => lang.pick("在提供方沙箱内查询", "queries in the provider's sandbox"),
            Self::SealedTable => lang.pick("密封表", "sealed table"),
            Self::SealedFile => lang.pick("密封文件", "sealed file"),
            Self::Plain => lang.pick("明文交付", "plain delivery"),
            Self::Psi => lang.pick("隐私求交", "private matching of lists"),
        }
    }
}

/// How policies and TC609 name the environments that a use here may take place in: proven by evidence, or the kind of use's own.
pub(crate) const TEE: &[&str] = &["tee", "env/tee", "05"];
const SANDBOX: &[&str] = &["sandbox", "env/sandbox", "02"];
const MPC: &[&str] = &["mpc", "env/mpc", "03"];

/// Enforcement level of a term (house decision D4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// A promise in a contract.
    E0,
    /// Software on the consumer's machine; its administrator can defeat it.
    E1,
    /// A sandbox at the provider or a third party.
    E2,
    /// An attested TEE of the consumer; not proof against who owns the machine.
    E3,
    /// An attested TEE at an independent operator.
    E4,
}

impl Level {
    pub const ALL: [Self; 5] = [Self::E0, Self::E1, Self::E2, Self::E3, Self::E4];

    pub fn name(self) -> &'static str {
        match self {
            Self::E0 => "E0",
            Self::E1 => "E1",
            Self::E2 => "E2",
            Self::E3 => "E3",
            Self::E4 => "E4",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// What is shown of it where no machine has proved anything. Evidence lifts what software at the consumer keeps, and
    /// nothing else (`Scene`).
    pub fn unproven(self) -> Self {
        match self {
            Self::E3 | Self::E4 => Self::E1,
            Self::E0 | Self::E1 | Self::E2 => self,
        }
    }

    /// What holds on a machine whose evidence the gate accepted, where the terms give keys to no other.
    pub fn on_evidence(self) -> Option<Self> {
        (self != self.unproven()).then_some(self)
    }

    /// Who keeps a term of this level, with what has to be proven before.
    pub fn kept_by(self, lang: Lang) -> String {
        let words = self.words(lang);
        match (self.on_evidence(), lang) {
            (None, _) => words.to_owned(),
            (Some(it), Lang::Zh) => format!("证据被认可后为 {it}：{words}；无此证据则得不到密钥"),
            (Some(it), Lang::En) => {
                format!("{it} once evidence is accepted: {words}; no key is released without")
            }
        }
    }

    pub fn words(self, lang: Lang) -> &'static str {
        match self {
            Self::E0 => lang.pick("仅合同约束", "by contract only"),
            Self::E1 => lang.pick("使用方软件强制", "by software at the consumer"),
            Self::E2 => {
                lang.pick("提供方或第三方沙箱强制", "by a sandbox at the provider or a third party")
            }
            Self::E3 => lang.pick("使用方可信执行环境强制", "by a TEE at the consumer"),
            Self::E4 => {
                lang.pick("独立运营方可信执行环境强制", "by a TEE at an independent operator")
            }
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
