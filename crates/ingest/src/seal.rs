//! Tables sealed for one contract: Parquet Modular Encryption (uniform AES-256-GCM key, encrypted
//! footer), so that outside tools can open them too.
//!
//! The AAD prefix binds the file to what it was sealed for and is *not* stored in it: a reader must
//! bring it (Parquet encryption §4.4.1), and a file or row group swapped in from elsewhere is
//! refused. Threat model: whoever has the file but not key and prefix learns its size, no schema
//! and no statistics. A key must seal one product version for one contract only: GCM nonces are
//! random and uses of one key are counted (§5.1), and shredding the key must shred just that.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatchReader;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;
use zeroize::Zeroizing;

use crate::fault::Fault;
use crate::limits;
use crate::output::Output;
use crate::table::{batch_rows, guarded, properties};

/// A sealed table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub bytes: u64,
    /// Of the sealed file, lower-case hex.
    pub sha256: String,
    pub rows: u64,
}

/// Encrypts the Parquet file `parquet_in` to `out`, batch by batch, with the same compression and
/// row groups. The key is 32 bytes of a data key; `aad_prefix` must not be empty.
///
/// # Errors
/// [`Fault::Broken`] on an unreadable input, [`Fault::Limit`] on an empty prefix or too many row
/// groups, [`Fault::File`]; then nothing is left at or beside `out`.
pub fn seal_table(
    parquet_in: &Path,
    out: &Path,
    key: &[u8; 32],
    aad_prefix: &[u8],
) -> Result<Sealed, Fault> {
    if aad_prefix.is_empty() {
        return Err(Fault::Limit {
            what: "the AAD prefix's length",
            value: 0,
            limit: 1,
            advice: "derive it from the contract",
        });
    }
    let file = File::open(parquet_in).map_err(Fault::file("open", parquet_in))?;
    let loaded = guarded(|| ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()))?;
    let groups = loaded.metadata().row_groups();
    let size = groups
        .iter()
        .map(|g| batch_rows(g.total_byte_size(), g.num_rows()))
        .min()
        .unwrap_or(limits::BATCH_ROWS);
    if groups.len() > limits::SEALED_ROW_GROUPS {
        return Err(Fault::Limit {
            what: "the number of row groups",
            value: groups.len() as u64,
            limit: limits::SEALED_ROW_GROUPS as u64,
            advice: "split the table into several products",
        });
    }
    // The library keeps keys in plain vectors of its own: they live as long as the writer below.
    let encryption = FileEncryptionProperties::builder(key.to_vec())
        .with_aad_prefix(aad_prefix.to_vec())
        .with_aad_prefix_storage(false)
        .build()
        .map_err(|e| Fault::broken("Parquet", e))?;
    let output = Output::create(out)?;
    let properties = properties()?.with_file_encryption_properties(encryption).build();
    let schema = loaded.schema().clone();
    let mut writer = ArrowWriter::try_new(output.writer()?, schema, Some(properties))
        .map_err(|e| Fault::broken("Parquet", e))?;
    let mut rows = 0u64;
    for group in 0..groups.len() {
        let file = File::open(parquet_in).map_err(Fault::file("open", parquet_in))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, loaded.clone());
        let mut reader =
            guarded(|| builder.with_row_groups(vec![group]).with_batch_size(size).build())?;
        while let Some(batch) = guarded(|| reader.next().transpose())? {
            rows += batch.num_rows() as u64;
            writer.write(&batch).map_err(|e| Fault::broken("Parquet", e))?;
        }
        writer.flush().map_err(|e| Fault::broken("Parquet", e))?;
    }
    let _metadata = writer.close().map_err(|e| Fault::broken("Parquet", e))?;
    // What was sealed must open again, whole, before it may take its place.
    if check(output.path(), key, aad_prefix)? != rows {
        return Err(Fault::Refused);
    }
    let (bytes, sha256) = output.publish()?;
    Ok(Sealed { bytes, sha256, rows })
}

/// Opens a sealed table and counts its rows by reading all of them.
///
/// # Errors
/// [`Fault::Refused`] on a wrong key, a wrong prefix or any changed byte of it: which one is not said.
pub fn check(sealed: &Path, key: &[u8; 32], aad_prefix: &[u8]) -> Result<u64, Fault> {
    let rows = guarded(|| open(sealed, key, aad_prefix).and_then(count));
    rows.map_err(|_| Fault::Refused)
}

/// Rows of a sealed table, for a reader that holds key and prefix.
///
/// # Errors
/// [`Fault::Refused`] as [`check`]; batches may still fail later.
pub fn read(
    sealed: &Path,
    key: &[u8; 32],
    aad_prefix: &[u8],
) -> Result<Box<dyn RecordBatchReader + Send>, Fault> {
    guarded(|| open(sealed, key, aad_prefix)).map_err(|_| Fault::Refused)
}

fn count(reader: Box<dyn RecordBatchReader + Send>) -> Result<u64, parquet::errors::ParquetError> {
    let mut rows = 0u64;
    for batch in reader {
        rows += batch?.num_rows() as u64;
    }
    Ok(rows)
}

fn open(
    sealed: &Path,
    key: &[u8; 32],
    aad_prefix: &[u8],
) -> Result<Box<dyn RecordBatchReader + Send>, parquet::errors::ParquetError> {
    let copied = Zeroizing::new(key.to_vec());
    let decryption = FileDecryptionProperties::builder(copied.to_vec())
        .with_aad_prefix(aad_prefix.to_vec())
        .build()?;
    let options =
        ArrowReaderOptions::new().with_file_decryption_properties(Arc::clone(&decryption));
    let file = File::open(sealed)?;
    if !magic(&file)? {
        // A file in the clear opens with any key: it is not a sealed table.
        return Err(parquet::errors::ParquetError::General("not encrypted".to_owned()));
    }
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
    let groups = builder.metadata().row_groups();
    let size = groups
        .iter()
        .map(|g| batch_rows(g.total_byte_size(), g.num_rows()))
        .min()
        .unwrap_or(limits::BATCH_ROWS);
    Ok(Box::new(builder.with_batch_size(size).build()?))
}

fn magic(mut file: &File) -> std::io::Result<bool> {
    use std::io::{Read, Seek};
    let mut first = [0; 4];
    file.read_exact(&mut first)?;
    file.rewind()?;
    Ok(&first == b"PARE")
}

#[cfg(test)]
mod tests;
