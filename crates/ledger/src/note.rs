//! Signed notes (C2SP signed-note): text, and lines by which keys vouch for it.
//!
//! Threat model: notes come from anyone. Must never accept a second spelling of a signature line
//! (base64 with unused bits set, other white space): two byte strings would be one note, and a
//! witness could be made to look as if it had signed both. Must never let lines of strangers decide
//! anything: they are ignored, whatever they hold.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::cosignature;
use crate::limits::{
    MAX_NAME_BYTES, MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES, MAX_TIMESTAMP, MAX_VKEY_BYTES,
};

/// Why a note, a key or a signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The text does not follow the format.
    #[error("malformed note: {0}")]
    Malformed(&'static str),
    /// A bound of [`crate::limits`] is exceeded.
    #[error("the note is too long or has too many signatures")]
    TooLarge,
    /// The key's text does not follow the format, or its ID is not the one of its bytes.
    #[error("malformed verifier key: {0}")]
    BadKey(&'static str),
    /// A key of another type than these two; the specification has more.
    #[error(
        "verifier keys of type 0x{0:02x} are not supported: use Ed25519 (0x01, or 0x04 for a witness)"
    )]
    UnsupportedKey(u8),
    /// A line names a known key but its signature is wrong: the whole note is refused.
    #[error("a signature by a known key does not verify: do not trust this note")]
    BadSignature,
    /// No line is by a known key.
    #[error("no signature by a known key")]
    Unsigned,
    /// The key cannot make this kind of signature, or the timestamp is 0 or too large.
    #[error("this key or time cannot be used for this signature")]
    Misuse,
}

/// What a key's signatures mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// 0x01: Ed25519 over the note's text.
    Ed25519,
    /// 0x04: timestamped Ed25519 cosignature over a checkpoint.
    Cosignature,
}

impl KeyKind {
    /// The type byte in keys and key IDs.
    pub fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
        }
    }

    fn from_byte(byte: u8) -> Result<Self, NoteError> {
        match byte {
            0x01 => Ok(Self::Ed25519),
            0x04 => Ok(Self::Cosignature),
            other => Err(NoteError::UnsupportedKey(other)),
        }
    }
}

/// "Key names MUST be non-empty and MUST NOT contain any Unicode spaces or plus characters."
pub fn is_key_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && !name.chars().any(|it| it.is_whitespace() || it == '+' || it < ' ')
}

fn key_id(name: &str, kind: u8, public: &[u8]) -> u32 {
    let mut hasher = Sha256::new();
    hasher.update(name.as_bytes());
    hasher.update([b'\n', kind]);
    hasher.update(public);
    let digest: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, ..] = digest;
    u32::from_be_bytes([a, b, c, d])
}

/// A named public key: `<name>+<hex id>+<base64(type ‖ key)>`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: u32,
    kind: KeyKind,
    key: VerifyingKey,
}

impl VerifierKey {
    /// From a name and the 32 bytes of an Ed25519 public key.
    pub fn new(name: &str, kind: KeyKind, public: &[u8; 32]) -> Result<Self, NoteError> {
        if !is_key_name(name) {
            return Err(NoteError::BadKey("the name is empty, too long or has spaces or a plus"));
        }
        let key = VerifyingKey::from_bytes(public)
            .ok()
            .filter(|it| !it.is_weak())
            .ok_or(NoteError::BadKey("the public key is not a point of full order"))?;
        Ok(Self { name: name.to_owned(), id: key_id(name, kind.byte(), public), kind, key })
    }

    /// Reads the text form. The ID is recomputed: the key of a witness published with the ID of
    /// type 0x01 would never match a signature line.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        if text.len() > MAX_VKEY_BYTES {
            return Err(NoteError::BadKey("too long"));
        }
        // The base64 part may hold plus signs, the name may not.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::BadKey("expected <name>+<id>+<key>"));
        };
        let lower_hex = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
        if id.len() != 8 || !id.bytes().all(lower_hex) {
            return Err(NoteError::BadKey("the ID is not eight lower-case hexadecimal digits"));
        }
        let id =
            u32::from_str_radix(id, 16).map_err(|_| NoteError::BadKey("the ID is no number"))?;
        let key = STANDARD.decode(key).map_err(|_| NoteError::BadKey("not strict base64"))?;
        let (&kind, public) = key.split_first().ok_or(NoteError::BadKey("the key is empty"))?;
        let kind = KeyKind::from_byte(kind)?;
        let public =
            public.try_into().map_err(|_| NoteError::BadKey("the public key is not 32 bytes"))?;
        let it = Self::new(name, kind, public)?;
        if it.id == id {
            Ok(it)
        } else {
            Err(NoteError::BadKey("the ID does not belong to this name, type and key"))
        }
    }

    /// As [`Self::parse`], from untrusted bytes.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, NoteError> {
        Self::parse(std::str::from_utf8(bytes).map_err(|_| NoteError::BadKey("not UTF-8"))?)
    }

    /// Key name as in signature lines.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// First four bytes of the hash of name, type and key.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What its signatures mean.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The Ed25519 public key.
    pub fn public(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Whether `line` claims to be by this key.
    pub fn matches(&self, line: &SignatureLine) -> bool {
        self.id == line.id && self.name == line.name
    }

    /// Checks a signature line over `text`. `Ok` holds the time of a cosignature in Unix seconds.
    pub fn verify(&self, text: &str, line: &SignatureLine) -> Result<Option<u64>, NoteError> {
        if !self.matches(line) {
            return Err(NoteError::BadSignature);
        }
        let check = |message: &[u8], signature: &[u8]| {
            let signature =
                Signature::from_slice(signature).map_err(|_| NoteError::BadSignature)?;
            self.key.verify_strict(message, &signature).map_err(|_| NoteError::BadSignature)
        };
        match self.kind {
            KeyKind::Ed25519 => check(text.as_bytes(), &line.signature).map(|()| None),
            KeyKind::Cosignature => {
                let (time, signature) =
                    line.signature.split_first_chunk::<8>().ok_or(NoteError::BadSignature)?;
                let time = u64::from_be_bytes(*time);
                if time == 0 || time > MAX_TIMESTAMP {
                    return Err(NoteError::BadSignature);
                }
                check(cosignature::message(text, time).as_bytes(), signature).map(|()| Some(time))
            }
        }
    }

    /// The signature line around a signature made elsewhere (a hardware key) over the note's text,
    /// or for a cosignature key over [`cosignature::message`]. Checked before it is returned.
    pub fn line(
        &self,
        text: &str,
        time: Option<u64>,
        signature: &[u8; 64],
    ) -> Result<SignatureLine, NoteError> {
        let mut bytes = Vec::with_capacity(72);
        match (self.kind, time) {
            (KeyKind::Ed25519, None) => {}
            (KeyKind::Cosignature, Some(time)) => bytes.extend_from_slice(&time.to_be_bytes()),
            (KeyKind::Ed25519, Some(_)) | (KeyKind::Cosignature, None) => {
                return Err(NoteError::Misuse);
            }
        }
        bytes.extend_from_slice(signature);
        let line = SignatureLine { name: self.name.clone(), id: self.id, signature: bytes };
        self.verify(text, &line)?;
        Ok(line)
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.kind.byte()];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        Self::parse(text)
    }
}

/// A named secret key. The bytes are erased when it is dropped and never shown.
pub struct NoteSigner {
    verifier: VerifierKey,
    secret: SigningKey,
}

impl NoteSigner {
    /// A log's key (type 0x01) from its 32-byte seed.
    pub fn ed25519(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        Self::new(name, KeyKind::Ed25519, seed)
    }

    /// A witness's key (type 0x04) from its 32-byte seed. Use the seed for nothing else.
    pub fn cosigner(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        Self::new(name, KeyKind::Cosignature, seed)
    }

    fn new(name: &str, kind: KeyKind, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let secret = SigningKey::from_bytes(seed);
        let verifier = VerifierKey::new(name, kind, secret.verifying_key().as_bytes())?;
        Ok(Self { verifier, secret })
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs `text`, which ends in a newline, with a key of type 0x01.
    pub fn sign(&self, text: &str) -> Result<SignatureLine, NoteError> {
        self.verifier.line(text, None, &self.secret.sign(text.as_bytes()).to_bytes())
    }

    /// Cosigns a checkpoint's text at `time` (Unix seconds, not 0) with a key of type 0x04.
    pub fn cosign(&self, text: &str, time: u64) -> Result<SignatureLine, NoteError> {
        let message = cosignature::message(text, time);
        self.verifier.line(text, Some(time), &self.secret.sign(message.as_bytes()).to_bytes())
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSigner({})", self.verifier)
    }
}

/// One line `— <name> <base64(id ‖ signature)>`, without its newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine {
    name: String,
    id: u32,
    signature: Vec<u8>,
}

impl SignatureLine {
    /// Reads one line without its newline.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let bad = NoteError::Malformed("a signature line is not `— <name> <base64>`");
        let (name, signature) = line
            .strip_prefix("\u{2014} ")
            .and_then(|it| it.split_once(' '))
            .filter(|(name, _)| is_key_name(name))
            .ok_or(bad)?;
        let bytes = STANDARD.decode(signature).map_err(|_| bad)?;
        let (id, signature) = bytes.split_first_chunk::<4>().ok_or(bad)?;
        if signature.is_empty() {
            return Err(bad);
        }
        Ok(Self {
            name: name.to_owned(),
            id: u32::from_be_bytes(*id),
            signature: signature.to_vec(),
        })
    }

    /// Key name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Key ID.
    pub fn id(&self) -> u32 {
        self.id
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.signature);
        write!(f, "\u{2014} {} {}", self.name, STANDARD.encode(bytes))
    }
}

/// A signature that verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// By this key.
    pub key: VerifierKey,
    /// At this time in Unix seconds, if the key makes cosignatures.
    pub time: Option<u64>,
}

/// A text and its signature lines, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

impl Note {
    /// A note without signatures yet. `text` must end in a newline and hold no control characters.
    pub fn new(text: String) -> Result<Self, NoteError> {
        if text.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        if !text.ends_with('\n') {
            return Err(NoteError::Malformed("the text does not end in a newline"));
        }
        no_control(&text)?;
        Ok(Self { text, signatures: Vec::new() })
    }

    /// Reads text, blank line and at least one signature line.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        no_control(note)?;
        // "the text is separated from the signatures by the last empty line in the note"
        let split =
            note.rfind("\n\n").ok_or(NoteError::Malformed("no blank line before signatures"))?;
        let (text, rest) = note.split_at(split + 1);
        let lines = rest
            .strip_prefix('\n')
            .and_then(|it| it.strip_suffix('\n'))
            .ok_or(NoteError::Malformed("no signatures, or the last line has no newline"))?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == MAX_NOTE_SIGNATURES {
                return Err(NoteError::TooLarge);
            }
            signatures.push(SignatureLine::parse(line)?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// As [`Self::parse`], from untrusted bytes.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, NoteError> {
        Self::parse(std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed("not UTF-8"))?)
    }

    /// The signed text, newline included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines as they came.
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Adds a line, in place of an earlier one by the same key.
    pub fn add(&mut self, line: SignatureLine) -> Result<(), NoteError> {
        self.signatures.retain(|it| (it.id, &it.name) != (line.id, &line.name));
        if self.signatures.len() >= MAX_NOTE_SIGNATURES {
            return Err(NoteError::TooLarge);
        }
        self.signatures.push(line);
        Ok(())
    }

    /// The same text with only the lines by `key`.
    #[must_use]
    pub fn only(&self, key: &VerifierKey) -> Self {
        let signatures = self.signatures.iter().filter(|it| key.matches(it)).cloned().collect();
        Self { text: self.text.clone(), signatures }
    }

    /// The signatures by `keys`, each key once, in the order of the lines.
    ///
    /// One bad signature by a known key refuses the whole note; lines of unknown keys are ignored;
    /// at least one known key must have signed.
    pub fn verify<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a VerifierKey> + Clone,
    ) -> Result<Vec<Verified>, NoteError> {
        let mut verified: Vec<Verified> = Vec::new();
        for line in &self.signatures {
            let mut claimed = false;
            let mut found = None;
            // Two known keys may collide in name and ID: one of them has to verify.
            for key in keys.clone().into_iter().filter(|it| it.matches(line)) {
                claimed = true;
                if let Ok(time) = key.verify(&self.text, line) {
                    found = Some(Verified { key: key.clone(), time });
                    break;
                }
            }
            match found {
                Some(it) if verified.iter().any(|before| before.key == it.key) => {}
                Some(it) => verified.push(it),
                None if claimed => return Err(NoteError::BadSignature),
                None => {}
            }
        }
        if verified.is_empty() { Err(NoteError::Unsigned) } else { Ok(verified) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|it| writeln!(f, "{it}"))
    }
}

/// "MUST NOT contain any ASCII control characters (those below U+0020) other than newline".
fn no_control(text: &str) -> Result<(), NoteError> {
    if text.bytes().any(|it| it < b' ' && it != b'\n') {
        return Err(NoteError::Malformed("control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
