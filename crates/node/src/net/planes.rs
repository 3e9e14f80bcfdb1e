//! Calls to planes of other programs: what we present to them, and what their answers say.
//!
//! Never presents one plane's secret to another: it is found by the flow that the call is about.

use tidm_space::dataflow::message::Plane;
use tidm_space::dataflow::registration::Authorization;
use tidm_space::engine::input::{FlowAnswer, Outcome};
use tidm_space::id::Id;
use tidm_space::wire::dps;

use crate::app::App;

/// The bearer token for a call about this flow; none where the network alone is trusted.
///
/// # Errors
/// The outcome of a call that cannot be made.
pub async fn present(app: &App, flow: &Id) -> Result<Option<String>, Outcome> {
    let failed = |reason: String| Outcome::Unreachable { reason };
    let found = app.store.flow(flow).await.map_err(|why| failed(why.to_string()))?;
    let Some(flow) = found else { return Err(refused("this data flow is unknown here")) };
    let partner: Plane = flow.plane.other();
    let plane =
        app.store.plane(partner, &flow.partner).await.map_err(|why| failed(why.to_string()))?;
    match plane.map(|it| it.authorization) {
        Some(Authorization::Bearer { present, .. }) => Ok(Some(present)),
        Some(Authorization::Network) => Ok(None),
        None => Err(refused("its plane is not registered any more")),
    }
}

fn refused(why: &str) -> Outcome {
    Outcome::Refused {
        not_found: false,
        code: Some("plane.unknown".to_owned()),
        reason: vec![why.to_owned()],
    }
}

/// What a 2xx answer says; one that says nothing readable is an acknowledgement alone.
pub fn outcome(body: &[u8]) -> Outcome {
    match dps::read_status(body) {
        Ok(it) => Outcome::Answered(Box::new(FlowAnswer {
            theirs: it.flow,
            state: it.state,
            address: it.address,
            error: it.error,
        })),
        Err(_) => Outcome::Accepted { pid: None },
    }
}
