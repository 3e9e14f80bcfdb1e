//! Trust policies (C2SP tlog-policy): which logs, which witnesses, and how many of them are enough.
//!
//! Must never count a witness twice or a log as its own witness, and never read an unknown line as a
//! comment: a policy misread is a weaker policy.

use std::fmt;

use crate::decimal;
use crate::limits::{MAX_POLICY_BYTES, MAX_POLICY_ITEMS};
use crate::note::{KeyKind, NoteError, VerifierKey};

/// Why a policy file is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy line {line}: {what}")]
pub struct PolicyError {
    /// Line, counted from 1; the line after the last for what is missing.
    pub line: usize,
    /// What is wrong with it.
    pub what: PolicyFault,
}

/// What is wrong with a policy file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// Too long, or too many logs, witnesses or groups.
    #[error("the policy is too large")]
    TooLarge,
    /// A character other than tab, newline and printable ones.
    #[error("control characters are not allowed")]
    Control,
    /// Unknown first word, or a wrong number of words.
    #[error("expected log, witness, group or quorum with its words")]
    Syntax,
    /// A key that cannot be used.
    #[error(transparent)]
    Key(#[from] NoteError),
    /// A key of type 0x01 for a witness.
    #[error("a witness needs a key of type 0x04")]
    NotAWitnessKey,
    /// The same public key twice among logs, among witnesses, or in both.
    #[error("this public key is already used")]
    DuplicateKey,
    /// The name is taken, or is `none`.
    #[error("this name is already used")]
    DuplicateName,
    /// The name was not defined on a line before.
    #[error("{0} is not defined on a line before")]
    Unknown(Name),
    /// A name that already is a member of a group.
    #[error("{0} is already a member of a group")]
    AlreadyMember(Name),
    /// A threshold that is not between 1 and the number of members.
    #[error("the threshold is not all, any or a number between 1 and the number of members")]
    Threshold,
    /// No quorum line or a second one.
    #[error("there must be exactly one quorum line")]
    Quorum,
    /// A URL that is not UTF-8.
    #[error("the URL is not UTF-8")]
    Url,
}

/// A name in a policy: "names must be handled as opaque octet strings".
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Vec<u8>);

impl Name {
    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A log that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its key; the key's name is the origin.
    pub key: VerifierKey,
    /// Where it is, if said.
    pub url: Option<String>,
}

/// A witness that may count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    /// Its name in this policy.
    pub name: Name,
    /// Its key, of type 0x04.
    pub key: VerifierKey,
    /// Its submission prefix, if said.
    pub url: Option<String>,
}

/// A group or a single witness; positions in [`Policy`]'s lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: Name,
    threshold: usize,
    /// Groups among them stand before this one in the list.
    members: Vec<Member>,
}

/// A parsed policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    /// `None` for `quorum none`.
    quorum: Option<Member>,
}

impl Policy {
    /// Reads a policy file.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        if bytes.len() > MAX_POLICY_BYTES {
            return Err(PolicyError { line: 1, what: PolicyFault::TooLarge });
        }
        let mut draft = Draft::default();
        let mut count = 0;
        for line in bytes.split(|&it| it == b'\n') {
            count += 1;
            draft.line(line).map_err(|what| PolicyError { line: count, what })?;
        }
        let quorum =
            draft.quorum.ok_or(PolicyError { line: count + 1, what: PolicyFault::Quorum })?;
        Ok(Self { logs: draft.logs, witnesses: draft.witnesses, groups: draft.groups, quorum })
    }

    /// Logs that are accepted.
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// Witnesses that may count.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Keys of all witnesses.
    pub fn witness_keys(&self) -> impl Iterator<Item = &VerifierKey> + Clone {
        self.witnesses.iter().map(|it| &it.key)
    }

    /// The accepted key for a log of this origin.
    pub fn log_keys<'a>(
        &'a self,
        origin: &'a str,
    ) -> impl Iterator<Item = &'a VerifierKey> + Clone {
        self.logs.iter().map(|it| &it.key).filter(move |it| it.name() == origin)
    }

    /// Whether any cosignature is needed at all.
    pub fn needs_witnesses(&self) -> bool {
        self.quorum.is_some()
    }
}

/// Whether verified cosignatures by `signers` make the policy's quorum.
pub fn satisfied<'a>(policy: &Policy, signers: impl IntoIterator<Item = &'a VerifierKey>) -> bool {
    let Some(quorum) = policy.quorum else { return true };
    let mut signed = vec![false; policy.witnesses.len()];
    for signer in signers {
        for (flag, witness) in signed.iter_mut().zip(&policy.witnesses) {
            *flag |= witness.key == *signer;
        }
    }
    // Groups only name groups before them: one pass settles all, without recursion.
    let mut settled: Vec<bool> = Vec::with_capacity(policy.groups.len());
    for group in &policy.groups {
        let met = group.members.iter().filter(|it| met(**it, &signed, &settled)).count();
        settled.push(met >= group.threshold);
    }
    met(quorum, &signed, &settled)
}

fn met(member: Member, signed: &[bool], settled: &[bool]) -> bool {
    match member {
        Member::Witness(at) => signed.get(at).copied().unwrap_or(false),
        Member::Group(at) => settled.get(at).copied().unwrap_or(false),
    }
}

#[derive(Default)]
struct Draft {
    logs: Vec<Log>,
    witnesses: Vec<Witness>,
    groups: Vec<Group>,
    used: Vec<Member>,
    quorum: Option<Option<Member>>,
}

impl Draft {
    fn line(&mut self, line: &[u8]) -> Result<(), PolicyFault> {
        // "the allowed octet values are 0x09 (tab), 0x0A (newline), 0x20-0x7E, and 0x80-0xFF"
        if line.iter().any(|&it| (it < b' ' && it != b'\t') || it == 0x7f) {
            return Err(PolicyFault::Control);
        }
        let words: Vec<&[u8]> =
            line.split(|&it| it == b' ' || it == b'\t').filter(|it| !it.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", key] => self.log(key, None),
            [b"log", key, url] => self.log(key, Some(url)),
            [b"witness", name, key] => self.witness(name, key, None),
            [b"witness", name, key, url] => self.witness(name, key, Some(url)),
            [b"group", name, threshold, members @ ..] => self.group(name, threshold, members),
            [b"quorum", name] => self.quorum(name),
            _ => Err(PolicyFault::Syntax),
        }
    }

    fn log(&mut self, key: &[u8], url: Option<&[u8]>) -> Result<(), PolicyFault> {
        let key = VerifierKey::parse_bytes(key)?;
        self.admit(self.logs.len(), &key)?;
        self.logs.push(Log { key, url: text(url)? });
        Ok(())
    }

    fn witness(&mut self, name: &[u8], key: &[u8], url: Option<&[u8]>) -> Result<(), PolicyFault> {
        let name = self.new_name(name)?;
        let key = VerifierKey::parse_bytes(key)?;
        if key.kind() != KeyKind::Cosignature {
            return Err(PolicyFault::NotAWitnessKey);
        }
        self.admit(self.witnesses.len(), &key)?;
        self.witnesses.push(Witness { name, key, url: text(url)? });
        Ok(())
    }

    fn admit(&self, count: usize, key: &VerifierKey) -> Result<(), PolicyFault> {
        if count >= MAX_POLICY_ITEMS {
            return Err(PolicyFault::TooLarge);
        }
        // "Two vkeys are considered duplicate if they wrap the same underlying public key, even if
        // they differ by key name and key id." Across logs and witnesses this is our own rule.
        let logs = self.logs.iter().map(|it| &it.key);
        let witnesses = self.witnesses.iter().map(|it| &it.key);
        if logs.chain(witnesses).any(|it| it.public() == key.public()) {
            return Err(PolicyFault::DuplicateKey);
        }
        Ok(())
    }

    fn group(
        &mut self,
        name: &[u8],
        threshold: &[u8],
        members: &[&[u8]],
    ) -> Result<(), PolicyFault> {
        let name = self.new_name(name)?;
        if self.groups.len() >= MAX_POLICY_ITEMS {
            return Err(PolicyFault::TooLarge);
        }
        if members.is_empty() {
            return Err(PolicyFault::Syntax);
        }
        let threshold = match threshold {
            b"all" => members.len(),
            b"any" => 1,
            number => std::str::from_utf8(number)
                .ok()
                .and_then(decimal::parse)
                .and_then(|it| usize::try_from(it).ok())
                .filter(|it| (1..=members.len()).contains(it))
                .ok_or(PolicyFault::Threshold)?,
        };
        let mut found = Vec::with_capacity(members.len());
        for member in members {
            let position = self.find(member)?;
            // "Each defined name can be listed as a group member at most once."
            if self.used.contains(&position) {
                return Err(PolicyFault::AlreadyMember(Name(member.to_vec())));
            }
            self.used.push(position);
            found.push(position);
        }
        self.groups.push(Group { name, threshold, members: found });
        Ok(())
    }

    fn quorum(&mut self, name: &[u8]) -> Result<(), PolicyFault> {
        if self.quorum.is_some() {
            return Err(PolicyFault::Quorum);
        }
        self.quorum = Some(if name == b"none" { None } else { Some(self.find(name)?) });
        Ok(())
    }

    fn new_name(&self, name: &[u8]) -> Result<Name, PolicyFault> {
        if name == b"none" || self.find(name).is_ok() {
            Err(PolicyFault::DuplicateName)
        } else {
            Ok(Name(name.to_vec()))
        }
    }

    fn find(&self, name: &[u8]) -> Result<Member, PolicyFault> {
        let witness = self.witnesses.iter().position(|it| it.name.0 == name).map(Member::Witness);
        let group = || self.groups.iter().position(|it| it.name.0 == name).map(Member::Group);
        witness.or_else(group).ok_or_else(|| PolicyFault::Unknown(Name(name.to_vec())))
    }
}

fn text(url: Option<&[u8]>) -> Result<Option<String>, PolicyFault> {
    url.map(|it| String::from_utf8(it.to_vec()).map_err(|_| PolicyFault::Url)).transpose()
}

#[cfg(test)]
mod tests;
