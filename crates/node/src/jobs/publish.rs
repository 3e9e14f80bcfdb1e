//! Publishing: a file becomes a product version with origin, profile, preview and offers.
//!
//! Never changes anything on bad input: offers, and the contracts that a product is made under, are checked before the file is read, the product before its
//! bytes are kept, and every temporary file goes with its guard, also when the caller goes away.

use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidm_crypto::hash::{Digest, sha256};
use tidm_ingest::fault::Fault as Bad;
use tidm_ingest::format::{Format, detect};
use tidm_ingest::options::Options;
use tidm_ingest::origin::Origin;
use tidm_ingest::table::{Progress, Skipped, Table};
use tidm_ingest::{binary, limits, table};
use tidm_space::approval::Rules;
use tidm_space::catalog::product::{
    Approval, BadProduct, Column, Draft, Grade, Kind, Offer, Product,
};
use tidm_space::engine::derived;
use tidm_space::engine::input::{Input, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::limits::DERIVED_FROM;
use tidm_space::policy::model::Policy;
use tidm_space::policy::sentence::{self, Sentences};
use tidm_space::policy::usage::Use;

use super::spool::{self, Local};
use crate::app::App;
use crate::objects::Key;
use crate::store::notes::{self, Source};
use crate::store::writer::WorkError;

/// What is published, and how.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// The file to read: the publisher's own, or an upload that was spooled.
    pub file: PathBuf,
    /// The file's own name, where `file` is a spooled copy: formats go by endings, origins name it.
    pub name: Option<String>,
    pub title: String,
    pub description: String,
    pub keywords: Vec<String>,
    /// An earlier product's line: this is its next version.
    pub line: Option<Id>,
    pub grade: Grade,
    /// Whether sample rows may be shown in the catalogue.
    pub preview: bool,
    pub offers: Vec<OfferRequest>,
    /// Contracts of ours under which what it is made of was used.
    pub derived_from: Vec<Id>,
    /// How to read the file; `excel_bytes` comes from the configuration.
    pub options: Options,
}

impl PublishRequest {
    /// Without description, offers and wishes.
    pub fn new(file: impl Into<PathBuf>, title: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            name: None,
            title: title.into(),
            description: String::new(),
            keywords: vec![],
            line: None,
            grade: Grade::General,
            preview: false,
            offers: vec![],
            derived_from: vec![],
            options: Options::default(),
        }
    }
}

/// Terms as a person chose them, and the ways of delivery that they are for.
#[derive(Clone, Debug)]
pub struct OfferRequest {
    pub sentences: Sentences,
    /// A whole policy in their place.
    pub policy: Option<Policy>,
    pub approval: Approval,
    /// Empty: [`Sentences::kinds`], and where those are empty, every way that fits the file and the terms.
    pub deliveries: Vec<Use>,
    /// What this node does by itself; goes before `approval`.
    pub rules: Rules,
}

/// A published version, and what was left out of it.
#[derive(Clone, Debug)]
pub struct Published {
    pub product: Product,
    pub format: Format,
    /// Broken rows that were skipped under `broken_rows_allowed`.
    pub skipped: Skipped,
}

/// Reads the file and publishes it; `progress` may stop it. Goes on when the caller goes away.
///
/// # Errors
/// [`Fault::Refused`] `publish.*`: what is wrong with the file, the terms or the texts, fit to be shown.
/// [`Fault::NotFound`] for a line that nothing was published in. Nothing has changed then.
pub async fn publish(
    app: &Arc<App>,
    request: PublishRequest,
    progress: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static,
) -> Result<Published, WorkError> {
    let app = app.clone();
    let working = tokio::spawn(async move { work(&app, request, Box::new(progress)).await });
    working.await.map_err(|_| Fault::ApiMisuse("a publication's task panicked"))?
}

type Report = Box<dyn FnMut(Progress) -> ControlFlow<()> + Send>;

/// What reading the file brought, with the guard of what it wrote.
struct Made {
    out: Local,
    format: Format,
    origin: Origin,
    table: Option<Table>,
}

async fn work(
    app: &Arc<App>,
    mut request: PublishRequest,
    progress: Report,
) -> Result<Published, WorkError> {
    let (line, newest) = line_of(app, request.line.take()).await?;
    let format = format_of(&request).await?;
    let kind = if format == Format::Binary { Kind::File } else { Kind::Table };
    let offers = offers(app, kind, &request.offers)?;
    let sources = derived::sources(&request.derived_from, newest.as_ref());
    permitted(app, &sources, &offers).await?;
    let made = read(app, &request, format, progress).await?;
    let id = Id::from(uuid::Uuid::now_v7());
    let origin =
        serde_json::to_string(&made.origin).map_err(|why| WorkError::Store(why.to_string()))?;
    let (content, bytes) = match &made.table {
        Some(table) => (&table.parquet_sha256, table.parquet_bytes),
        None => (&made.origin.sha256, made.origin.bytes),
    };
    let content = Digest::parse(content)
        .map_err(|_| Fault::ApiMisuse("an ingested file without a digest"))?;
    let mut draft = Draft::new(id.clone(), line, request.title, kind, app.clock.now());
    draft.description = request.description;
    draft.keywords = request.keywords;
    draft.columns = made.table.as_ref().map(columns).unwrap_or_default();
    draft.rows = made.table.as_ref().map(|it| it.rows);
    draft.bytes = Some(bytes);
    draft.content = Some(content);
    draft.origin = Some(sha256(origin.as_bytes()));
    draft.grade = request.grade;
    draft.offers = offers;
    draft.preview = request.preview && made.table.is_some();
    draft.derived_from = sources;
    let product = Product::new(draft).map_err(|why| bad_product(&why))?;
    let object = format!("products/{}/data", id.as_str().rsplit(':').next().unwrap_or_default());
    let source = source(&id, &object, origin, made.table.as_ref())?;
    let skipped = made.table.as_ref().map(|it| it.skipped.clone()).unwrap_or_default();
    keep(app, &made.out, &source, content, &product).await?;
    let product = app.store.product(&id).await.map_err(failed)?.unwrap_or(product);
    metrics::counter!("tidm_products_published_total").increment(1);
    Ok(Published { product, format: made.format, skipped })
}

/// The line with its newest version, which exists where it was named; the version in it is given when the product is saved.
async fn line_of(app: &App, line: Option<Id>) -> Result<(Id, Option<Product>), WorkError> {
    let Some(line) = line else { return Ok((Id::from(uuid::Uuid::now_v7()), None)) };
    let newest = app.store.newest_of_line(&line).await.map_err(failed)?;
    let newest = newest.ok_or(Fault::NotFound { what: "product line" })?;
    Ok((line, Some(newest)))
}

/// What the publication would be refused for, before a large file is read. It is asked again when the product is saved.
async fn permitted(app: &App, sources: &[Id], offers: &[Offer]) -> Result<(), WorkError> {
    let mut contracts = Vec::new();
    for id in sources.iter().take(DERIVED_FROM) {
        contracts.extend(app.store.contract(id).await.map_err(failed)?);
    }
    derived::check(&app.identity.did, sources, &contracts, offers, app.clock.now())?;
    Ok(())
}

fn own_name(request: &PublishRequest) -> &Path {
    request.name.as_deref().map_or(request.file.as_path(), Path::new)
}

async fn format_of(request: &PublishRequest) -> Result<Format, WorkError> {
    let (path, name) = (request.file.clone(), own_name(request).to_owned());
    let head = tokio::task::spawn_blocking(move || {
        let mut head = Vec::new();
        let file = std::fs::File::open(path)?;
        file.take(limits::HEAD_BYTES as u64).read_to_end(&mut head)?;
        Ok::<_, std::io::Error>(head)
    })
    .await
    .map_err(|_| Fault::ApiMisuse("reading a file's head panicked"))?;
    let head = head.map_err(|why| {
        Fault::refused("publish.file", format!("the file cannot be read: {}", why.kind()))
    })?;
    if head.is_empty() {
        return Err(bad_file(Bad::Empty).into());
    }
    Ok(detect(&name, &head))
}

/// The offers, checked for themselves; whether they fit the product comes with the product.
fn offers(app: &App, kind: Kind, asked: &[OfferRequest]) -> Result<Vec<Offer>, WorkError> {
    let me =
        Id::parse(app.identity.did.as_str()).map_err(|_| Fault::ApiMisuse("our DID is no id"))?;
    let mut all = Vec::with_capacity(asked.len());
    for it in asked {
        let id = Id::from(uuid::Uuid::now_v7());
        let policy = match &it.policy {
            Some(whole) => whole.clone().offered(id, Some(me.clone())),
            None => sentence::build(id, Some(me.clone()), &it.sentences)
                .map_err(|why| Fault::refused("publish.terms", why.to_string()))?,
        };
        let deliveries = deliveries(kind, it, &policy);
        let offer = Offer::new(policy, it.approval, deliveries).map_err(|why| bad_product(&why))?;
        all.push(said(offer, it, &me)?.with_rules(it.rules.clone()));
    }
    Ok(all)
}

/// Terms that name no kinds of use name those that are offered: what is signed says them, wherever it is read.
///
/// Not where bytes in the clear are among them: those can be put to any use, and connectors of other makes that fetch
/// them know no such term.
fn said(offer: Offer, it: &OfferRequest, me: &Id) -> Result<Offer, WorkError> {
    let kinds = offer.deliveries().to_vec();
    // A whole policy is its writer's.
    if it.policy.is_some() || !it.sentences.kinds.is_empty() || kinds.contains(&Use::Plain) {
        return Ok(offer);
    }
    let sentences = Sentences { kinds: kinds.clone(), ..it.sentences.clone() };
    let policy = sentence::build(offer.id().clone(), Some(me.clone()), &sentences)
        .map_err(|why| Fault::refused("publish.terms", why.to_string()))?;
    Ok(Offer::new(policy, it.approval, kinds).map_err(|why| bad_product(&why))?)
}

fn deliveries(kind: Kind, it: &OfferRequest, policy: &Policy) -> Vec<Use> {
    if !it.deliveries.is_empty() {
        return it.deliveries.clone();
    }
    if !it.sentences.kinds.is_empty() {
        return it.sentences.kinds.clone();
    }
    let fits = |delivery: &Use| {
        kind == Kind::Table && *delivery != Use::SealedFile
            || kind != Kind::Table && *delivery == Use::SealedFile
    };
    // Bytes in the clear are never chosen for somebody: they have to be asked for.
    let safe = Use::ALL.into_iter().filter(|it| *it != Use::Plain && fits(it));
    match tidm_space::policy::compile::compile(policy) {
        Ok(terms) => safe.filter(|it| terms.unkeepable(*it).is_empty()).collect(),
        Err(_) => safe.collect(),
    }
}

async fn read(
    app: &App,
    request: &PublishRequest,
    format: Format,
    mut progress: Report,
) -> Result<Made, WorkError> {
    let out = spool::fresh(app, "ingest").map_err(|why| WorkError::Store(why.to_string()))?;
    let now = u64::try_from(app.clock.now().ms()).unwrap_or(0);
    let (path, name) = (request.file.clone(), request.name.clone());
    let options = Options { excel_bytes: app.config.limits.excel_bytes, ..request.options.clone() };
    let made = tokio::task::spawn_blocking(move || {
        let (mut origin, table) = if format == Format::Binary {
            (binary::ingest(&path, out.path(), &options.by, now, &mut *progress)?, None)
        } else {
            let table = table::ingest(&path, format, &options, out.path(), now, &mut *progress)?;
            (table.origin.clone(), Some(table))
        };
        if let Some(name) = name {
            // Where a spooled copy lay means nothing to anybody.
            origin.file_name = Path::new(&name)
                .file_name()
                .map_or_else(String::new, |it| it.to_string_lossy().into_owned());
            origin.path = name;
        }
        Ok(Made { out, format, origin, table })
    })
    .await
    .map_err(|_| {
        Fault::refused(
            "publish.broken",
            "the file is damaged in a way that its reader did not survive",
        )
    })?;
    Ok(made.map_err(bad_file)?)
}

fn columns(table: &Table) -> Vec<Column> {
    let column = |it: &table::Column| Column {
        name: it.name.clone(),
        data_type: it.kind.clone(),
        unit: None,
        title: None,
    };
    table.schema.iter().map(column).collect()
}

fn source(
    id: &Id,
    object: &str,
    origin: String,
    table: Option<&Table>,
) -> Result<Source, WorkError> {
    let json =
        |value: serde_json::Result<String>| value.map_err(|why| WorkError::Store(why.to_string()));
    let (profile, preview) = match table {
        None => (None, None),
        Some(table) => {
            let names: Vec<&str> = table.schema.iter().map(|it| it.name.as_str()).collect();
            let preview = serde_json::json!({ "columns": names, "rows": table.preview });
            (Some(json(serde_json::to_string(&table.profile))?), Some(preview.to_string()))
        }
    };
    Ok(Source { product: id.clone(), object: object.to_owned(), origin, profile, preview })
}

/// Bytes first, then the row that finds them, then the product: what was kept in vain is taken back.
async fn keep(
    app: &Arc<App>,
    out: &Local,
    source: &Source,
    content: Digest,
    product: &Product,
) -> Result<(), WorkError> {
    let object = |why: crate::objects::ObjectError| WorkError::Store(why.to_string());
    let key = Key::parse(&source.object).map_err(object)?;
    let file =
        tokio::fs::File::open(out.path()).await.map_err(|why| WorkError::Store(why.to_string()))?;
    let done = async {
        let put = app.objects.put(&key, file, u64::MAX).await.map_err(object)?;
        if put.sha256 != content {
            return Err(WorkError::Store("what was kept is not what was read".to_owned()));
        }
        let row = source.clone();
        app.writer
            .note(move |conn| {
                let row = row.clone();
                Box::pin(async move { notes::save_source(conn, &row).await })
            })
            .await?;
        app.writer
            .run(Input::Wish(Box::new(Wish::Publish(Box::new(product.clone())))))
            .await
            .map(drop)
    }
    .await;
    if done.is_err() {
        let id = source.product.clone();
        let gone = app
            .writer
            .note(move |conn| {
                let id = id.clone();
                Box::pin(async move { notes::drop_source(conn, &id).await })
            })
            .await;
        if let (Err(error), _) | (_, Err(error)) =
            (app.objects.delete(&key).await.map_err(object), gone)
        {
            tracing::warn!(%error, object = %source.object, "what was kept for a failed publication stays behind");
        }
    }
    done
}

/// Every way a file can be bad, as a code with a next step in the catalogue of problems.
pub(super) fn bad_file(why: Bad) -> Fault {
    let code = match &why {
        Bad::File { action, source, .. } => {
            // The path is this machine's own business.
            tracing::info!(error = %why, "a file could not be published");
            return Fault::refused(
                "publish.file",
                format!("cannot {action} the file: {}", source.kind()),
            );
        }
        Bad::Empty => "publish.empty",
        Bad::Row(_) => "publish.row",
        Bad::TooManyBroken { .. } => "publish.rows",
        Bad::Encoding { .. } => "publish.encoding",
        Bad::Limit { .. } => "publish.limit",
        Bad::Broken { .. } => "publish.broken",
        Bad::NoSheet { .. } => "publish.sheet",
        Bad::NoColumn(_) => "publish.column",
        Bad::NotTable(_) => "publish.format",
        Bad::Changed => "publish.changed",
        Bad::Cancelled => "publish.cancelled",
        Bad::Refused => "publish.sealed",
    };
    Fault::refused(code, why.to_string())
}

fn bad_product(why: &BadProduct) -> Fault {
    let code = match why {
        BadProduct::Text(_) | BadProduct::TooMany | BadProduct::Version => "publish.texts",
        BadProduct::Column(_) => "publish.columns",
        BadProduct::UnknownColumn { .. } => "publish.column",
        BadProduct::SameOffer(_)
        | BadProduct::NoOffer(_)
        | BadProduct::ColumnKind { .. }
        | BadProduct::Terms { .. } => "publish.terms",
        BadProduct::Deliveries(_) | BadProduct::Delivery { .. } => "publish.delivery",
        BadProduct::Core | BadProduct::Important => "publish.grade",
    };
    Fault::refused(code, why.to_string())
}

fn failed(why: crate::store::StoreError) -> WorkError {
    WorkError::Store(why.to_string())
}
