//! What a person may do, and the acts of administrators on one another, each with its reason.
//!
//! Total and deny by default: an account that is not active has no scope at all, and every act names the scope it needs.

use std::collections::BTreeSet;
use std::time::Duration;

use super::role::{Role, conflict};
use super::rule::Known;
use super::scope::Scope;
use crate::time::Time;

/// A code that was given this long ago still stands for who gave it, at acts that want one.
pub const FRESH: Duration = Duration::from_secs(5 * 60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Made, with a one-time link that nobody has used.
    Invited,
    Active,
    Disabled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub state: State,
    pub roles: BTreeSet<Role>,
    pub known: Known,
    /// A second factor is enrolled and confirmed.
    pub second_factor: bool,
}

/// Of whom a second factor is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    Off,
    Administrators,
    Everybody,
}

/// What the operator decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The three administrators are three people.
    pub separation: bool,
    pub second_factor: SecondFactor,
}

/// How a person came in. `proven`: when a code of the second factor was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Door {
    Session {
        proven: Option<Time>,
    },
    /// With the scopes that are written on it.
    Key {
        scopes: BTreeSet<Scope>,
        proven: Option<Time>,
    },
}

impl Door {
    fn proven(&self) -> Option<Time> {
        match self {
            Self::Session { proven } | Self::Key { proven, .. } => *proven,
        }
    }

    /// A key that names what its program does, instead of all that its owner may.
    fn is_program(&self) -> bool {
        match self {
            Self::Session { .. } => false,
            Self::Key { scopes, .. } => !scopes.contains(&Scope::Admin),
        }
    }
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Roles that must not meet in one account.
    Separation(Role, Role),
    /// The account is invited or disabled.
    Inactive,
    /// No role grants it.
    Missing(Scope),
    /// A fresh code of the second factor is wanted.
    StepUp,
    /// There is no second factor yet that a code could be of.
    Enrol,
    /// Nobody does this to oneself.
    Oneself,
    /// Nobody else would be left who can do what this role does.
    Last(Role),
    /// The account is not in a state for it.
    State(State),
}

impl Denied {
    /// For the log.
    pub fn reason(&self) -> String {
        match self {
            Self::Separation(a, b) => format!("{} and {} must not meet", a.word(), b.word()),
            Self::Inactive => "the account is not active".to_owned(),
            Self::Missing(scope) => format!("no role grants {}", scope.word()),
            Self::StepUp => "a fresh code of the second factor is needed".to_owned(),
            Self::Enrol => "a second factor must be enrolled first".to_owned(),
            Self::Oneself => "not to oneself".to_owned(),
            Self::Last(role) => format!("nobody else is {}", role.word()),
            Self::State(it) => format!("the account is {}", it.word()),
        }
    }
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    /// What a newer program wrote is not active here.
    pub fn from_word(word: &str) -> Self {
        match word {
            "active" => Self::Active,
            "invited" => Self::Invited,
            _ => Self::Disabled,
        }
    }
}

impl Settings {
    /// Whether this person must have a second factor.
    pub fn wants_second_factor(&self, roles: &BTreeSet<Role>) -> bool {
        match self.second_factor {
            SecondFactor::Off => false,
            SecondFactor::Administrators => roles.iter().any(|it| it.is_administrator()),
            SecondFactor::Everybody => true,
        }
    }
}

/// What the roles of this person grant, however they came in.
pub fn granted(person: &Person, settings: &Settings) -> BTreeSet<Scope> {
    if person.state != State::Active {
        return BTreeSet::new();
    }
    let mut scopes = BTreeSet::from([Scope::Own]);
    if !settings.separation || conflict(&person.roles).is_none() {
        scopes.extend(person.roles.iter().flat_map(|it| it.scopes()));
    }
    scopes
}

/// What may be done through this door, now.
pub fn scopes(person: &Person, door: &Door, settings: &Settings) -> BTreeSet<Scope> {
    let granted = granted(person, settings);
    let asked = settings.wants_second_factor(&person.roles);
    match door {
        // Enough to enrol, or to give the code. A code of a factor that is gone stands for nobody.
        Door::Session { proven } if asked && (proven.is_none() || !person.second_factor) => {
            granted.into_iter().filter(|it| *it == Scope::Own).collect()
        }
        Door::Session { .. } => granted,
        Door::Key { .. } if asked && !person.second_factor => BTreeSet::new(),
        Door::Key { scopes, .. } => &Scope::of_key(scopes) & &granted,
    }
}

/// Whether the door opens to a scope; a denial says what is in the way.
pub fn may(person: &Person, door: &Door, scope: Scope, settings: &Settings) -> Result<(), Denied> {
    if person.state != State::Active {
        return Err(Denied::Inactive);
    }
    if scopes(person, door, settings).contains(&scope) {
        return Ok(());
    }
    if granted(person, settings).contains(&scope) && settings.wants_second_factor(&person.roles) {
        match door {
            _ if !person.second_factor => return Err(Denied::Enrol),
            Door::Session { proven: None } => return Err(Denied::StepUp),
            // It is not written on the key, code or not.
            Door::Session { .. } | Door::Key { .. } => {}
        }
    }
    match conflict(&person.roles) {
        Some((a, b)) if settings.separation => Err(Denied::Separation(a, b)),
        Some(_) | None => Err(Denied::Missing(scope)),
    }
}

/// What an administrator does to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act<'a> {
    Add,
    Disable(&'a Person),
    Enable(&'a Person),
    Unlock(&'a Person),
    /// A fresh one-time link to set a password.
    Link(&'a Person),
    SetRoles {
        of: &'a Person,
        to: &'a BTreeSet<Role>,
    },
    SetKnown(&'a Person),
    /// The second factor of somebody who lost it.
    ResetSecondFactor(&'a Person),
    SetRule,
    /// A key for oneself.
    MakeKey(&'a BTreeSet<Scope>),
    RevokeKeyOf(&'a str),
    /// What destroys keys of contracts, ends memberships or says which shares of keys are released, through a route of
    /// this scope.
    NodeKeys(Scope),
}

/// What follows from an act besides itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// The account loses its roles: whoever holds the new link is not known to be who was granted them.
    pub drops_roles: bool,
    /// An open link ends, for the same reason.
    pub drops_link: bool,
}

impl Act<'_> {
    fn scope(&self, actor: &Person) -> Scope {
        match self {
            Self::Add | Self::Disable(_) | Self::Enable(_) | Self::Unlock(_) | Self::Link(_) => {
                Scope::Accounts
            }
            Self::SetRoles { .. }
            | Self::SetKnown(_)
            | Self::ResetSecondFactor(_)
            | Self::SetRule => Scope::Rights,
            Self::MakeKey(_) => Scope::Own,
            Self::RevokeKeyOf(owner) if *owner == actor.name => Scope::Own,
            Self::RevokeKeyOf(_) => Scope::Rights,
            Self::NodeKeys(scope) => *scope,
        }
    }

    fn wants_fresh_code(&self, door: &Door) -> bool {
        match self {
            Self::SetRoles { .. } | Self::ResetSecondFactor(_) | Self::MakeKey(_) => true,
            // A program has no authenticator: somebody gave a code for its key when it was made, and the scope is written
            // on it. `admin` is written on keys that stand for their owner.
            // The same for who comes into an account, what is known of people, and what a use asks of that.
            Self::NodeKeys(_) | Self::Link(_) | Self::SetKnown(_) | Self::SetRule => {
                !door.is_program()
            }
            Self::Add
            | Self::Disable(_)
            | Self::Enable(_)
            | Self::Unlock(_)
            | Self::RevokeKeyOf(_) => false,
        }
    }

    /// Keys of contracts, and keys of the API, which stand for a code that was given.
    fn is_about_keys(&self) -> bool {
        match self {
            Self::NodeKeys(_) | Self::MakeKey(_) => true,
            Self::Add
            | Self::Disable(_)
            | Self::Enable(_)
            | Self::Unlock(_)
            | Self::Link(_)
            | Self::SetRoles { .. }
            | Self::SetKnown(_)
            | Self::ResetSecondFactor(_)
            | Self::SetRule
            | Self::RevokeKeyOf(_) => false,
        }
    }
}

/// Whether `actor` may do it. `everyone` is all people of the node, the two of the act among them.
pub fn decide(
    actor: &Person,
    door: &Door,
    act: &Act<'_>,
    everyone: &[Person],
    settings: &Settings,
    now: Time,
) -> Result<Effect, Denied> {
    may(actor, door, act.scope(actor), settings)?;
    // Where a factor is demanded of anybody, keys are nobody's without one, whatever their role: nor a program's whose
    // owner has none, so that nobody can have given a code for its key.
    let asked = settings.wants_second_factor(&actor.roles)
        || (act.is_about_keys() && settings.second_factor != SecondFactor::Off);
    if asked && !actor.second_factor && (act.is_about_keys() || act.wants_fresh_code(door)) {
        return Err(Denied::Enrol);
    }
    // Whoever has a second factor is asked for it, demanded or not.
    let fresh = door.proven().is_some_and(|it| now.since(it) < FRESH && it <= now);
    if act.wants_fresh_code(door) && actor.second_factor && !fresh {
        return Err(Denied::StepUp);
    }
    let none = BTreeSet::new();
    match act {
        Act::Add | Act::SetRule | Act::RevokeKeyOf(_) | Act::NodeKeys(_) => Ok(Effect::default()),
        Act::Disable(of) => {
            not_oneself(actor, of)?;
            in_state(of, &[State::Active, State::Invited])?;
            somebody_left(everyone, of, &none, settings)?;
            Ok(Effect { drops_link: true, ..Effect::default() })
        }
        Act::Enable(of) => {
            in_state(of, &[State::Disabled])?;
            match conflict(&of.roles) {
                Some((a, b)) if settings.separation => Err(Denied::Separation(a, b)),
                Some(_) | None => Ok(Effect::default()),
            }
        }
        Act::Unlock(of) => in_state(of, &[State::Active]),
        Act::Link(of) => {
            not_oneself(actor, of)?;
            in_state(of, &[State::Active, State::Invited])?;
            // At the beginning, when nobody is in yet, the first link may have run out.
            let held = |it: &Person| it.state == State::Active && !it.roles.is_disjoint(&of.roles);
            let beginning = of.state == State::Invited && !everyone.iter().any(held);
            if !settings.separation || of.roles.is_empty() || beginning {
                return Ok(Effect::default());
            }
            somebody_left(everyone, of, &none, settings)?;
            Ok(Effect { drops_roles: true, ..Effect::default() })
        }
        Act::SetRoles { of, to } => set_roles(actor, of, to, everyone, settings),
        Act::SetKnown(of) if settings.separation => not_oneself(actor, of),
        Act::SetKnown(_) => Ok(Effect::default()),
        Act::ResetSecondFactor(of) => not_oneself(actor, of),
        Act::MakeKey(wanted) => {
            let mine = scopes(actor, door, settings);
            // `admin` on a key is all that its owner may, so everybody may write it.
            let beyond = wanted.iter().find(|it| **it != Scope::Admin && !mine.contains(it));
            match (beyond, door) {
                (Some(scope), _) => Err(Denied::Missing(*scope)),
                (None, Door::Key { scopes, .. })
                    if wanted.contains(&Scope::Admin) && !scopes.contains(&Scope::Admin) =>
                {
                    Err(Denied::Missing(Scope::Admin))
                }
                (None, Door::Key { .. } | Door::Session { .. }) => Ok(Effect::default()),
            }
        }
    }
}

fn set_roles(
    actor: &Person,
    of: &Person,
    to: &BTreeSet<Role>,
    everyone: &[Person],
    settings: &Settings,
) -> Result<Effect, Denied> {
    if settings.separation {
        not_oneself(actor, of)?;
        // Before the link was used, whoever made the account may hold it.
        if !to.is_empty() {
            in_state(of, &[State::Active])?;
        }
        if let Some((a, b)) = conflict(to) {
            return Err(Denied::Separation(a, b));
        }
    }
    somebody_left(everyone, of, to, settings)?;
    // Whoever is invited comes in by the link; whoever is in does not, so an open one may be another's.
    let drops_link = !to.is_empty() && of.state != State::Invited;
    Ok(Effect { drops_link, ..Effect::default() })
}

fn not_oneself(actor: &Person, of: &Person) -> Result<Effect, Denied> {
    if actor.name == of.name { Err(Denied::Oneself) } else { Ok(Effect::default()) }
}

fn in_state(of: &Person, fine: &[State]) -> Result<Effect, Denied> {
    if fine.contains(&of.state) { Ok(Effect::default()) } else { Err(Denied::State(of.state)) }
}

/// Whether somebody active, whose roles count, remains for what `of` gives up: without these two, nobody could be let in any
/// more.
fn somebody_left(
    everyone: &[Person],
    of: &Person,
    keeps: &BTreeSet<Role>,
    settings: &Settings,
) -> Result<Effect, Denied> {
    let active = of.state == State::Active;
    for role in [Role::System, Role::Security] {
        let gives_up = active && of.roles.contains(&role) && !keeps.contains(&role);
        let other = |it: &Person| {
            it.name != of.name
                && it.state == State::Active
                && it.roles.contains(&role)
                && !(settings.separation && conflict(&it.roles).is_some())
        };
        if gives_up && !everyone.iter().any(other) {
            return Err(Denied::Last(role));
        }
    }
    Ok(Effect::default())
}
