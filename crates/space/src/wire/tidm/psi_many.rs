//! Matching of lists of more than two parties: an invitation, a member's word, the start with the words of all.
//!
//! Never carries an item, a secret key or a result. What follows (joining, streams) is [`super::psi`]'s.
//!
//! | who serves | method path | in | out |
//! |---|---|---|---|
//! | member | POST `/tidm/1/psi-many/invite` | `PsiManyInvitation` | 200 `PsiManyWord`, 4xx `LeaseRefusal` |
//! | member | POST `/tidm/1/psi-many/start` | `PsiManyStart` | 200 `PsiAcceptance`, 4xx `LeaseRefusal` |

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::id::Id;
use crate::limits::{MATCH_MEMBERS, MATCH_WORD_BYTES};
use crate::policy::matching::Key;
use crate::psi::many::{Agreed, Invitation, Member, Proposal, Start, Word};
use crate::wire::Posting;
use crate::wire::dsp::put;
use crate::wire::json::{Fields, base64url, parse};

use super::{envelope, lease};

/// Where a session is proposed, below the member's DSP base.
pub const INVITE_PATH: &str = "/tidm/1/psi-many/invite";
/// Where the words of all are shown to it.
pub const START_PATH: &str = "/tidm/1/psi-many/start";

fn put_proposal(doc: &mut Map<String, Value>, it: &Proposal) {
    put(doc, "session", Some(base64url(&it.id)));
    put(doc, "leader", Some(it.leader.to_string()));
    put(doc, "items", Some(it.items));
    put(doc, "key", Some(it.key.to_string()));
    let member = |it: &Member| {
        let mut doc = Map::new();
        put(&mut doc, "participant", Some(it.did.to_string()));
        put(&mut doc, "contract", Some(it.under.to_string()));
        Value::Object(doc)
    };
    doc.insert("members".to_owned(), it.members.iter().map(member).collect());
}

/// At most as many entries as there may be members.
fn entries<'a>(it: &Fields<'a>, name: &str) -> Result<&'a [Value], Fault> {
    let all = it.array(name)?;
    if all.len() > MATCH_MEMBERS { Err(it.wrong(name, "has too many entries")) } else { Ok(all) }
}

fn proposal(it: &Fields<'_>) -> Result<Proposal, Fault> {
    let member = |it: &Value| {
        let it = Fields::at(it, "members[]")?;
        Ok(Member { did: it.did("participant")?, under: it.digest("contract")? })
    };
    let members: Result<Vec<Member>, Fault> = entries(it, "members")?.iter().map(member).collect();
    let read = Proposal {
        id: it.exact_bytes("session")?,
        leader: it.did("leader")?,
        items: it.number("items")?,
        key: it.word("key", Key::parse)?,
        members: members?,
    };
    read.check()?;
    Ok(read)
}

fn put_word(doc: &mut Map<String, Value>, it: &Word) {
    put(doc, "key", Some(base64url(&it.key)));
    put(doc, "items", Some(it.items));
    put(doc, "signature", Some(it.signature.as_str()));
}

fn word(it: &Fields<'_>) -> Result<Word, Fault> {
    let signature = it.text("signature")?;
    if signature.len() > MATCH_WORD_BYTES {
        return Err(it.wrong("signature", "is too long"));
    }
    let signature = signature.to_owned();
    Ok(Word { key: it.exact_bytes("key")?, items: it.number("items")?, signature })
}

/// `PsiManyInvitation`.
pub fn write_invitation(id: &Id, it: &Invitation) -> Posting {
    let mut doc = envelope("PsiManyInvitation", Some(id));
    put(&mut doc, "contract", Some(it.contract.as_str()));
    put_proposal(&mut doc, &it.proposal);
    Posting { path: INVITE_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

/// Reads a `PsiManyInvitation`.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed` with the field; [`Fault::Refused`] `psi.*` for parties that cannot be.
pub fn read_invitation(body: &[u8]) -> Result<(Option<Id>, Invitation), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("PsiManyInvitation")?;
    let it = Invitation { contract: top.id("contract")?, proposal: proposal(&top)? };
    Ok((top.id_opt("@id")?, it))
}

/// `PsiManyWord`.
pub fn write_word(it: &Word) -> String {
    let mut doc = envelope("PsiManyWord", None);
    put_word(&mut doc, it);
    Value::Object(doc).to_string()
}

/// Reads a `PsiManyWord`.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed` with the field.
pub fn read_word(body: &[u8]) -> Result<Word, Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("PsiManyWord")?;
    word(&top)
}

/// What all agreed on, as it travels and as a row keeps it.
pub fn agreed_doc(it: &Agreed) -> Value {
    let mut doc = Map::new();
    put_proposal(&mut doc, &it.proposal);
    let word = |it: &Word| {
        let mut doc = Map::new();
        put_word(&mut doc, it);
        Value::Object(doc)
    };
    doc.insert("words".to_owned(), it.words.iter().map(word).collect());
    Value::Object(doc)
}

/// Reads what [`agreed_doc`] wrote. Whose words they are is not looked at.
///
/// # Errors
/// As [`read_invitation`].
pub fn read_agreed(it: &Value) -> Result<Agreed, Fault> {
    agreed(&Fields::top(it)?)
}

fn agreed(it: &Fields<'_>) -> Result<Agreed, Fault> {
    let proposal = proposal(it)?;
    let read = |it: &Value| word(&Fields::at(it, "words[]")?);
    let words: Result<Vec<Word>, Fault> = entries(it, "words")?.iter().map(read).collect();
    let agreed = Agreed { proposal, words: words? };
    agreed.check()?;
    Ok(agreed)
}

/// `PsiManyStart`.
pub fn write_start(id: &Id, it: &Start) -> Posting {
    let mut doc = envelope("PsiManyStart", Some(id));
    doc.insert("agreed".to_owned(), agreed_doc(&it.agreed));
    let mut asked = Map::new();
    lease::put_request(&mut asked, &it.lease);
    doc.insert("lease".to_owned(), Value::Object(asked));
    Posting { path: START_PATH.to_owned(), body: Value::Object(doc).to_string() }
}

/// Reads a `PsiManyStart`.
///
/// # Errors
/// As [`read_invitation`]; `psi.session` where lease and session do not belong together.
pub fn read_start(body: &[u8]) -> Result<(Option<Id>, Start), Fault> {
    let value = parse(body)?;
    let top = Fields::top(&value)?;
    top.expect_type("PsiManyStart")?;
    let it = Start {
        agreed: agreed(&top.object("agreed")?)?,
        lease: lease::request(&top.object("lease")?)?,
    };
    if !it.fits() {
        let why = "the lease asked for is not one for this session";
        return Err(Fault::misbehaved("psi.session", why));
    }
    Ok((top.id_opt("@id")?, it))
}

#[cfg(test)]
mod tests;
