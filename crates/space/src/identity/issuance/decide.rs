//! What an issuer decides about a request (DCP §6.4): issue, repeat what was decided before, or refuse.
//!
//! Never signs and never gives out a place on the status list: the shell does both, in the transaction that saves
//! what is decided here. The node executes these decisions in its database, the simulator in memory.
//!
//! Threats held off here: a request that is repeated (it gets what the first one got, DCP §6.4), one of somebody
//! who is not invited, one invitation used for two requests, and a holder that opens requests without end.

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::id::Id;
use crate::identity::credential::{
    COUNTRY, CREDIT_CODE, Credential, MEMBERSHIP, Profile, Purpose, ROLES, SPACE, Status, Subject,
};
use crate::identity::did::Did;
use crate::identity::issuance::machine::{self, Input, Step};
use crate::identity::issuance::message::{Container, Request};
use crate::identity::issuance::state::{Issuance, State};
use crate::limits::{MEMBERSHIP_LIFE, OPEN_REQUESTS, STATUS_LEAST_BYTES};
use crate::time::Time;

/// Credentials on one published list.
pub const PER_LIST: u64 = (STATUS_LEAST_BYTES as u64) * 8;

/// One thing that an issuer can issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Its id in the issuer's metadata.
    pub object: String,
    pub kind: String,
    pub profile: Profile,
    /// The space that it makes somebody a member of; none for test credentials.
    pub space: Option<String>,
}

impl Offered {
    /// A membership of a space that the issuer runs.
    pub fn membership(space: &str, profile: Profile) -> Self {
        Self {
            object: format!("{space}#{}", word(profile)),
            kind: MEMBERSHIP.to_owned(),
            profile,
            space: Some(space.to_owned()),
        }
    }
}

/// The data model in the ids of what is issued and in the paths of status lists.
pub fn word(profile: Profile) -> &'static str {
    match profile {
        Profile::Vc11 => "vc11",
        Profile::Vc20 => "vc20",
    }
}

/// By its [`word`].
pub fn from_word(text: &str) -> Option<Profile> {
    Profile::ALL.into_iter().find(|it| word(*it) == text)
}

/// An invitation that holds and was not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invited {
    pub space: String,
    /// Role words, space separated.
    pub roles: String,
    /// Code of its region.
    pub country: Option<String>,
    /// Of its legal entity.
    pub credit_code: Option<String>,
}

/// A request of a holder that proved itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What the request is called if it is new.
    pub id: String,
    pub issuer: Did,
    pub holder: Did,
    pub access: Option<String>,
    pub request: Request,
    /// What it wants, as [`wanted`] found it.
    pub wanted: Vec<Offered>,
}

/// What the store knows of the holder, loaded in the transaction of the decision.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Its requests that are still to be decided or delivered.
    pub open: Vec<Issuance>,
    /// Where a membership is wanted: its requests that are over. Each used an invitation up, so they are few.
    pub past: Vec<Issuance>,
    /// One for each of [`Order::wanted`].
    pub invitations: Vec<Option<Invited>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was asked before, and our answer or our delivery was lost: the wallet listens now.
    Again(Box<Issuance>),
    /// It was asked before, and that is over: what came of it stands. Who wants another credential asks anew.
    Known(String),
    /// Sign what is wanted, use the invitations up, then [`approve`].
    Issue,
}

/// What the request wants, by the ids of the issuer's metadata.
pub fn wanted(request: &Request, known: &[Offered]) -> Result<Vec<Offered>, Fault> {
    let found = |want: &String| known.iter().find(|it| it.object == *want).cloned();
    let all: Option<Vec<Offered>> = request.wants.iter().map(found).collect();
    all.ok_or_else(|| {
        Fault::misbehaved("issuance.unknown", "one of the credentials is not issued here")
    })
}

/// Who is invited gets what it asked for; nothing is written for anybody else.
pub fn decide(it: &Order, view: &View) -> Result<Verdict, Fault> {
    let same =
        |old: &&Issuance| old.holder_pid == it.request.holder_pid && old.wants == it.request.wants;
    if let Some(old) = view.open.iter().find(same) {
        return Ok(Verdict::Again(Box::new(old.clone())));
    }
    // Also under a later invitation: that one is for another request.
    if let Some(old) = view.past.iter().find(same) {
        return Ok(Verdict::Known(old.id.clone()));
    }
    if u64::try_from(view.open.len()).unwrap_or(u64::MAX) >= OPEN_REQUESTS {
        return Err(Fault::refused("issuance.many", "too many open requests"));
    }
    for (at, want) in it.wanted.iter().enumerate() {
        let invited = view.invitations.get(at).and_then(Option::as_ref);
        if want.space.is_some() && want.space.as_ref() != invited.map(|it| &it.space) {
            let why = "the space's operator has not invited this organisation";
            return Err(Fault::denied("issuance.uninvited", "invitation", why));
        }
    }
    Ok(Verdict::Issue)
}

/// The credential that is to be signed. `list` and `index`: its place, which nobody else ever gets.
pub fn credential(
    it: &Order,
    (want, invited): (&Offered, Option<&Invited>),
    (list, index): (String, u64),
    id: &Id,
    now: Time,
) -> Credential {
    let mut claims = Map::new();
    claims.insert("id".to_owned(), it.holder.as_str().into());
    if let Some(invited) = invited {
        let roles: Vec<Value> = invited.roles.split_whitespace().map(Value::from).collect();
        claims.insert(SPACE.to_owned(), invited.space.clone().into());
        claims.insert(ROLES.to_owned(), roles.into());
        claims.extend(invited.country.clone().map(|it| (COUNTRY.to_owned(), it.into())));
        let code = invited.credit_code.clone();
        claims.extend(code.map(|it| (CREDIT_CODE.to_owned(), it.into())));
    }
    Credential {
        profile: want.profile,
        id: Some(id.to_string()),
        kinds: vec!["VerifiableCredential".to_owned(), want.kind.clone()],
        issuer: it.issuer.clone(),
        subjects: vec![Subject { id: Some(it.holder.to_string()), claims }],
        from: Some(now),
        until: Some(now.after(MEMBERSHIP_LIFE)),
        statuses: vec![Status { list, index, purpose: Purpose::Revocation }],
        schemas: Vec::new(),
    }
}

/// The request as it came, before anybody decided.
pub fn received(it: &Order, now: Time) -> Issuance {
    Issuance {
        id: it.id.clone(),
        issuer: it.issuer.clone(),
        holder: it.holder.clone(),
        holder_pid: it.request.holder_pid.clone(),
        wants: it.request.wants.clone(),
        access: it.access.clone(),
        created: now,
        moved: now,
        state: State::Received,
    }
}

/// The request, granted: to be saved with the places, the used invitations and the facts.
pub fn approve(
    it: &Order,
    credentials: Vec<Container>,
    now: Time,
) -> Result<(Issuance, Step), Fault> {
    machine::next(&received(it, now), Input::Approve { credentials }, now)
}

/// What came of telling the wallet, and when it is told again. An outcome that another replica recorded first
/// changes nothing, and nothing is owed any more.
pub fn told(it: &Issuance, input: Input, now: Time) -> (Issuance, Option<Time>) {
    match machine::next(it, input, now) {
        Ok((after, step)) => (after, step.deliver),
        Err(_) => (it.clone(), None),
    }
}
