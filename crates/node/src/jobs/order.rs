//! Consumer: how a delivery is asked for, and whereto.
//!
//! Never keeps a credential longer than the provider needs to hear it: it travels in the request, and what this side
//! keeps of an address that was told is without it.

use tidm_space::catalog::delivery::{Delivery, S3_ADDRESS, Use, Way};
use tidm_space::engine::input::TransferWish;
use tidm_space::fault::Fault;
use tidm_space::id::{Id, Ids as _};
use tidm_space::transfer::message::DataAddress;
use tidm_space::transfer::state::Transfer;

use crate::app::App;
use crate::clock::FreshIds;
use crate::server::arrivals;

/// Whereto the bytes go.
pub enum To {
    /// This node fetches them.
    Pull,
    /// The provider pushes them to this node.
    Push,
    Bucket(Bucket),
}

/// A bucket of the consumer's, with what opens it for a while.
pub struct Bucket {
    pub endpoint: String,
    pub region: Option<String>,
    pub name: String,
    /// Before the object's name, as it stands.
    pub prefix: String,
    pub key_id: String,
    pub secret: String,
    pub session: Option<String>,
}

/// The wish to have a contract's data delivered.
pub async fn order(app: &App, contract: Id, kind: Use, to: To) -> anyhow::Result<TransferWish> {
    let id = FreshIds.fresh();
    let (way, push_to) = match to {
        To::Pull => (Way::Pull, None),
        To::Push => {
            app.store.contract(&contract).await?.ok_or(Fault::NotFound { what: "contract" })?;
            (Way::Push, Some(arrivals::address(app, &contract, &id).await?))
        }
        To::Bucket(bucket) => (Way::Bucket, Some(bucket_address(&id, bucket))),
    };
    let format = Delivery { kind, way }.format().to_owned();
    Ok(TransferWish { id: Some(id), contract, address: None, format, push_to })
}

/// With the names that other connectors give these properties.
fn bucket_address(id: &Id, it: Bucket) -> DataAddress {
    let object = id.as_str().rsplit(':').next().unwrap_or_default().to_owned();
    let given = [
        ("bucketName", Some(it.name)),
        ("region", it.region),
        ("keyPrefix", Some(it.prefix).filter(|it| !it.is_empty())),
        ("objectName", Some(object)),
        ("accessKeyId", Some(it.key_id)),
        ("secretAccessKey", Some(it.secret)),
        ("sessionToken", it.session),
    ];
    let properties = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    DataAddress {
        endpoint_type: S3_ADDRESS.to_owned(),
        endpoint: Some(it.endpoint),
        properties: properties.collect(),
    }
}

/// Where a push goes, for people: never what opens it.
pub fn shown(it: &Transfer) -> Option<String> {
    let to = it.push_to.as_ref()?;
    let endpoint = to.endpoint.as_deref().or_else(|| to.property("endpointOverride"));
    let endpoint = endpoint.unwrap_or_default();
    let Some(bucket) = to.property("bucketName") else { return Some(endpoint.to_owned()) };
    let property = |name| to.property(name).unwrap_or_default();
    Some(format!("{endpoint}/{bucket}/{}{}", property("keyPrefix"), property("objectName")))
}
