//! The two planes of a connector as two programs: orders to a data plane, its reports, and the bytes behind tokens.
//!
//! Never answers before the unit of work is durable; never decides about a flow: that is `space/engine`'s business.
//! The order of things is that of the node's `server::signaling`.

use tidm_space::dataflow::message::{Body, Direction, Kind, Message, Plane, Profile};
use tidm_space::dataflow::registration::{Authorization, Registration};
use tidm_space::dataflow::state::{Flow, Name};
use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::{FlowOrder, FlowReport, Input, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::{Id, Ids as _};
use tidm_space::identity::did::Did;
use tidm_space::negotiation::message::Role;
use tidm_space::transfer::message::DataAddress;
use tidm_space::wire::dps::{self, Ordered};

use crate::bug::Bug;
use crate::invariants::Moment;
use crate::serve::{Served, status};
use crate::store::FlowToken;
use crate::work::Ran;
use crate::world::World;

/// Where control planes reach a data plane.
pub const DATA_PLANE: &str = "/dataplane";
/// Where data planes reach a control plane.
pub const CONTROL_PLANE: &str = "/signaling";
/// An access token lives this long, and may be renewed. Shorter than the node's, so that it happens among all the rest.
const RENEWABLE_MS: i64 = 20_000;
/// The profiles that simulated data planes run.
pub const PROFILES: [&str; 2] = [Profile::HTTP_PULL, Profile::HTTP_PUSH];

/// The registration of the other half of a connector.
pub fn registration(of: &Did, base: &str, plane: Plane) -> Registration {
    let (below, profiles, datasets) = match plane {
        Plane::Data => (DATA_PLANE, PROFILES.map(str::to_owned).to_vec(), vec![]),
        Plane::Control => (CONTROL_PLANE, vec![], vec!["*".to_owned()]),
    };
    Registration {
        id: of.to_id(),
        plane,
        endpoint: format!("{base}{below}"),
        profiles,
        labels: vec![],
        datasets,
        authorization: Authorization::Network,
    }
}

const UNKNOWN: u16 = 401;

fn refused(fault: &Fault) -> Served {
    Some((status(fault), format!("{{\"code\":\"{}\"}}", fault.code())))
}

fn not_found() -> Served {
    refused(&Fault::NotFound { what: "data flow" })
}

impl World {
    /// A call below [`DATA_PLANE`].
    pub(crate) fn serve_data_plane(
        &mut self,
        at: usize,
        from: &Did,
        path: &str,
        body: &[u8],
    ) -> Served {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let token = || String::from_utf8_lossy(body).into_owned();
        match parts.as_slice() {
            ["dataflows", "prepare"] => self.order(at, from, Kind::Prepare, None, body),
            ["dataflows", "start"] => self.order(at, from, Kind::Start, None, body),
            ["dataflows", id, word] => match (Id::parse(id), Kind::from_word(word)) {
                (Ok(id), Some(kind)) => self.order(at, from, kind, Some(id), body),
                _ => not_found(),
            },
            ["flows", id, "data"] => match Id::parse(id) {
                Ok(id) => self.bytes(at, &id, &token()),
                Err(_) => not_found(),
            },
            ["flows", id, "token"] => match Id::parse(id) {
                Ok(id) => self.renew(at, &id, from, &token()),
                Err(_) => not_found(),
            },
            _ => not_found(),
        }
    }

    /// A control plane orders something.
    fn order(
        &mut self,
        at: usize,
        from: &Did,
        kind: Kind,
        mine: Option<Id>,
        body: &[u8],
    ) -> Served {
        let Some(plane) = self.nodes[at].store.plane(Plane::Control, &from.to_id()).cloned() else {
            return Some((UNKNOWN, String::new()));
        };
        let Ordered { id, terms, body } = match dps::read(kind, body) {
            Ok(it) => it,
            Err(fault) => return refused(&fault),
        };
        if terms.as_ref().is_some_and(|it| !PROFILES.contains(&it.profile.as_str())) {
            return refused(&Fault::incompatible("dataflow.profile", "not run here"));
        }
        let subject = mine.clone();
        if let (Kind::Resume, Some(flow)) = (kind, &subject) {
            // From here on it may run again, even if nobody hears the answer.
            self.reference.halted.remove(&(at, flow.clone()));
        }
        let background = self.nodes[at].background;
        let order = FlowOrder {
            from: plane.id,
            address: plane.endpoint,
            mine,
            id,
            terms,
            body,
            background,
        };
        let flow = match self.work(at, Input::Ordered(Box::new(order))) {
            Ran::Done(Ok(Reply::Flow { it, .. })) => it,
            Ran::Done(Ok(_)) => return refused(&Fault::ApiMisuse("answered by something else")),
            Ran::Done(Err(fault)) => return refused(&fault),
            Ran::Crashed => return None,
        };
        self.coverage.rested += u64::from(kind == Kind::Suspend);
        self.coverage.resumed += u64::from(kind == Kind::Resume);
        let halts = matches!(kind, Kind::Suspend | Kind::Terminate | Kind::Completed);
        // A repetition that came late is acknowledged and changes nothing.
        let halted =
            matches!(flow.state.name(), Name::Suspended | Name::Completed | Name::Terminated);
        if let (true, true, Some(id)) = (halts, halted, subject) {
            self.reference.halted.insert((at, id));
        }
        self.ordered(at, kind, &flow)
    }

    fn ordered(&mut self, at: usize, kind: Kind, flow: &Flow) -> Served {
        let body = match (flow.state.name(), kind) {
            (_, Kind::Prepare | Kind::Start | Kind::Resume)
                if matches!(flow.state.name(), Name::Preparing | Name::Starting) =>
            {
                Body::Prepare
            }
            (Name::Prepared, Kind::Prepare) => {
                Body::Prepared { address: self.own_address(at, flow) }
            }
            (Name::Started, Kind::Start) => Body::Started { address: self.own_address(at, flow) },
            (_, Kind::Prepare | Kind::Start | Kind::Resume) => Body::Resume { address: None },
            (_, _) => return Some((200, String::new())),
        };
        let id = Some(self.nodes[at].ids.fresh());
        Some((200, dps::status(flow, &Message { id, body })))
    }

    /// The address that is the data plane's to give; the tokens of an earlier one end.
    pub(crate) fn own_address(&mut self, at: usize, flow: &Flow) -> Option<DataAddress> {
        let gives = matches!(
            (flow.role, flow.direction()),
            (Role::Provider, Some(Direction::Pull)) | (Role::Consumer, Some(Direction::Push))
        );
        if !gives {
            return None;
        }
        let token = self.fresh_token(at, &flow.id);
        let base = format!("{}{DATA_PLANE}/flows/{}", self.nodes[at].base, flow.id);
        let properties = [
            ("authType", "bearer".to_owned()),
            ("authorization", token.access),
            ("refreshToken", token.refresh),
            ("expiresIn", (RENEWABLE_MS / 1000).to_string()),
            ("refreshEndpoint", format!("{base}/token")),
        ];
        Some(DataAddress {
            endpoint_type: flow.terms.profile.as_str().to_owned(),
            endpoint: Some(format!("{base}/data")),
            properties: properties.into_iter().map(|(name, it)| (name.to_owned(), it)).collect(),
        })
    }

    fn fresh_token(&mut self, at: usize, flow: &Id) -> FlowToken {
        let node = &mut self.nodes[at];
        let until = node.clock.read(self.ms.saturating_add(RENEWABLE_MS));
        let access = node.ids.fresh().to_string();
        let refresh = node.ids.fresh().to_string();
        let token = FlowToken { access, refresh, until };
        node.store.tokens.insert(flow.clone(), token.clone());
        token
    }

    /// The bytes of a flow: served to a pull, taken from a push.
    pub(crate) fn bytes(&mut self, at: usize, id: &Id, token: &str) -> Served {
        let now = self.nodes[at].now(self.ms);
        let known = self.nodes[at].store.tokens.get(id);
        if known.is_none_or(|it| it.access != token || now >= it.until) {
            return Some((UNKNOWN, String::new()));
        }
        let Ok(Some(flow)) = self.nodes[at].store.flow(id) else {
            return Some((UNKNOWN, String::new()));
        };
        let open = match (flow.role, flow.direction(), flow.state.name()) {
            (Role::Provider, Some(Direction::Pull), Name::Started) => true,
            // "The consumer data plane SHOULD be ready to receive data after the response to prepare."
            (Role::Consumer, Some(Direction::Push), Name::Prepared | Name::Started) => true,
            (_, _, _) => self.bug == Some(Bug::FlowRunsOn),
        };
        if !open {
            return Some((UNKNOWN, String::new()));
        }
        self.coverage.moved += 1;
        self.check(&Moment::Moved { node: at, flow: &flow });
        if flow.role == Role::Consumer {
            let wish = Wish::FlowMoved { flow: id.clone(), bytes: 1000, content: content(&flow) };
            match self.work(at, Input::Wish(Box::new(wish))) {
                Ran::Done(Ok(_)) => {}
                Ran::Done(Err(fault)) => return refused(&fault),
                Ran::Crashed => return None,
            }
        }
        Some((200, String::new()))
    }

    /// A pull's access token is exchanged for a fresh one. The refresh token is bound to the consumer.
    fn renew(&mut self, at: usize, id: &Id, from: &Did, refresh: &str) -> Served {
        let no = Some((400, String::new()));
        let Ok(Some(flow)) = self.nodes[at].store.flow(id) else { return no };
        let known = self.nodes[at].store.tokens.get(id);
        let counterparty = self.speaks_for(from);
        if !flow.is_open()
            || known.is_none_or(|it| it.refresh != refresh)
            || flow.terms.counterparty != counterparty.to_id()
        {
            return no;
        }
        let it = self.fresh_token(at, id);
        self.coverage.renewals += 1;
        Some((200, format!("{} {}", it.access, it.refresh)))
    }

    /// Whom a data plane acts for; a participant acts for itself.
    fn speaks_for(&self, who: &Did) -> Did {
        let of = self.node_of(who).and_then(|it| self.nodes[it].of);
        of.map_or_else(|| who.clone(), |it| self.nodes[it].did.clone())
    }

    /// A call below [`CONTROL_PLANE`]: a data plane reports something.
    pub(crate) fn serve_control_plane(
        &mut self,
        at: usize,
        from: &Did,
        path: &str,
        body: &[u8],
    ) -> Served {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let ["transfers", id, "dataflow", word] = parts.as_slice() else { return not_found() };
        let kind = [Kind::Prepared, Kind::Started, Kind::Completed, Kind::Errored];
        let kind = kind.into_iter().find(|it| it.word() == *word);
        let (Ok(id), Some(kind)) = (Id::parse(id), kind) else { return not_found() };
        let Some(plane) = self.nodes[at].store.plane(Plane::Data, &from.to_id()).cloned() else {
            return Some((UNKNOWN, String::new()));
        };
        let (status, body) = match dps::read_callback(kind, body) {
            Ok(it) => it,
            Err(fault) => return refused(&fault),
        };
        if kind == Kind::Errored {
            self.coverage.errored += 1;
        }
        let report = FlowReport { from: plane.id, flow: id, theirs: status.flow, body };
        match self.work(at, Input::Reported(Box::new(report))) {
            Ran::Done(Ok(_)) => Some((200, String::new())),
            Ran::Done(Err(fault)) => refused(&fault),
            Ran::Crashed => None,
        }
    }
}

/// What a flow's bytes are.
pub(crate) fn content(flow: &Flow) -> tidm_crypto::hash::Digest {
    tidm_crypto::hash::sha256(flow.terms.agreement.as_str().as_bytes())
}
