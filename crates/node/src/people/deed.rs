//! Acts of administrators on accounts, keys and rules: decided, done and logged in one transaction.
//!
//! Never done without an entry, and never refused without one.

use std::collections::BTreeSet;

use sqlx::AnyConnection;

use tidm_space::limits::{KEYS_OF_ONE, PEOPLE};
use tidm_space::people::decide::{Act, Denied, Effect, Person, Settings, State, decide};
use tidm_space::people::role::{self, Role};
use tidm_space::people::rule::{Known, Rule};
use tidm_space::people::scope::Scope;
use tidm_space::time::Time;

use super::{Slot, diary, problem};
use crate::accounts::{Who, broken, check_name};
use crate::app::App;
use crate::passwords::NOBODY;
use crate::problem::Problem;
use crate::store::StoreError;
use crate::store::accounts::{self as accounts_rows, KeyRow};
use crate::store::people::tries::drop_tries;
use crate::store::people::{self as rows, Said, say};
use tidm_space::fault::Fault;

/// What is wanted. Tokens come as digests.
#[derive(Clone, Debug)]
pub enum Deed {
    Add { name: String, digest: String, until: Time },
    Link { name: String, digest: String, until: Time },
    Disable(String),
    Enable(String),
    Unlock(String),
    SetRoles { name: String, roles: BTreeSet<Role> },
    SetKnown { name: String, known: Known },
    ResetSecondFactor(String),
    SetRule { subject: String, rule: Option<Rule> },
    MakeKey(KeyRow),
    RevokeKey(String),
}

/// Why it was not done.
#[derive(Clone, Debug)]
enum No {
    Denied(Denied),
    Unknown(&'static str),
    Taken,
    Full,
    /// An identity provider opens the account: a password would be a second way in that nobody there knows of.
    Provider,
    /// As many keys as one account may have.
    Keys,
}

impl Deed {
    fn act(&self) -> &'static str {
        match self {
            Self::Add { .. } => "people.add",
            Self::Link { .. } => "people.invite",
            Self::Disable(_) => "people.disable",
            Self::Enable(_) => "people.enable",
            Self::Unlock(_) => "people.unlock",
            Self::SetRoles { .. } => "people.role",
            Self::SetKnown { .. } => "people.group",
            Self::ResetSecondFactor(_) => "people.factor",
            Self::SetRule { .. } => "rule.set",
            Self::MakeKey(_) => "key.make",
            Self::RevokeKey(_) => "key.revoke",
        }
    }

    /// On whom, and to what.
    fn subject(&self) -> String {
        match self {
            Self::Add { name, .. } | Self::Link { name, .. } => name.clone(),
            Self::Disable(name)
            | Self::Enable(name)
            | Self::Unlock(name)
            | Self::ResetSecondFactor(name) => name.clone(),
            Self::SetRoles { name, roles } => format!("{name}: {}", role::write(roles)),
            Self::SetKnown { name, known } => format!("{name}: {known}"),
            Self::SetRule { subject, rule: Some(rule) } => format!("{subject}: {rule}"),
            Self::SetRule { subject, rule: None } => format!("{subject}:"),
            Self::MakeKey(row) => format!("{} {}: {}", row.id, row.title, row.scopes),
            Self::RevokeKey(id) => id.clone(),
        }
    }
}

/// Does it, or says why not.
pub async fn perform(app: &App, who: &Who, deed: Deed) -> Result<(), Problem> {
    if let Deed::Add { name, .. } = &deed {
        check_name(name)?;
    }
    let (now, settings) = (app.clock.now(), app.config.people.settings);
    let (slot, actor) = (Slot::new(), who.clone());
    let (told, wanted) = (slot.clone(), deed.clone());
    let noted = app.writer.note(move |conn| {
        let (who, deed, told) = (actor.clone(), wanted.clone(), told.clone());
        Box::pin(async move {
            let outcome = execute(conn, &who, &deed, &settings, now).await?;
            if outcome.is_ok() {
                let subject = diary::plain(&deed.subject());
                say(conn, &Said::done(now, &who.account, deed.act(), &subject)).await?;
                who.logged();
            }
            told.put(outcome);
            Ok(())
        })
    });
    noted.await.map_err(|why| broken(&why))?;
    let Err(no) = slot.take()? else { return Ok(()) };
    who.refused(app, deed.act(), &deed.subject(), &no.reason()).await?;
    Err(no.problem())
}

impl No {
    fn reason(&self) -> String {
        match self {
            Self::Denied(it) => it.reason(),
            Self::Unknown(what) => format!("no such {what}"),
            Self::Taken => "the name is taken".to_owned(),
            Self::Full => "too many accounts".to_owned(),
            Self::Provider => "an identity provider opens the account".to_owned(),
            Self::Keys => "too many keys".to_owned(),
        }
    }

    fn problem(&self) -> Problem {
        match self {
            Self::Denied(it) => problem(it),
            Self::Unknown(what) => Fault::NotFound { what }.into(),
            Self::Taken => Problem::of("people.name"),
            Self::Full => Problem::of("people.full"),
            Self::Provider => Problem::of("people.provider"),
            Self::Keys => Problem::of("people.keys"),
        }
    }
}

async fn execute(
    conn: &mut AnyConnection,
    who: &Who,
    deed: &Deed,
    settings: &Settings,
    now: Time,
) -> Result<Result<(), No>, StoreError> {
    // The call may have waited long for its body: the session or key must stand now, and rights are those of now.
    if !who.stands(conn, now).await? {
        return Ok(Err(No::Denied(Denied::Inactive)));
    }
    let everyone = rows::everyone(conn).await?;
    let Some(actor) = everyone.iter().find(|it| it.name == who.account) else {
        return Ok(Err(No::Denied(Denied::Inactive)));
    };
    let may =
        |act: &Act<'_>| decide(actor, &who.door, act, &everyone, settings, now).map_err(No::Denied);
    let of = |name: &str| everyone.iter().find(|it| it.name == name).ok_or(No::Unknown("person"));
    let decided = match deed {
        Deed::Add { .. } => may(&Act::Add),
        Deed::Link { name, .. } => match of(name).and_then(|it| may(&Act::Link(it))) {
            Ok(_) if rows::has_login(conn, name).await? => Err(No::Provider),
            other => other,
        },
        Deed::Disable(name) => of(name).and_then(|it| may(&Act::Disable(it))),
        Deed::Enable(name) => of(name).and_then(|it| may(&Act::Enable(it))),
        Deed::Unlock(name) => of(name).and_then(|it| may(&Act::Unlock(it))),
        Deed::SetRoles { name, roles } => {
            of(name).and_then(|it| may(&Act::SetRoles { of: it, to: roles }))
        }
        Deed::SetKnown { name, .. } => of(name).and_then(|it| may(&Act::SetKnown(it))),
        Deed::ResetSecondFactor(name) => of(name).and_then(|it| may(&Act::ResetSecondFactor(it))),
        Deed::SetRule { .. } => may(&Act::SetRule),
        Deed::MakeKey(row) => {
            let wanted = row.scopes.split(' ').filter_map(Scope::from_word).collect();
            may(&Act::MakeKey(&wanted))
        }
        Deed::RevokeKey(id) => match accounts_rows::owner_of_key(conn, id).await? {
            Some(owner) => may(&Act::RevokeKeyOf(&owner)),
            None => Err(No::Unknown("key")),
        },
    };
    match decided {
        Ok(effect) => done(conn, deed, effect, &everyone, now).await,
        Err(no) => Ok(Err(no)),
    }
}

async fn done(
    conn: &mut AnyConnection,
    deed: &Deed,
    effect: Effect,
    everyone: &[Person],
    now: Time,
) -> Result<Result<(), No>, StoreError> {
    let of = |name: &str| everyone.iter().find(|it| it.name == name).cloned();
    match deed {
        Deed::Add { name, digest, until } => {
            if everyone.len() >= PEOPLE {
                return Ok(Err(No::Full));
            }
            let person = Person {
                name: name.clone(),
                state: State::Invited,
                roles: BTreeSet::new(),
                known: Known::default(),
                second_factor: false,
            };
            if !rows::insert(conn, &person, NOBODY, now).await? {
                return Ok(Err(No::Taken));
            }
            rows::save_link(conn, name, digest, *until).await?;
        }
        Deed::Link { name, digest, until } => {
            rows::save_link(conn, name, digest, *until).await?;
            if effect.drops_roles {
                rows::set_roles(conn, name, &BTreeSet::new()).await?;
            }
        }
        Deed::Disable(name) => {
            rows::set_state(conn, name, State::Disabled).await?;
            rows::drop_sessions(conn, name, "").await?;
            if effect.drops_link {
                rows::drop_link(conn, name).await?;
            }
        }
        Deed::Enable(name) => rows::enable(conn, name, NOBODY).await?,
        Deed::Unlock(name) => {
            drop_tries(conn, name).await?;
            drop_tries(conn, &super::factor::slot(name)).await?;
        }
        Deed::SetRoles { name, roles } => {
            // Whoever holds a link of before is not known to be who is granted this.
            if effect.drops_link {
                rows::drop_link(conn, name).await?;
            }
            rows::set_roles(conn, name, roles).await?;
        }
        Deed::SetKnown { name, known } => rows::set_known(conn, name, known).await?,
        Deed::ResetSecondFactor(name) => {
            if of(name).is_some_and(|it| it.second_factor) {
                rows::drop_sessions(conn, name, "").await?;
            }
            rows::drop_factor(conn, name).await?;
        }
        Deed::SetRule { subject, rule } => {
            rows::set_rule(conn, subject, rule.as_ref(), now).await?;
        }
        Deed::MakeKey(row) => {
            if accounts_rows::keys_of(conn, &row.account, now).await? >= KEYS_OF_ONE {
                return Ok(Err(No::Keys));
            }
            accounts_rows::save_key(conn, row).await?;
        }
        Deed::RevokeKey(id) => {
            accounts_rows::drop_key(conn, id).await?;
        }
    }
    Ok(Ok(()))
}
