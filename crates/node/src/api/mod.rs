//! The node's HTTP API for its own people and programs: `/api/v1`, described by `/api/docs/openapi.json`.
//!
//! Threat model: whoever reaches the port may call. Everything but health, set-up and sign-in needs a
//! bearer token; every route belongs to exactly one scope group, so a route that nobody thought about is
//! not reachable ([`scopes`]). Failures are problem documents in the reader's language and never hold a
//! secret or an internal error's text.
//!
//! Never a rule of the data space: handlers parse, ask for one unit of work and show what came of it.

mod answer;
mod archive;
pub mod auth;
pub(crate) mod catalog;
mod contracts;
mod copies;
mod docs;
pub(crate) mod events;
mod evidence;
mod extract;
mod facts;
mod html;
mod idempotency;
mod info;
mod keys;
mod matched;
mod matchings;
mod messages;
mod negotiations;
mod oidc;
mod own;
mod page;
mod people;
mod people_log;
mod planes;
mod products;
mod programs;
mod session;
mod setup;
mod shares;
mod shown;
mod spaces;
mod subscriptions;
mod tables;
mod tc609;
mod terms;
mod transfers;
mod uploads;
mod uses;
mod wait;
pub(crate) mod wanted;
mod watermarks;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::get;
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::accounts::Scope;
use crate::app::App;

pub use events::LISTENERS;
pub use uses::rows;

type Api = OpenApiRouter<Arc<App>>;

/// Bytes of a JSON body: as much as a message between nodes may have.
const BODY_BYTES: usize = tidm_space::limits::MESSAGE_BYTES;

/// Who may know which node this is.
const AROUND: &[Scope] =
    &[Scope::Read, Scope::Admin, Scope::Accounts, Scope::Rights, Scope::PeopleLog];
/// Who sees the people: both that change something about them.
const PEOPLE: &[Scope] = &[Scope::Accounts, Scope::Rights];

/// Everything below `/api`.
pub fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let (router, document) = scopes(app).split_for_parts();
    let v1 = router
        .method_not_allowed_fallback(answer::no_such_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES));
    // The fallback stands on this level: a router nested twice would lose its own.
    Router::new()
        .route("/setup", get(setup::page))
        .route("/setup.js", get(setup::script))
        .route("/oidc", get(oidc::page))
        .route("/oidc.js", get(oidc::script))
        .route("/docs/openapi.json", get(docs::serve))
        .nest("/v1", v1)
        .fallback(answer::no_such_path)
        .layer(middleware::from_fn_with_state(app.clone(), answer::localise))
        .layer(axum::Extension(docs::Document::new(&document)))
}

/// Every route in the group of the one scope it needs.
fn scopes(app: &Arc<App>) -> Api {
    let within = |scope: Scope, routes: Api| {
        routes.route_layer(middleware::from_fn_with_state((app.clone(), scope), auth::require))
    };
    let creating = |routes: Api| {
        routes.route_layer(middleware::from_fn_with_state(app.clone(), idempotency::once))
    };
    Api::with_openapi(docs::Base::openapi())
        .merge(open())
        .merge(
            Api::new().routes(routes!(info::info)).route_layer(middleware::from_fn_with_state(
                (app.clone(), AROUND),
                auth::require_some,
            )),
        )
        .merge(within(Scope::Own, owning()))
        .merge(
            Api::new().routes(routes!(people::list)).routes(routes!(people::show)).route_layer(
                middleware::from_fn_with_state((app.clone(), PEOPLE), auth::require_some),
            ),
        )
        .merge(within(Scope::Accounts, people::accounts()))
        .merge(within(Scope::Rights, people::rights()))
        .merge(within(Scope::PeopleLog, people_log::log()))
        .merge(within(Scope::Read, reading()))
        .merge(within(Scope::Publish, creating(publishing())))
        .merge(within(Scope::Publish, uploading()))
        .merge(within(Scope::Contract, creating(contracting())))
        .merge(within(Scope::Use, creating(moving())))
        .merge(within(Scope::Use, using()))
        .merge(within(Scope::Use, sending()))
        .merge(within(Scope::Audit, auditing()))
        .merge(within(Scope::Admin, governing()))
}

/// Anybody.
fn open() -> Api {
    Api::new()
        .routes(routes!(info::health))
        .routes(routes!(setup::finish))
        .routes(routes!(session::sign_in))
        .routes(routes!(own::join))
        .routes(routes!(oidc::begin))
        .routes(routes!(oidc::finish))
}

/// One's own account.
fn owning() -> Api {
    Api::new()
        .routes(routes!(session::sign_out))
        .routes(routes!(own::me))
        .routes(routes!(own::password))
        .routes(routes!(own::sessions))
        .routes(routes!(own::end))
        .routes(routes!(own::begin_factor))
        .routes(routes!(own::confirm_factor))
        .routes(routes!(own::remove_factor))
        .routes(routes!(keys::create))
        .routes(routes!(keys::list))
        .routes(routes!(keys::revoke))
}

fn reading() -> Api {
    Api::new()
        .routes(routes!(products::list))
        .routes(routes!(products::show))
        .routes(routes!(catalog::search))
        .routes(routes!(catalog::members))
        .routes(routes!(events::listen))
        .routes(routes!(catalog::show))
        .routes(routes!(negotiations::list))
        .routes(routes!(negotiations::show))
        .routes(routes!(contracts::list))
        .routes(routes!(contracts::show))
        .routes(routes!(copies::list))
        .routes(routes!(tc609::show))
        .routes(routes!(transfers::list))
        .routes(routes!(transfers::show))
        .routes(routes!(evidence::key))
        .routes(routes!(planes::flows))
        .routes(routes!(planes::show))
        .routes(routes!(matchings::list))
        .routes(routes!(matchings::show))
        .routes(routes!(tables::list))
        .routes(routes!(tables::show))
}

fn publishing() -> Api {
    Api::new().routes(routes!(products::publish)).routes(routes!(tables::prepare))
}

fn uploading() -> Api {
    Api::new().routes(routes!(uploads::put)).routes(routes!(tables::drop))
}

fn sending() -> Api {
    Api::new().routes(routes!(matchings::send_list))
}

fn contracting() -> Api {
    Api::new()
        .routes(routes!(catalog::crawl))
        .routes(routes!(subscriptions::create))
        .routes(routes!(subscriptions::list))
        .routes(routes!(subscriptions::delete))
        .routes(routes!(negotiations::request))
        .routes(routes!(negotiations::approve))
        .routes(routes!(negotiations::counter))
        .routes(routes!(negotiations::terminate))
        .routes(routes!(negotiations::reject))
        .routes(routes!(messages::retry_negotiation))
        .routes(routes!(contracts::suspend))
        .routes(routes!(contracts::consent))
        .routes(routes!(contracts::resume))
        .routes(routes!(copies::recall))
        .routes(routes!(contracts::revoke))
        .routes(routes!(contracts::end))
}

fn moving() -> Api {
    Api::new()
        .routes(routes!(transfers::start))
        .routes(routes!(transfers::suspend))
        .routes(routes!(transfers::resume))
        .routes(routes!(transfers::terminate))
        .routes(routes!(messages::retry_transfer))
        .routes(routes!(matchings::begin))
}

fn using() -> Api {
    Api::new()
        .routes(routes!(uses::query))
        .routes(routes!(uses::flight))
        .routes(routes!(uses::open))
        .routes(routes!(programs::token))
        .routes(routes!(programs::copy))
        .routes(routes!(uses::copy))
        .routes(routes!(uses::standing))
        .routes(routes!(uses::renew))
        .routes(routes!(uses::close))
        .routes(routes!(matchings::stop))
        .routes(routes!(matched::rows))
        .routes(routes!(matched::forget))
        .routes(routes!(matched::labels))
}

fn auditing() -> Api {
    Api::new()
        .routes(routes!(facts::list))
        .routes(routes!(evidence::receipt))
        .routes(routes!(evidence::verify))
        .routes(routes!(evidence::audit))
        .routes(routes!(archive::show))
        .routes(routes!(evidence::lineage))
        .routes(routes!(watermarks::trace))
}

fn governing() -> Api {
    Api::new()
        .routes(routes!(planes::list, planes::register))
        .routes(routes!(planes::remove))
        .routes(routes!(spaces::create))
        .routes(routes!(spaces::list))
        .routes(routes!(spaces::members))
        .routes(routes!(spaces::invite))
        .routes(routes!(spaces::join))
        .routes(routes!(spaces::revoke))
        .routes(routes!(shares::list, shares::hold))
        .routes(routes!(shares::free))
}
