//! The rows of the result, written to a file: a second pass over the user's own list that copies what the bitmap says.
//!
//! CSV is copied byte for byte. A file of results is there whole or not at all: it is written beside its place, synced and renamed,
//! and readable by its owner only. A list that has other rows than it had when its keys were read gives a fault and no file.

mod csv;
mod table;

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::bitmap::Bitmap;
use super::fault::Fault;
use super::source::Format;

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    pub rows: u64,
    pub bytes: u64,
}

/// Writes the rows of `list` that are in `rows` to `out`, all columns or those that are named, in their order. CSV lists
/// become CSV with the same delimiter; Parquet and Arrow lists become any format.
pub fn write_rows(
    list: (&Path, Format),
    rows: &Bitmap,
    out: (&Path, Format),
    columns: Option<&[String]>,
) -> Result<Written, Fault> {
    let ((path, format), (target, to)) = (list, out);
    if same_file(path, target) {
        return Err(Fault::Overwrite { file: path.display().to_string() });
    }
    let input = File::open(path).map_err(Fault::io("open", path))?;
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
pub fn check_columns(list: (&Path, Format), columns: &[String]) -> Result<(), Fault> {
    let (path, format) = list;
    let input = File::open(path).map_err(Fault::io("open", path))?;
    let name = path.display().to_string();
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
    input: File,
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
}

impl Output {
    pub(super) fn beside(target: &Path) -> Result<Self, Fault> {
        let file = tempfile::Builder::new()
            .prefix(".tidm-rows-")
            .tempfile_in(folder(target))
            .map_err(Fault::io("write beside", target))?;
        Ok(Self { file, target: target.into() })
    }

    pub(super) fn writer(&self) -> Result<File, Fault> {
        self.file.as_file().try_clone().map_err(self.fault())
    }

    fn fault(&self) -> impl FnOnce(std::io::Error) -> Fault {
        Fault::io("write", &self.target)
    }

    /// Syncs, renames into place, syncs the folder; gives the length.
    pub(super) fn publish(self) -> Result<u64, Fault> {
        let Self { file, target } = self;
        file.as_file().sync_all().map_err(Fault::io("write", &target))?;
        let bytes = file.as_file().metadata().map_err(Fault::io("write", &target))?.len();
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
