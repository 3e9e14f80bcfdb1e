//! Sealed tables: Parquet Modular Encryption with one key for footer and columns.
//!
//! The AAD prefix comes from the job (it binds the file to its contract) and never from the file;
//! a file without encrypted footer is refused where a seal was announced, otherwise whoever
//! stores the ciphertext could swap in a plain table of their own.
//!
//! **Architecture invariant:** a data key lives in this process only, from the `Keys` frame until
//! the process ends. The engine asks the factory several times for one query, so nothing is
//! counted here.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::common::config::EncryptionFactoryOptions;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::parquet_encryption::EncryptionFactory;
use object_store::path::Path;
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;
use tidm_crypto::secret::Secret;

/// The only key length of sealed tables: AES-256.
const KEY_BYTES: usize = 32;
/// Trailing magic of a Parquet file with encrypted footer.
pub(crate) const ENCRYPTED_FOOTER: [u8; 4] = *b"PARE";

/// Decryption properties of every sealed table, by the first part of its files' names.
#[derive(Default)]
pub(crate) struct Keyring(HashMap<String, Arc<FileDecryptionProperties>>);

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} tables)", self.0.len())
    }
}

impl Keyring {
    /// Adds the data key of one table. `None`: not an AES-256 key.
    pub(crate) fn insert(
        &mut self,
        folder: String,
        key: &Secret<Vec<u8>>,
        aad: &[u8],
    ) -> Option<()> {
        let key = key.expose();
        if key.len() != KEY_BYTES {
            return None;
        }
        let properties = FileDecryptionProperties::builder(key.clone())
            .with_aad_prefix(aad.to_vec())
            .build()
            .ok()?;
        self.0.insert(folder, properties);
        Some(())
    }
}

#[async_trait]
impl EncryptionFactory for Keyring {
    async fn get_file_encryption_properties(
        &self,
        _: &EncryptionFactoryOptions,
        _: &SchemaRef,
        _: &Path,
    ) -> Result<Option<Arc<FileEncryptionProperties>>> {
        Err(DataFusionError::NotImplemented("workers never write".to_owned()))
    }

    async fn get_file_decryption_properties(
        &self,
        _: &EncryptionFactoryOptions,
        file: &Path,
    ) -> Result<Option<Arc<FileDecryptionProperties>>> {
        let folder = file.parts().next();
        Ok(folder.and_then(|folder| self.0.get(folder.as_ref())).cloned())
    }
}
