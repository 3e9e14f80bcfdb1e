//! Who calls, and how we name ourselves: one file for every way in which peers prove who they are.
//!
//! [`Gate`] holds the modes of this node's spaces (`identity.mode`, `space.also`), and a peer is believed in the way of a
//! space of which it is a member. `did`: self-issued tokens in DCP's own shape, members on a signed list. `dcp`: the
//! same tokens, membership by credential. `mtls`: the connection's client certificate, members on a signed list.
//! `development`: besides tokens, plain JSON claims and fixed tokens of connectors under test, which prove nothing or
//! little. DSP's messages and those of our own profile (leases, queries, notices, facts) pass the same gate.
//!
//! Threat model: a forged, replayed, expired or misdirected token opens nothing. Audience, lifetime
//! (≤ 60 s) and signature are checked against the sender's `did:web` document, membership against the
//! space's signed list; the token id is used up in the transaction that acts on the message. What a certificate is
//! worth is said in [`super::certificates`]; it cannot be replayed, since each connection is signed for anew, and
//! whoever shows a certificate of one participant and a token of another is nobody. Modes are not mixed: who is a
//! member only where certificates are asked for gets in by no token, and the other way round, so that a space's
//! weaker neighbour weakens nothing. A plain claim can be written by anybody: the configuration accepts it on a
//! loopback listener alone, and a node in development mode says so in its log, in `/api/v1/info` and wherever it is
//! asked who it is.
//!
//! Services that are called by more than members keep their own door: the wallet and the issuer of DCP take
//! self-issued tokens in every mode, objects tokens of their owner, and data the token of its transfer.

use std::net::IpAddr;

use rustls::DistinguishedName;

use tidm_crypto::jws;
use tidm_crypto::sign::VerifyingKey;
use tidm_space::fault::Fault;
use tidm_space::identity::did::Did;
use tidm_space::identity::token;
use tidm_space::lease::seen::Seen;

use super::certificates::{self, Certificates, Chain};
use super::claims;
use super::development::Development;
use crate::app::App;
use crate::clock::Clock;
use crate::config::{Config, Mode};
use crate::identity::Identity;
use crate::store::writer::Token;

pub use super::development::participant;

/// An authenticated peer.
#[derive(Clone, Debug)]
pub struct Caller {
    pub did: Did,
    pub key: Key,
    /// The token it used, which is still to be used up; certificates, fixed tokens and claims are not.
    pub token: Option<Token>,
    /// The other end of its connection, where the door knows it.
    pub address: Option<IpAddr>,
}

/// What a caller's signatures are checked with.
#[derive(Clone, Debug)]
pub enum Key {
    Known(VerifyingKey),
    /// One of its document, which is got where there is a signature to check.
    Document,
    /// A peer that only claims a name has none.
    Nobody,
}

/// What a request shows of who sends it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proof<'a> {
    /// The value of `Authorization`.
    pub authorization: Option<&'a str>,
    pub certificate: Option<&'a Chain>,
}

/// How peers prove who they are: one way for each space, in the order of the configuration.
#[derive(Debug)]
pub struct Gate(Vec<Way>);

#[derive(Debug)]
enum Way {
    Did,
    /// A membership credential takes the place of the member list ([`super::claims`]).
    Dcp,
    Mtls(Certificates),
    Development(Development),
}

impl Way {
    fn open(mode: &Mode) -> anyhow::Result<Self> {
        Ok(match mode {
            Mode::Did => Self::Did,
            Mode::Dcp => Self::Dcp,
            Mode::Mtls(files) => Self::Mtls(Certificates::open(files)?),
            Mode::Development { claims, tokens } => {
                Self::Development(Development::open(*claims, tokens.as_deref())?)
            }
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Did => "did",
            Self::Dcp => "dcp",
            Self::Mtls(_) => "mtls",
            Self::Development(_) => "development",
        }
    }

    /// Members are those on the space's list who name themselves by tokens.
    fn lists_tokens(&self) -> bool {
        matches!(self, Self::Did | Self::Development(_))
    }
}

impl Gate {
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        Ok(Self(config.spaces().map(|(_, _, mode)| Way::open(mode)).collect::<Result<_, _>>()?))
    }

    /// The modes as the configuration names them, the first space's first.
    pub fn name(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for way in &self.0 {
            if !names.contains(&way.name()) {
                names.push(way.name());
            }
        }
        names.join("+")
    }

    /// What everybody who looks at this node must know about its mode.
    pub fn banner(&self) -> Option<&'static str> {
        self.development().map(|_| {
            "DEVELOPMENT IDENTITY: peers are believed without proof; never use this node with real data \
             / 开发身份模式:对等方身份未经证明,切勿用于真实数据"
        })
    }

    /// Whether a space of ours goes by membership credentials.
    pub fn credentials(&self) -> bool {
        self.0.iter().any(|it| matches!(it, Way::Dcp))
    }

    /// The certificates of our spaces that go by them, with the place of each space.
    pub fn certificates(&self) -> impl Iterator<Item = (usize, &Certificates)> {
        self.0.iter().enumerate().filter_map(|(at, it)| match it {
            Way::Mtls(certificates) => Some((at, certificates)),
            Way::Did | Way::Dcp | Way::Development(_) => None,
        })
    }

    /// Names of the authorities whose certificates we ask for; `None` where no space asks for any.
    pub fn hints(&self) -> Option<Vec<DistinguishedName>> {
        let mut all = self.certificates().map(|(_, it)| it.hints()).peekable();
        all.peek()?;
        Some(all.flatten().collect())
    }

    fn development(&self) -> Option<&Development> {
        self.0.iter().find_map(|it| match it {
            Way::Development(it) => Some(it),
            Way::Did | Way::Dcp | Way::Mtls(_) => None,
        })
    }

    fn takes_tokens(&self) -> bool {
        self.0.iter().any(|it| !matches!(it, Way::Mtls(_)))
    }

    /// Places of the spaces whose members name themselves by tokens and stand on a list.
    fn token_lists(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter(|(_, it)| it.lists_tokens()).map(|(at, _)| at)
    }

    /// Checks what a request shows. Every failure of a token reads the same to the caller; the log says which it was.
    pub async fn check(&self, shown: Proof<'_>, app: &App) -> Result<Caller, Fault> {
        let named = self.by_certificate(shown.certificate, app);
        match (shown.authorization.filter(|_| self.takes_tokens()), named) {
            (None, Some(named)) => named,
            (None, None) => Err(refused("no Authorization")),
            (Some(value), Some(Ok(named))) => {
                let told = self.by_token(value, app).await?;
                if told.did == named.did {
                    return Ok(told);
                }
                Err(refused("certificate and token name different participants"))
            }
            (Some(value), Some(Err(_)) | None) => self.by_token(value, app).await,
        }
    }

    /// The member whom the certificate names, in the first space whose authorities vouch for it; `None` where no
    /// space goes by certificates.
    fn by_certificate(&self, shown: Option<&Chain>, app: &App) -> Option<Result<Caller, Fault>> {
        let mut refusal: Option<Fault> = None;
        for (at, certificates) in self.certificates() {
            let Some(shown) = shown else { return Some(Err(certificates::missing())) };
            let found = certificates.judge(shown, app.clock.now()).and_then(|did| {
                app.directory.member_of(at, &did)?;
                Ok(Caller { did, key: Key::Document, token: None, address: None })
            });
            match found {
                Ok(caller) => return Some(Ok(caller)),
                // That some other space's authority is a stranger to this one says the least.
                Err(why) if refusal.as_ref().is_none_or(|it| it.code() == "certificate.issuer") => {
                    refusal = Some(why);
                }
                Err(_) => {}
            }
        }
        refusal.map(Err)
    }

    async fn by_token(&self, value: &str, app: &App) -> Result<Caller, Fault> {
        let bare = without_scheme(value);
        if let Some(did) = self.development().and_then(|it| it.peer(bare)) {
            return Ok(Caller { did, key: Key::Nobody, token: None, address: None });
        }
        let listed = self.token_lists().next().is_some();
        if listed {
            match self.self_issued(bare, app).await {
                // Whoever is on no list may still hold a credential.
                Err(Fault::Denied { code, .. })
                    if self.credentials() && code.starts_with("member") => {}
                told => return told,
            }
        }
        let (me, directory, clock) = (&app.identity.did, &app.directory, &app.clock);
        let it = claims::identify(Some(value), me, directory, clock).await?;
        app.claims.member(app, &it.did, it.access.as_deref()).await?;
        Ok(Caller { did: it.did, key: Key::Known(it.key), token: Some(it.token), address: None })
    }

    async fn self_issued(&self, value: &str, app: &App) -> Result<Caller, Fault> {
        let directory = &app.directory;
        let parsed = jws::Unverified::parse(value).map_err(|_| refused("not a compact JWS"))?;
        let claims = token::parse(parsed.unproven_payload())
            .map_err(|_| refused("not a self-issued token"))?;
        // Before its document is fetched: whoever is no member makes us call nobody.
        self.listed(app, &Did::parse(&claims.iss).map_err(|_| refused("its issuer is no DID"))?)?;
        let checked = token::check(&claims, &app.identity.did, app.clock.now())?;
        let key = directory.key(&checked.from, parsed.header.kid.as_deref()).await?;
        parsed.verify(&key).map_err(|_| refused("its signature does not verify"))?;
        Ok(Caller {
            did: checked.from.clone(),
            key: Key::Known(key),
            token: Some(Token { issuer: checked.from, jti: checked.jti, until: checked.until }),
            address: None,
        })
    }

    /// Whether it is a member of a space of ours whose members name themselves by tokens.
    fn listed(&self, app: &App, did: &Did) -> Result<(), Fault> {
        first_ok(self.token_lists().map(|at| app.directory.member_of(at, did)))
    }
}

/// The first success, else the first refusal.
fn first_ok(all: impl Iterator<Item = Result<(), Fault>>) -> Result<(), Fault> {
    let mut refusal = None;
    for it in all {
        match it {
            Ok(()) => return Ok(()),
            Err(why) => refusal = refusal.or(Some(why)),
        }
    }
    Err(refusal.unwrap_or_else(|| {
        Fault::denied("member.unknown", "membership", "this node knows no member list yet")
    }))
}

/// Whether somebody who proves itself in another way is a member: on a list, or remembered from a credential.
pub async fn member(app: &App, peer: &Did) -> Result<(), Fault> {
    let gate = &app.gate;
    let lists = gate.token_lists().chain(gate.certificates().map(|(at, _)| at));
    let listed = first_ok(lists.map(|at| app.directory.member_of(at, peer)));
    if listed.is_err() && gate.credentials() {
        return app.claims.member(app, peer, None).await;
    }
    listed
}

/// What the gate may know of a member that proved itself: from the credential it showed, and what that leaves out from the
/// member list. The address is the connection's own: no header of a proxy is believed.
pub fn seen(app: &App, member: &Did, address: Option<IpAddr>) -> Seen {
    let listed = app.directory.listed(member).filter(|it| !it.cut);
    let listed = listed.map_or_else(Seen::default, |it| Seen::by_list(&it));
    let shown = app.claims.shown(member);
    let shown = shown.map_or_else(Seen::default, |it| Seen::by_credential(&it));
    let (roles, regions) = (shown.roles.or(listed.roles), shown.regions.or(listed.regions));
    Seen { address, roles, regions }
}

/// The value of the `Authorization` header of one request to `to`; none where our certificate names us.
pub fn speak(app: &App, to: &Did) -> Option<String> {
    let gate = &app.gate;
    let by_certificate = gate.certificates().any(|(at, _)| app.directory.member_of(at, to).is_ok());
    if by_certificate || !gate.takes_tokens() {
        return None;
    }
    let listed = gate.listed(app, to).is_ok();
    if let Some(it) = gate.development().filter(|_| !listed) {
        return Some(it.speak(&app.identity.did, to));
    }
    if listed {
        // Whoever goes by a list has no business in our wallet.
        return Some(format!("Bearer {}", app.identity.token(to, None, &app.clock)));
    }
    Some(bearer(&app.identity, to, &app.clock))
}

/// The key that a signature of this caller is checked with.
///
/// # Errors
/// Its document cannot be had, or has no such key.
pub async fn key(
    app: &App,
    who: &Caller,
    signature: Option<&str>,
) -> Result<Option<VerifyingKey>, Fault> {
    match (&who.key, signature) {
        (Key::Known(key), _) => Ok(Some(key.clone())),
        (Key::Document, Some(signature)) => {
            // What is no signature is refused by whoever reads it.
            let Ok(parsed) = jws::Unverified::parse(signature) else { return Ok(None) };
            Ok(Some(app.directory.key(&who.did, parsed.header.kid.as_deref()).await?))
        }
        (Key::Document, None) | (Key::Nobody, _) => Ok(None),
    }
}

/// [`mint`] as the header says it.
pub fn bearer(identity: &Identity, audience: &Did, clock: &Clock) -> String {
    format!("Bearer {}", mint(identity, audience, clock))
}

/// A self-issued token for one request to `audience`.
pub fn mint(identity: &Identity, audience: &Did, clock: &Clock) -> String {
    identity.bearer(audience, clock)
}

/// The scheme is `Bearer`, in whatever case, or left out (DSP §4.3 leaves the value to the overlay).
pub(super) fn without_scheme(value: &str) -> &str {
    let value = value.trim();
    match value.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        Some(_) | None => value,
    }
}

fn refused(why: &str) -> Fault {
    Fault::denied("token.refused", "token", why)
}
