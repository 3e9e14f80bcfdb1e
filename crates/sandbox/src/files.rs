//! Table files as an object store over descriptors that were open before the jail closed.
//!
//! Paths are only names for descriptors (`table/file`); nothing here opens anything. Reads are
//! positional (`pread`), so one descriptor serves every partition at once.

use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

const STORE: &str = "descriptors";

/// One readable file.
#[derive(Debug)]
struct Entry {
    location: Path,
    file: File,
    size: u64,
}

/// The files of a job, by name. Read-only by construction.
#[derive(Debug)]
pub(crate) struct Files(Vec<Entry>);

impl Files {
    /// Takes descriptors with their names; sizes are read now, before `fstat` probes are gone.
    pub(crate) fn new(named: Vec<(Path, File)>) -> std::io::Result<Self> {
        let entries = named.into_iter().map(|(location, file)| {
            let size = rustix::fs::fstat(&file)?.st_size;
            let size = u64::try_from(size).map_err(std::io::Error::other)?;
            Ok(Entry { location, file, size })
        });
        entries.collect::<std::io::Result<_>>().map(Self)
    }

    /// The last four bytes of a file: Parquet's magic, `PAR1` or `PARE` (encrypted footer).
    pub(crate) fn magic(&self, location: &Path) -> Option<[u8; 4]> {
        let entry = self.entry(location).ok()?;
        let mut magic = [0; 4];
        entry.file.read_exact_at(&mut magic, entry.size.checked_sub(4)?).ok()?;
        Some(magic)
    }

    fn entry(&self, location: &Path) -> Result<&Entry> {
        self.0.iter().find(|entry| entry.location == *location).ok_or_else(|| Error::NotFound {
            path: location.to_string(),
            source: "not a file of this job".into(),
        })
    }
}

impl Entry {
    fn meta(&self) -> ObjectMeta {
        ObjectMeta {
            location: self.location.clone(),
            last_modified: DateTime::<Utc>::UNIX_EPOCH,
            size: self.size,
            e_tag: None,
            version: None,
        }
    }

    fn read(&self, range: &Range<u64>) -> Result<Bytes> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Generic {
            store: STORE,
            source,
        };
        if range.end > self.size || range.start > range.end {
            return Err(failed("range outside the file".into()));
        }
        let length = usize::try_from(range.end - range.start).map_err(|e| failed(Box::new(e)))?;
        let mut buffer = vec![0; length];
        self.file.read_exact_at(&mut buffer, range.start).map_err(|e| failed(Box::new(e)))?;
        Ok(Bytes::from(buffer))
    }
}

impl fmt::Display for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

fn read_only(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: STORE.to_owned() }
}

#[async_trait]
impl ObjectStore for Files {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(read_only("put"))
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only("put_multipart"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let entry = self.entry(location)?;
        let meta = entry.meta();
        let range = match &options.range {
            Some(range) => range
                .as_range(entry.size)
                .map_err(|source| Error::Generic { store: STORE, source: Box::new(source) })?,
            None => 0..entry.size,
        };
        let payload = if options.head { Bytes::new() } else { entry.read(&range)? };
        let payload = GetResultPayload::Stream(stream::iter([Ok(payload)]).boxed());
        Ok(GetResult { payload, meta, range, attributes: Attributes::default() })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let entry = self.entry(location)?;
        ranges.iter().map(|range| entry.read(range)).collect()
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        stream::iter([Err(read_only("delete"))]).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed: Vec<_> = self
            .0
            .iter()
            .filter(|entry| prefix.is_none_or(|prefix| entry.location.prefix_matches(prefix)))
            .map(|entry| Ok(entry.meta()))
            .collect();
        stream::iter(listed).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(read_only("list_with_delimiter"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(read_only("copy"))
    }
}

/// Shared, because DataFusion wants the store and the sealed check wants the magic bytes.
pub(crate) type SharedFiles = Arc<Files>;
