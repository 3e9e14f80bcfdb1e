//! People of this node at work: what administrators do to accounts, how a person sets a password, what a rule lets them use.
//!
//! Each act is decided by [`tidm_space::people::decide`] inside the transaction that does it, against the people as they
//! are then, and leaves an entry in the log, done or refused. Threat model: as there; besides, two acts at the same time
//! (decided one after the other), a stolen database (tokens are digests, secrets of second factors sealed), and accounts
//! taken over by a link (sessions and keys of before end when it is used).
//!
//! Never a secret in the log, and never a right that is kept anywhere but in the account's row.

mod deed;
pub mod diary;
pub mod factor;
pub mod here;
pub mod oidc;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::AnyConnection;

use tidm_space::id::Id;
use tidm_space::people::decide::{Act, Denied, Person, State, decide};
use tidm_space::people::log::ANONYMOUS;
use tidm_space::people::role::{Role, conflict};
use tidm_space::people::rule::Known;
use tidm_space::people::scope::Scope;
use tidm_space::time::Time;

pub use deed::{Deed, perform};
pub(crate) use diary::refused;

use crate::accounts::{Who, broken, digest, secret, store_failed, tried};
use crate::app::App;
use crate::config::Config;
use crate::passwords::{self, NOBODY, REMEMBERED, hash, verify};
use crate::problem::Problem;
use crate::store::accounts as accounts_rows;
use crate::store::people::tries::drop_tries;
use crate::store::people::{self as rows, Said, say};
use crate::store::{Store, StoreError};

/// A person opens their mail within this time.
pub const LINK_LIFE: Duration = Duration::from_secs(72 * 3600);
/// Longest subject of an entry: a method and a path.
const SUBJECT_CHARS: usize = 200;

/// Somebody who is to set a password. The token is shown once.
#[derive(Clone, Debug)]
pub struct Invited {
    pub name: String,
    pub role: Option<Role>,
    pub token: String,
    pub until: Time,
}

/// What a note found out, for whoever waits for it.
#[derive(Clone)]
pub(crate) struct Slot<T>(Arc<Mutex<Option<T>>>);

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    pub(crate) fn put(&self, it: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(it);
    }

    pub(crate) fn take(&self) -> Result<T, Problem> {
        let it = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        it.ok_or_else(|| Problem::of("internal"))
    }
}

/// A denial as its reader sees it.
pub(crate) fn problem(denied: &Denied) -> Problem {
    let code = match denied {
        Denied::Separation(..) => "people.separation",
        Denied::Inactive => "auth.required",
        Denied::Missing(scope) => {
            return Problem::of("auth.forbidden").cause(format!("scope {}", scope.word()));
        }
        Denied::StepUp => "auth.step-up",
        Denied::Enrol => "auth.enrol",
        Denied::Oneself => "people.oneself",
        Denied::Last(_) => "people.last",
        Denied::State(_) => "people.state",
    };
    Problem::of(code).detail(denied.reason())
}

/// The two administrators beside the first one.
pub(crate) fn others(first: &str, now: Time) -> Vec<Invited> {
    let name = |usual: &str, role: Role| {
        if usual == first { role.word().to_owned() } else { usual.to_owned() }
    };
    [("security", Role::Security), ("audit", Role::Audit)]
        .map(|(usual, role)| Invited {
            name: name(usual, role),
            role: Some(role),
            token: secret(),
            until: now.after(LINK_LIFE),
        })
        .into()
}

pub(crate) async fn invite_others(
    conn: &mut AnyConnection,
    others: &[Invited],
    now: Time,
) -> Result<(), StoreError> {
    for it in others {
        let person = Person {
            name: it.name.clone(),
            state: State::Invited,
            roles: it.role.into_iter().collect(),
            known: Known::default(),
            second_factor: false,
        };
        rows::insert(conn, &person, NOBODY, now).await?;
        rows::save_link(conn, &it.name, &digest(&it.token), it.until).await?;
    }
    Ok(())
}

/// What must hold before the node starts: a setting that was turned on must not find what it forbids.
pub async fn admit(store: &Store, config: &Config) -> anyhow::Result<()> {
    if !config.people.settings.separation {
        return Ok(());
    }
    let mut after = None;
    loop {
        let page = store.people(after.as_ref(), 200).await?;
        for it in page.rows.iter().filter(|it| it.state == State::Active) {
            if let Some((a, b)) = conflict(&it.roles) {
                anyhow::bail!(
                    "people.separation is on, but {} holds {} and {}: start with it off, give each administrator's role to an account of its own (tidm people role), then turn it on / 三员分立已启用,但该账户兼任多个角色",
                    it.name,
                    a.word(),
                    b.word()
                );
            }
        }
        let Some(next) = page.next else { return Ok(()) };
        after = Some(next);
    }
}

/// Sets a password by a one-time link; the account's name.
pub async fn join(app: &App, token: &str, password: &str) -> Result<String, Problem> {
    let joined = joined(app, token, password).await;
    if let Err(why) = &joined {
        refused(app, ANONYMOUS, "join", "", why.code).await?;
    }
    joined
}

async fn joined(app: &App, token: &str, password: &str) -> Result<String, Problem> {
    let wrong = || Problem::of("people.link");
    let (presented, now) = (digest(token), app.clock.now());
    let failed = |why| broken(&store_failed(why));
    let name = app.store.link(&presented, now).await.map_err(failed)?.ok_or_else(wrong)?;
    let secret = fresh_password(app, &name, password).await?;
    let slot = Slot::new();
    let (told, account) = (slot.clone(), name.clone());
    let noted = app.writer.note(move |conn| {
        let (told, name, secret, presented) =
            (told.clone(), account.clone(), secret.clone(), presented.clone());
        Box::pin(async move {
            let everyone = rows::everyone(conn).await?;
            let open = everyone.iter().any(|it| it.name == name && it.state != State::Disabled);
            let done = open && rows::use_link(conn, &name, &presented, now).await?;
            if done {
                rows::set_password(conn, &name, (None, &secret), REMEMBERED, now).await?;
                rows::activate(conn, &name).await?;
                // Whoever came in before may have been somebody else.
                rows::drop_sessions(conn, &name, "").await?;
                accounts_rows::drop_keys_of(conn, &name).await?;
                drop_tries(conn, &name).await?;
                say(conn, &Said::done(now, &name, "join", &name)).await?;
            }
            told.put(done);
            Ok(())
        })
    });
    noted.await.map_err(|why| broken(&why))?;
    if slot.take()? { Ok(name) } else { Err(wrong()) }
}

/// The Argon2id string of a password that may be taken.
async fn fresh_password(app: &App, name: &str, password: &str) -> Result<String, Problem> {
    passwords::check(name, password)?;
    let failed = |why| broken(&store_failed(why));
    let mut before = app.store.old_passwords(name, REMEMBERED).await.map_err(failed)?;
    before.extend(app.store.password(name).await.map_err(failed)?);
    for stored in before.iter().filter(|it| *it != NOBODY) {
        if verify(password, stored).await? {
            return Err(Problem::of("people.reused"));
        }
    }
    hash(password).await
}

/// One's own password; all other sessions end.
pub async fn change_password(app: &App, who: &Who, old: &str, new: &str) -> Result<(), Problem> {
    let session = who.session.clone().ok_or_else(|| Problem::of("auth.required"))?;
    let failed = |why| broken(&store_failed(why));
    let stored = app.store.password(&who.account).await.map_err(failed)?;
    let stored = stored.unwrap_or_else(|| NOBODY.to_owned());
    if !tried(app, who, old, &stored).await? {
        who.refused(app, "password", &who.account, "wrong password").await?;
        return Err(Problem::of("auth.wrong"));
    }
    let secret = fresh_password(app, &who.account, new).await?;
    let (who, now, done) = (who.clone(), app.clock.now(), Slot::new());
    let told = done.clone();
    let noted = app.writer.note(move |conn| {
        let (who, stored, secret) = (who.clone(), stored.clone(), secret.clone());
        let (session, told) = (session.clone(), told.clone());
        Box::pin(async move {
            let name = who.account.clone();
            let secrets = (Some(stored.as_str()), secret.as_str());
            // While the password was checked, a link or another session may have put another one.
            let set = who.stands(conn, now).await?
                && rows::set_password(conn, &name, secrets, REMEMBERED, now).await?;
            if set {
                rows::drop_sessions(conn, &name, &session).await?;
                say(conn, &Said::done(now, &name, "password", &name)).await?;
                who.logged();
            }
            told.put(set);
            Ok(())
        })
    });
    noted.await.map_err(|why| broken(&why))?;
    if done.take()? { Ok(()) } else { Err(Problem::of("auth.wrong")) }
}

/// Whether the rules on a contract and on its product let this person use them; a refusal is logged.
pub async fn may_use(app: &App, who: &Who, contract: &Id) -> Result<(), Problem> {
    who.about(contract);
    may_use_of(app, who, &subjects(app, contract).await?).await
}

/// Whether this person or program may do, now, what destroys keys of contracts, withholds them or lets them out again, ends
/// memberships or says which shares of keys are released. `scope` is the route's; to be asked after the body was read, for which the call may have waited long.
pub async fn may_rule_keys(app: &App, who: &Who, scope: Scope) -> Result<(), Problem> {
    let failed = |why| broken(&store_failed(why));
    let (now, settings) = (app.clock.now(), app.config.people.settings);
    let key = who.key.as_ref().map(|(id, _)| id.as_str());
    let stands = app.store.stands(who.session.as_deref(), key, now).await.map_err(failed)?;
    let person = app.store.person(&who.account).await.map_err(failed)?;
    let Some(person) = person.filter(|_| stands) else { return Err(Problem::of("auth.required")) };
    let act = Act::NodeKeys(scope);
    decide(&person, &who.door, &act, &[], &settings, now).map(drop).map_err(|why| problem(&why))
}

/// As [`may_use`], of these alone.
pub async fn may_use_of(app: &App, who: &Who, subjects: &[Id]) -> Result<(), Problem> {
    let Some((subject, need)) = unmet(app, who, subjects).await? else { return Ok(()) };
    who.refused(app, "use", subject.as_str(), &format!("needs {need}")).await?;
    Err(Problem::of("people.rule").cause(need))
}

/// As [`may_use`], for what is shown beside other things: leaving it out is no entry in the log.
pub async fn sees(app: &App, who: &Who, contract: &Id) -> Result<bool, Problem> {
    Ok(unmet(app, who, &subjects(app, contract).await?).await?.is_none())
}

async fn subjects(app: &App, contract: &Id) -> Result<Vec<Id>, Problem> {
    let found = app.store.contract(contract).await.map_err(|why| broken(&store_failed(why)))?;
    Ok(std::iter::once(contract.clone()).chain(found.map(|it| it.product)).collect())
}

/// The first need of a rule on one of these that this person does not meet.
async fn unmet<'a>(
    app: &App,
    who: &Who,
    subjects: &'a [Id],
) -> Result<Option<(&'a Id, String)>, Problem> {
    for subject in subjects {
        let rule = app.store.rule(subject.as_str()).await;
        let rule = rule.map_err(|why| broken(&store_failed(why)))?;
        if let Some(need) = rule.as_ref().and_then(|it| it.unmet(&who.person.known)) {
            return Ok(Some((subject, need.to_string())));
        }
    }
    Ok(None)
}
