//! Codes of contracts, nodes, products and subjects (TC609-6-2025-14 B.2.2; identifiers of NDI-TR-2025-04), with the
//! check character of GB/T 17710 MOD 37-2, which is ISO/IEC 7064 MOD 37-2.
//!
//! Threat: a slip of the hand or of a program turns one code into another. The check character catches every wrong
//! character and every swap of neighbours; it is no signature and proves no origin. Never folds case, never mends.

use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDateTime};
use tidm_crypto::hash::sha256;
use uuid::Uuid;

use crate::id::Id;
use crate::time::Time;

const ALPHABET: &[u8; 37] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*";
/// The type character that we write; no document gives one, and 1 to 7 are taken by other objects.
const CONTRACT: char = '8';
/// A service node's type character.
const SERVICE_NODE: char = '4';
/// Hours east of UTC of a time without zone.
const ZONE_HOURS: i32 = 8;
/// Between a product's code and its extension: U+2022.
const BULLET: char = '•';
/// Names a code in an ODRL policy.
const URN: &str = "urn:tc609:";

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadCode {
    #[error("has {0} characters, which no such code has")]
    Length(usize),
    #[error("holds a wrong character in its {0}")]
    Segment(&'static str),
    #[error("is the code of another kind of object")]
    Kind,
    #[error("has no date and time of the calendar in its time segment")]
    Time,
    #[error("has a wrong check character")]
    Check,
}

/// What the characters leave modulo 37; a whole valid code leaves 1.
fn residue(code: &str) -> Option<usize> {
    code.bytes().try_fold(0, |p, byte| {
        let value = ALPHABET.iter().position(|it| *it == byte)?;
        Some((p * 2 + value) % 37)
    })
}

/// The character that makes `body` valid when it follows it. `None`: a character outside `0-9A-Z*`.
pub fn check_character(body: &str) -> Option<char> {
    let value = (38 - residue(body)? * 2 % 37) % 37;
    ALPHABET.get(value).copied().map(char::from)
}

/// Whether the last character of `code` is the right one.
pub fn checks(code: &str) -> bool {
    residue(code) == Some(1)
}

fn digits(text: &str) -> bool {
    text.bytes().all(|it| it.is_ascii_digit())
}

fn letters(text: &str) -> bool {
    text.bytes().all(|it| it.is_ascii_digit() || it.is_ascii_uppercase())
}

/// `YYYYMMDDHHMMSS` at UTC+08:00.
pub fn moment(text: &str) -> Option<Time> {
    if text.len() != 14 || !digits(text) {
        return None;
    }
    let local = NaiveDateTime::parse_from_str(text, "%Y%m%d%H%M%S").ok()?;
    let utc = local.and_local_timezone(FixedOffset::east_opt(ZONE_HOURS * 3600)?).single()?;
    let time = Time::from_ms(utc.timestamp_millis());
    // A leap second or a year before 1970 would come back as another time.
    (write_moment(time).as_deref() == Some(text)).then_some(time)
}

/// `None`: parts of a second, or a year with five digits.
pub fn write_moment(at: Time) -> Option<String> {
    let zone = FixedOffset::east_opt(ZONE_HOURS * 3600)?;
    let utc = DateTime::from_timestamp_millis(at.ms()).filter(|_| at.ms() % 1000 == 0)?;
    let text = utc.with_timezone(&zone).format("%Y%m%d%H%M%S").to_string();
    (text.len() == 14).then_some(text)
}

/// The code of a contract (合约标识码): 47 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContractCode(Box<str>);

/// What a contract's code is made of.
#[derive(Clone, Copy, Debug)]
pub struct Issue<'a> {
    /// The service node's owner, 18 characters.
    pub subject: &'a str,
    /// Its region or industry, four digits.
    pub region: &'a str,
    /// Whole seconds.
    pub at: Time,
    /// Eight characters of `0-9A-Z`, drawn by the caller.
    pub random: &'a str,
}

impl ContractCode {
    const SEGMENTS: [(&'static str, usize); 7] = [
        ("type", 1),
        ("type of node", 1),
        ("subject", 18),
        ("region", 4),
        ("time", 14),
        ("random part", 8),
        ("check character", 1),
    ];

    /// # Errors
    /// The first thing that is wrong, from the left; the check character last.
    pub fn parse(text: &str) -> Result<Self, BadCode> {
        let length = text.chars().count();
        if length != 47 {
            return Err(BadCode::Length(length));
        }
        let mut rest = text;
        for (name, width) in Self::SEGMENTS {
            let (segment, after) = rest.split_at_checked(width).ok_or(BadCode::Segment(name))?;
            let ok = match name {
                "region" | "time" => digits(segment),
                "check character" => residue(segment).is_some(),
                _ => letters(segment),
            };
            if !ok {
                return Err(BadCode::Segment(name));
            }
            if name == "time" && moment(segment).is_none() {
                return Err(BadCode::Time);
            }
            rest = after;
        }
        if checks(text) { Ok(Self(text.into())) } else { Err(BadCode::Check) }
    }

    /// A new code; the platform's business, and that of tests.
    ///
    /// # Errors
    /// A segment that cannot stand in a code.
    pub fn build(it: &Issue<'_>) -> Result<Self, BadCode> {
        let time = write_moment(it.at).ok_or(BadCode::Time)?;
        let Issue { subject, region, random, .. } = it;
        for (name, segment, width) in
            [("subject", subject, 18), ("region", region, 4), ("random part", random, 8)]
        {
            if segment.len() != width {
                return Err(BadCode::Segment(name));
            }
        }
        let body = format!("{CONTRACT}{SERVICE_NODE}{subject}{region}{time}{random}");
        let check = check_character(&body).ok_or(BadCode::Check)?;
        Self::parse(&format!("{body}{check}"))
    }

    fn segment(&self, from: usize, to: usize) -> &str {
        // Parsed: all ASCII and 47 long.
        self.0.get(from..to).unwrap_or_default()
    }

    /// The operator of the platform that gave the code.
    pub fn subject(&self) -> &str {
        self.segment(2, 20)
    }

    pub fn region(&self) -> &str {
        self.segment(20, 24)
    }

    pub fn issued(&self) -> Option<Time> {
        moment(self.segment(24, 38))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContractCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The 32 characters of a node, product or resource, of one of `kinds`.
fn object(text: &str, kinds: &str) -> Result<(), BadCode> {
    let length = text.chars().count();
    if length != 32 {
        return Err(BadCode::Length(length));
    }
    let mut rest = text;
    for (name, width) in
        [("type", 1), ("subject", 18), ("region", 4), ("random part", 8), ("check character", 1)]
    {
        let (segment, after) = rest.split_at_checked(width).ok_or(BadCode::Segment(name))?;
        let ok = match name {
            "region" => digits(segment),
            "check character" => residue(segment).is_some(),
            _ => letters(segment),
        };
        if !ok {
            return Err(BadCode::Segment(name));
        }
        if name == "type" && !kinds.contains(segment) {
            return Err(BadCode::Kind);
        }
        rest = after;
    }
    if checks(text) { Ok(()) } else { Err(BadCode::Check) }
}

macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, BadCode> {
                let check: fn(&str) -> Result<(), BadCode> = $check;
                check(text).map(|()| Self(text.into()))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

impl NodeCode {
    fn part(&self, from: usize, to: usize) -> &str {
        // Parsed: all ASCII and 32 long.
        self.0.get(from..to).unwrap_or_default()
    }

    /// Who runs it.
    pub fn subject(&self) -> Option<SubjectCode> {
        SubjectCode::parse(self.part(1, 19)).ok()
    }

    /// Its region or industry, four digits.
    pub fn region(&self) -> &str {
        self.part(19, 23)
    }

    /// Not a connector, but a platform: who gives contracts their codes.
    pub fn is_service_node(&self) -> bool {
        self.part(0, 1).starts_with(SERVICE_NODE)
    }
}

impl ProductCode {
    /// The code under which the connector `owner` speaks of a product that is known by this UUID: its 32 hexadecimal
    /// digits are the extension (which keeps an older identifier, NDI-TR-2025-04 4.3), and the random part follows from
    /// them, so that one product has one code. Until a function node gives another.
    pub fn of_uuid(owner: &NodeCode, id: Uuid) -> Option<Self> {
        let extension = id.simple().to_string();
        let digest = sha256(extension.as_bytes());
        let letter = |byte: &u8| ALPHABET.get(usize::from(*byte) % 36).copied().map(char::from);
        let random: Option<String> = digest.as_bytes().iter().take(8).map(letter).collect();
        let body = format!("6{}{}{}", owner.subject()?.as_str(), owner.region(), random?);
        let check = check_character(&body)?;
        Self::parse(&format!("{body}{check}{BULLET}{extension}")).ok()
    }

    /// The UUID that the extension holds.
    pub fn uuid(&self) -> Option<Uuid> {
        let (_, extension) = self.0.split_once(BULLET)?;
        let id = Uuid::try_parse(extension).ok()?;
        (id.simple().to_string() == extension).then_some(id)
    }
}

code! {
    /// A party (主体标识码): a unified social credit code, or what a registry gave; 18 characters without a check of
    /// their own, since a person's code has none.
    SubjectCode, |text| match text.chars().count() {
        18 if letters(text) => Ok(()),
        18 => Err(BadCode::Segment("subject")),
        other => Err(BadCode::Length(other)),
    }
}

code! {
    /// Where a contract is carried out: a connector (5) or a service node (4).
    NodeCode, |text| object(text, "45")
}

code! {
    /// A data product (6), with its extension if it has one. The check character does not cover the extension.
    ProductCode, |text| {
        let (code, extension) = match text.split_once(BULLET) {
            Some((code, extension)) => (code, Some(extension)),
            None => (text, None),
        };
        object(code, "6")?;
        let Some(extension) = extension else { return Ok(()) };
        let plain = |it: u8| it.is_ascii_alphanumeric() || b"-._/".contains(&it);
        if !extension.bytes().all(plain) {
            return Err(BadCode::Segment("extension"));
        }
        if (1..=32).contains(&extension.len()) {
            Ok(())
        } else {
            Err(BadCode::Length(33 + extension.len()))
        }
    }
}

/// A code as an ODRL policy names it.
pub fn urn(code: &str) -> Option<Id> {
    Id::parse(&format!("{URN}{}", code.replace(BULLET, "%E2%80%A2"))).ok()
}

/// The product that an ODRL target names.
pub fn product_of(id: &Id) -> Option<ProductCode> {
    let code = id.as_str().strip_prefix(URN)?;
    ProductCode::parse(&code.replace("%E2%80%A2", "•")).ok()
}

#[cfg(test)]
mod tests;
