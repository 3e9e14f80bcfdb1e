//! (in work)

use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;

use crate::app::App;
use crate::store::writer::WorkError;

pub async fn serve(
    _app: &App,
    _from: &Did,
    _lease: &Id,
    _body: &[u8],
) -> Result<Vec<u8>, WorkError> {
    Err(Fault::ApiMisuse("in work").into())
}
