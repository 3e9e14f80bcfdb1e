//! A data plane at work: gets a flow ready, pushes its bytes, pulls them (as the node's `jobs::flow`).
//!
//! Never goes on for a flow that moved since: what its last run saw is compared with what is in the store.

use tidm_space::dataflow::message::Direction;
use tidm_space::dataflow::state::{Flow, Name};
use tidm_space::engine::commit::Timer;
use tidm_space::engine::input::{Input, Wish};
use tidm_space::id::Id;
use tidm_space::limits::FLOW_GIVE_UP;
use tidm_space::negotiation::message::Role;
use tidm_space::transfer::message::DataAddress;

use crate::invariants::Moment;
use crate::node::Call;
use crate::signaling::content;
use crate::world::World;

/// What a run of a flow's job waits for.
#[derive(Clone, Debug)]
pub struct Run {
    pub flow: Box<Flow>,
    pub timer: Box<Timer>,
    pub what: Doing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Push,
    Pull,
    Renew,
}

impl World {
    /// Runs the job; harmless when repeated.
    pub(crate) fn flow_job(&mut self, at: usize, timer: Timer, id: &Id) {
        let Ok(Some(flow)) = self.nodes[at].store.flow(id) else { return };
        if !self.healed && flow.is_open() && self.dice.chance(3) {
            let reason = "the object has changed".to_owned();
            return self.flow_wish(at, Wish::FlowFailed { flow: id.clone(), reason });
        }
        match (flow.state.name(), flow.role, flow.direction()) {
            (Name::Preparing | Name::Starting, _, _) => {
                let address = self.own_address(at, &flow);
                self.flow_wish(at, Wish::FlowReady { flow: id.clone(), address });
            }
            (Name::Started, Role::Provider, Some(Direction::Push)) => {
                self.move_bytes(at, timer, flow, Doing::Push);
            }
            (Name::Started, Role::Consumer, Some(Direction::Pull)) => {
                self.move_bytes(at, timer, flow, Doing::Pull);
            }
            (_, _, _) => {
                self.flow_wish(at, Wish::FlowRests { flow: id.clone(), seen: flow.moved });
            }
        }
    }

    fn move_bytes(&mut self, at: usize, timer: Timer, flow: Flow, what: Doing) {
        let address = flow.state.address().cloned();
        let Some((address, endpoint)) =
            address.and_then(|it| it.endpoint.clone().map(|endpoint| (it, endpoint)))
        else {
            let wish = match what {
                Doing::Push => Wish::FlowFailed { flow: flow.id, reason: "no endpoint".to_owned() },
                // Nobody says where: it is another's to pull, and the control plane's to end.
                Doing::Pull | Doing::Renew => Wish::FlowRests { flow: flow.id, seen: flow.moved },
            };
            return self.flow_wish(at, wish);
        };
        if what == Doing::Push {
            self.check(&Moment::Moved { node: at, flow: &flow });
        }
        let token = address.property("authorization").unwrap_or_default().to_owned();
        let run = Run { flow: Box::new(flow), timer: Box::new(timer), what };
        self.post(at, Call::Flow(run), &endpoint, &token);
    }

    pub(crate) fn flow_answered(&mut self, at: usize, run: Run, status: u16, body: &str) {
        let Ok(Some(now)) = self.nodes[at].store.flow(&run.flow.id) else { return };
        if now.moved != run.flow.moved {
            // Stopped meanwhile; what stopped it has seen to the job.
            return;
        }
        let id = run.flow.id.clone();
        match (run.what, status) {
            (Doing::Push | Doing::Pull, 200) => {
                if run.what == Doing::Pull {
                    self.check(&Moment::Moved { node: at, flow: &now });
                }
                let content = content(&run.flow);
                self.flow_wish(at, Wish::FlowDone { flow: id, bytes: 1000, content });
            }
            (Doing::Renew, 200) => self.renewed(at, run, body),
            (Doing::Pull, 401) if run.flow.state.address().is_some_and(renewable) => {
                self.ask_renewal(at, run);
            }
            // Before the other side was started, and while it is suspended, its token opens nothing.
            (_, _) => self.flow_failed(at, run, format!("HTTP {status}")),
        }
    }

    /// Nobody answered, or a job could not be done: again later, and not for ever.
    pub(crate) fn flow_failed(&mut self, at: usize, run: Run, reason: String) {
        if self.nodes[at].now(self.ms).since(run.flow.moved) > FLOW_GIVE_UP {
            let wish = Wish::FlowFailed { flow: run.flow.id.clone(), reason };
            return self.flow_wish(at, wish);
        }
        self.postpone(at, *run.timer);
    }

    fn ask_renewal(&mut self, at: usize, mut run: Run) {
        let address = run.flow.state.address();
        let property = |name: &str| address.and_then(|it| it.property(name)).map(str::to_owned);
        let (Some(endpoint), Some(refresh)) =
            (property("refreshEndpoint"), property("refreshToken"))
        else {
            return self.flow_failed(at, run, "not renewable".to_owned());
        };
        run.what = Doing::Renew;
        self.post(at, Call::Flow(run), &endpoint, &refresh);
    }

    fn renewed(&mut self, at: usize, run: Run, body: &str) {
        let Some((access, refresh)) = body.split_once(' ') else { return };
        let Some(mut address) = run.flow.state.address().cloned() else { return };
        for (name, value) in &mut address.properties {
            match name.as_str() {
                "authorization" => access.clone_into(value),
                "refreshToken" => refresh.clone_into(value),
                _ => {}
            }
        }
        self.flow_wish(at, Wish::FlowRenewed { flow: run.flow.id.clone(), address });
        if self.nodes[at].up {
            // The pull goes on with the next token; a flow that stands still is not renewed for ever.
            self.flow_failed(at, run, "the access token was renewed".to_owned());
        }
    }

    fn flow_wish(&mut self, at: usize, wish: Wish) {
        let _died = self.work(at, Input::Wish(Box::new(wish)));
    }
}

fn renewable(it: &DataAddress) -> bool {
    it.property("refreshEndpoint").is_some()
}
