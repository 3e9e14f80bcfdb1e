//! (in work)

use std::sync::Arc;

use axum::Router;

use crate::app::App;

pub fn routes(_app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
}
