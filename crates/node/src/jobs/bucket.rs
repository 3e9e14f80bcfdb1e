//! Bytes put into a bucket that the consumer names (`AmazonS3-PUSH`), over the S3 API by a multipart upload.
//!
//! Threat model: the service is a stranger's, and it is called under the rules for peers' addresses; redirects are not
//! followed. Credentials are the consumer's: they are used for nothing but the one object that the request names,
//! wrapped wherever they are kept ([`super::secrets`]), and shown to nobody. An upload that is broken off is aborted; of
//! one whose process died the bucket's lifecycle rule clears the parts away. A node that was made to upload elsewhere
//! than the consumer wants can only have been told so by the consumer.
//!
//! Never an object in memory: one part at a time.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use tokio_util::io::StreamReader;

use tidm_space::fault::Fault;
use tidm_space::transfer::message::DataAddress;
use tidm_space::transfer::state::Transfer;

use super::secrets;
use super::sending::{Parcel, Sent};
use crate::app::App;
use crate::net::client::CallError;
use crate::objects::{self, ObjectError};
use crate::server::budget::{Place, paced};
use crate::server::watch::Watch;

/// A bucket as an address names it, with what opens it.
pub struct Bucket {
    pub endpoint: String,
    store: Arc<dyn ObjectStore>,
    path: Path,
}

/// Our own client: its rules for addresses, no redirects, no proxies of the environment.
#[derive(Debug)]
struct Ours(reqwest::Client);

impl HttpConnector for Ours {
    fn connect(&self, _: &object_store::ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

impl Bucket {
    /// The bucket of an address; names of properties are those that other connectors use.
    ///
    /// # Errors
    /// [`Fault::PeerMisbehaved`] with the property; never with its value.
    pub fn of(app: &App, it: &Transfer, to: &DataAddress) -> Result<Self, Fault> {
        let wrong = |what: &str| Fault::misbehaved("transfer.address", what.to_owned());
        let any = |names: &[&str]| {
            names.iter().find_map(|name| to.property(name)).filter(|it| !it.is_empty())
        };
        let need = |names: &[&str]| {
            any(names).ok_or_else(|| wrong(&format!("a bucket's address needs {}", names[0])))
        };
        let endpoint = to.endpoint.as_deref().or_else(|| any(&["endpointOverride"]));
        let endpoint = endpoint.ok_or_else(|| wrong("a bucket's address names its service"))?;
        let endpoint = endpoint.trim_end_matches('/');
        app.client.check(endpoint).map_err(|why| wrong(&why.to_string()))?;
        let prefix = any(&["keyPrefix", "folderName"]).unwrap_or_default();
        let name = any(&["objectName", "keyName"]).map_or_else(|| object_name(it), str::to_owned);
        let path = Path::parse(format!("{prefix}{name}"))
            .map_err(|_| wrong("the object's name is none that a bucket takes"))?;
        let mut builder = AmazonS3Builder::new()
            .with_endpoint(endpoint)
            .with_region(any(&["region"]).unwrap_or("us-east-1"))
            .with_bucket_name(need(&["bucketName"])?)
            .with_access_key_id(need(&["accessKeyId"])?)
            .with_secret_access_key(need(&["secretAccessKey"])?)
            .with_allow_http(endpoint.starts_with("http://"))
            .with_http_connector(Ours(app.client.plain()));
        if let Some(token) = any(&["sessionToken"]) {
            builder = builder.with_token(token);
        }
        // The builder's own words could quote what it was given.
        let store = builder.build().map_err(|_| wrong("the bucket's address cannot be used"))?;
        Ok(Self { endpoint: endpoint.to_owned(), store: Arc::new(store), path })
    }
}

/// Where the request names no object.
fn object_name(it: &Transfer) -> String {
    it.id.as_str().rsplit(':').next().unwrap_or_default().to_owned()
}

/// Uploads the whole; one that was broken off begins anew.
pub async fn send(
    app: &Arc<App>,
    it: &Transfer,
    to: &DataAddress,
    parcel: &Parcel,
    place: Place,
) -> anyhow::Result<Sent> {
    let to = secrets::unwrap(app, &it.contract, to)?;
    let bucket = match Bucket::of(app, it, &to) {
        Ok(bucket) => bucket,
        Err(why) => return Ok(Sent::Refused(why.to_string())),
    };
    match app.client.check_whole(&bucket.endpoint).await {
        Ok(()) => {}
        Err(why @ CallError::Address { .. }) => return Ok(Sent::Refused(why.to_string())),
        Err(why) => return Err(why.into()),
    }
    let pieces = app.objects.stream(&parcel.key, 0..parcel.bytes).await?;
    let pieces = Box::pin(paced(pieces, Some(place), Arc::<Watch>::default()));
    let put = objects::upload(&bucket.store, &bucket.path, StreamReader::new(pieces)).await;
    match put {
        Ok(put) if (put.bytes, put.sha256) == (parcel.bytes, parcel.sha256) => Ok(Sent::Whole),
        Ok(_) => anyhow::bail!("the object {} has changed", parcel.key.as_str()),
        Err(ObjectError::Denied) => Ok(Sent::Refused("the bucket refuses the keys".to_owned())),
        Err(ObjectError::Missing(_)) => Ok(Sent::Refused("there is no such bucket".to_owned())),
        Err(error) => Err(error.into()),
    }
}
