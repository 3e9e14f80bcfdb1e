//! The rows of the result, written to a file: a second pass over the user's own list that copies what the bitmap says.
//!
//! CSV is copied byte for byte. A file of results is there whole or not at all: it is written beside its place, synced and renamed,
//! and readable by its owner only. A list that has other rows than it had when its keys were read gives a fault and no file.

mod csv;
mod table;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tempfile::NamedTempFile;

use super::bitmap::Bitmap;
use super::fault::Fault;
use super::place::{Input, Place, Sealing, Writer};
use super::source::Format;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub rows: u64,
    pub bytes: u64,
}

/// Writes the rows of `list` that are in `rows` to `out`, all columns or those that are named, in their order. CSV lists
/// become CSV with the same delimiter; Parquet and Arrow lists become any format.
pub fn write_rows<'l, 'o>(
    list: (impl Into<Place<'l>>, Format),
    rows: &Bitmap,
    out: (impl Into<Place<'o>>, Format),
    columns: Option<&[String]>,
) -> Result<Written, Fault> {
    let ((place, format), (target, to)) = (list, out);
    let (place, target) = (place.into(), target.into());
    let path = place.path;
    if same_file(path, target.path) {
        return Err(Fault::Overwrite { file: path.display().to_string() });
    }
    let input = place.open()?;
    let output = Output::beside(target)?;
    let name = path.display().to_string();
    let job = Job { input, name: &name, rows, output: &output, columns };
    match (format, to) {
        (Format::Csv(delimiter), Format::Csv(same)) if delimiter == same => {
            csv::copy(job, delimiter.byte())?;
        }
        (Format::Csv(_), _) => {
            let advice = "CSV with the delimiter of the list";
            return Err(Fault::Conversion { from: "CSV", to: to.name(), advice });
        }
        (Format::Parquet, _) => table::of_parquet(job, to)?,
        (Format::ArrowFile, _) => table::of_arrow_file(job, to)?,
        (Format::ArrowStream, _) => table::of_arrow_stream(job, to)?,
    }
    let bytes = output.publish()?;
    Ok(Written { rows: rows.count(), bytes })
}

/// Whether a list has these columns, each once: what would fail after a job is to be known before it.
pub fn check_columns<'p>(
    (place, format): (impl Into<Place<'p>>, Format),
    columns: &[String],
) -> Result<(), Fault> {
    let place = place.into();
    let input = place.open()?;
    let name = place.path.display().to_string();
    let present = match format {
        Format::Csv(delimiter) => csv::columns(input, &name, delimiter.byte())?,
        Format::Parquet | Format::ArrowFile | Format::ArrowStream => {
            table::columns(input, &name, format)?
        }
    };
    places(&name, columns, &present).map(drop)
}

/// Where the named columns stand among those present.
fn places(file: &str, columns: &[String], present: &[String]) -> Result<Vec<usize>, Fault> {
    if columns.is_empty() {
        return Err(Fault::mapping("no columns are named for the result"));
    }
    let place = |column: &String| {
        let mut found = (0..).zip(present).filter(|(_, name)| *name == column);
        match (found.next(), found.next()) {
            (Some((place, _)), None) => Ok(place),
            (Some(_), Some(_)) => {
                Err(Fault::ColumnTwice { file: file.into(), column: column.clone() })
            }
            (None, _) => Err(Fault::no_column(file, column, "the result", present)),
        }
    };
    columns.iter().map(place).collect()
}

/// What both kinds of copying are given.
struct Job<'j> {
    input: Input,
    name: &'j str,
    rows: &'j Bitmap,
    output: &'j Output,
    columns: Option<&'j [String]>,
}

impl Job<'_> {
    /// Fails unless the list has as many rows as when its keys were read.
    fn same_rows(&self, found: u64) -> Result<(), Fault> {
        let expected = self.rows.rows();
        if found == expected {
            return Ok(());
        }
        Err(Fault::Changed { file: self.name.into(), expected, found })
    }

    /// Where the named columns stand among those present.
    fn places(&self, present: &[String]) -> Result<Option<Vec<usize>>, Fault> {
        self.columns.map(|columns| places(self.name, columns, present)).transpose()
    }
}

/// A file in the making; goes away unless it is published.
pub(super) struct Output {
    file: NamedTempFile,
    target: PathBuf,
    sealing: Option<Arc<Mutex<Sealing>>>,
}

impl Output {
    pub(super) fn beside(place: Place<'_>) -> Result<Self, Fault> {
        let target = place.path;
        let file = tempfile::Builder::new()
            .prefix(".tidm-rows-")
            .tempfile_in(folder(target))
            .map_err(Fault::io("write beside", target))?;
        let sealing = place.key.map(|key| {
            let file = file.as_file().try_clone()?;
            Sealing::new(file, key).map(|it| Arc::new(Mutex::new(it)))
        });
        let sealing = sealing.transpose().map_err(Fault::io("write", target))?;
        Ok(Self { file, target: target.into(), sealing })
    }

    pub(super) fn writer(&self) -> Result<Writer, Fault> {
        match &self.sealing {
            Some(it) => Ok(Writer::Sealed(it.clone())),
            None => self.file.as_file().try_clone().map(Writer::Plain).map_err(self.fault()),
        }
    }

    fn fault(&self) -> impl FnOnce(std::io::Error) -> Fault {
        Fault::io("write", &self.target)
    }

    /// Syncs, renames into place, syncs the folder; gives the length of what was written.
    pub(super) fn publish(self) -> Result<u64, Fault> {
        let Self { file, target, sealing } = self;
        let bytes = match sealing {
            Some(it) => it.lock().unwrap_or_else(PoisonError::into_inner).finish(),
            None => file.as_file().metadata().map(|it| it.len()),
        };
        let bytes = bytes.map_err(Fault::io("write", &target))?;
        file.as_file().sync_all().map_err(Fault::io("write", &target))?;
        file.persist(&target).map_err(|error| Fault::io("rename to", &target)(error.error))?;
        let folder =
            File::open(folder(&target)).map_err(Fault::io("sync the folder of", &target))?;
        folder.sync_all().map_err(Fault::io("sync the folder of", &target))?;
        Ok(bytes)
    }
}

fn folder(target: &Path) -> &Path {
    target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}
