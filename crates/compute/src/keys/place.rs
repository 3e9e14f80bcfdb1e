//! Where a list or a result lies: a file as it is, or one that is sealed at rest (`tidm_crypto::rest`).
//!
//! Sealed files are read and written chunk by chunk, so that what is in them is never on a disk in clear, however long they are.
//! Threat: whoever can write to the disk. A changed, moved or missing chunk is an error of reading; what was read before it has been
//! used by then, as of any file that breaks off. Never shows or keeps a key longer than its order.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use serde::{Deserialize, Serialize};
use tidm_crypto::rest::{
    CHUNK_BYTES, FileKey, HEAD_BYTES, SALT_BYTES, SEALED_BYTES, head, plain_length,
};
use tidm_crypto::secret::Secret;
use zeroize::{Zeroize as _, Zeroizing};

use super::fault::Fault;

/// The key below which a file is sealed: 64 hexadecimal digits, never shown, erased when dropped.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key([u8; 32]);

impl Key {
    pub fn new(secret: &Secret<[u8; 32]>) -> Self {
        Self(*secret.expose())
    }

    fn root(&self) -> Secret<[u8; 32]> {
        Secret::new(self.0)
    }

    /// Of the file with that salt, which is fresh for a new one.
    pub(crate) fn file(&self, salt: &[u8; SALT_BYTES]) -> io::Result<FileKey> {
        FileKey::new(&self.root(), salt).map_err(|_| changed())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        tidm_crypto::secret::ct_eq(&self.0, &other.0)
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let text = Zeroizing::new(text);
        let bytes = crate::job::order::unhex(&text).map(Zeroizing::new);
        let bytes = bytes.and_then(|it| it.as_slice().try_into().ok());
        bytes.map(Self).ok_or("a key is 64 hexadecimal digits")
    }
}

impl From<Key> for String {
    fn from(it: Key) -> Self {
        crate::job::order::hex(&it.0)
    }
}

/// A file, and the key below which it is sealed.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    pub path: &'p Path,
    pub key: Option<&'p Key>,
}

impl<'p, P: AsRef<Path> + ?Sized> From<&'p P> for Place<'p> {
    fn from(path: &'p P) -> Self {
        Self { path: path.as_ref(), key: None }
    }
}

impl Place<'_> {
    /// What it holds, from its beginning.
    pub fn reader(&self) -> Result<impl Read + Send, Fault> {
        self.open()
    }

    pub(super) fn open(&self) -> Result<Input, Fault> {
        let opened = File::open(self.path).and_then(|file| match self.key {
            None => Ok(Input::Plain(file)),
            Some(key) => Sealed::open(file, &key.root()).map(Input::Sealed),
        });
        opened.map_err(Fault::io("open", self.path))
    }
}

/// A list that is read.
pub(super) enum Input {
    Plain(File),
    Sealed(Sealed),
}

impl Input {
    /// Bytes of the list; unknown of what is no file, such as a pipe with a name.
    pub(super) fn length(&self) -> Option<u64> {
        match self {
            Self::Plain(file) => {
                file.metadata().ok().filter(std::fs::Metadata::is_file).map(|it| it.len())
            }
            Self::Sealed(it) => Some(it.length),
        }
    }

    /// Another reader of it; of a file as it is, both have one position.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Plain(file) => Self::Plain(file.try_clone()?),
            Self::Sealed(it) => Self::Sealed(it.again(it.position)),
        })
    }
}

impl Read for Input {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(out),
            Self::Sealed(it) => it.read(out),
        }
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Plain(file) => file.seek(to),
            Self::Sealed(it) => it.seek(to),
        }
    }
}

impl Length for Input {
    fn len(&self) -> u64 {
        self.length().unwrap_or(0)
    }
}

impl ChunkReader for Input {
    type T = BufReader<Self>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let mut again = self.try_clone()?;
        again.seek(SeekFrom::Start(start))?;
        Ok(BufReader::new(again))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        match self {
            Self::Plain(file) => file.get_bytes(start, length),
            Self::Sealed(it) => {
                let end = start.checked_add(length as u64).filter(|end| *end <= it.length);
                end.ok_or_else(|| ParquetError::EOF("a range reaches past the end".to_owned()))?;
                let mut bytes = vec![0; length];
                it.again(start).read_exact(&mut bytes)?;
                Ok(bytes.into())
            }
        }
    }
}

/// A sealed file that is read, from any place of it.
pub(super) struct Sealed {
    file: Arc<File>,
    key: FileKey,
    length: u64,
    position: u64,
    /// The chunk that was opened last, and its number.
    opened: Option<(u64, Secret<Vec<u8>>)>,
}

impl Sealed {
    fn open(file: File, root: &Secret<[u8; 32]>) -> io::Result<Self> {
        let mut head = [0; HEAD_BYTES];
        file.read_exact_at(&mut head, 0)?;
        let key = FileKey::read(root, &head).map_err(|_| changed())?;
        let length = plain_length(file.metadata()?.len()).ok_or_else(changed)?;
        let it = Self { file: Arc::new(file), key, length, position: 0, opened: None };
        // That its last chunk is the last says that nothing was cut off.
        it.chunk(length / CHUNK_BYTES as u64)?;
        Ok(it)
    }

    fn again(&self, position: u64) -> Self {
        let Self { file, key, length, .. } = self;
        Self { file: file.clone(), key: key.clone(), length: *length, position, opened: None }
    }

    fn chunk(&self, number: u64) -> io::Result<Secret<Vec<u8>>> {
        let last = number == self.length / CHUNK_BYTES as u64;
        let plain = if last { self.length % CHUNK_BYTES as u64 } else { CHUNK_BYTES as u64 };
        let sealed = usize::try_from(plain).unwrap_or(0) + (SEALED_BYTES - CHUNK_BYTES);
        let mut bytes = vec![0; sealed];
        let at = HEAD_BYTES as u64 + number * SEALED_BYTES as u64;
        self.file.read_exact_at(&mut bytes, at)?;
        self.key.open(number, last, &bytes).map_err(|_| changed())
    }
}

fn changed() -> io::Error {
    let why = "it is not what was sealed here, or its key is another one";
    io::Error::new(io::ErrorKind::InvalidData, why)
}

impl Read for Sealed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.length {
            return Ok(0);
        }
        let number = self.position / CHUNK_BYTES as u64;
        let within = usize::try_from(self.position % CHUNK_BYTES as u64).unwrap_or(0);
        let chunk = match self.opened.take() {
            Some((opened, chunk)) if opened == number => chunk,
            Some(_) | None => self.chunk(number)?,
        };
        let mut rest = chunk.expose().get(within..).unwrap_or_default();
        let count = rest.read(out)?;
        self.position += count as u64;
        self.opened = Some((number, chunk));
        Ok(count)
    }
}

impl Seek for Sealed {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

/// A file of results that is written.
pub(super) enum Writer {
    Plain(File),
    Sealed(Arc<Mutex<Sealing>>),
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Sealed(it) => it.lock().unwrap_or_else(PoisonError::into_inner).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            // Only whole chunks are written before the end.
            Self::Sealed(_) => Ok(()),
        }
    }
}

/// A sealed file that is written, from its beginning to its end.
pub(super) struct Sealing {
    file: File,
    key: FileKey,
    chunk: Zeroizing<Vec<u8>>,
    number: u64,
    /// Bytes that were given to it.
    length: u64,
}

impl Sealing {
    pub(super) fn new(mut file: File, key: &Key) -> io::Result<Self> {
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt).map_err(|_| io::Error::other("no randomness"))?;
        file.write_all(&head(&salt))?;
        let key = key.file(&salt)?;
        let chunk = Zeroizing::new(Vec::with_capacity(CHUNK_BYTES));
        Ok(Self { file, key, chunk, number: 0, length: 0 })
    }

    fn put(&mut self, last: bool) -> io::Result<()> {
        let sealed = self.key.seal(self.number, last, &self.chunk).map_err(|_| changed())?;
        self.file.write_all(&sealed)?;
        self.number += 1;
        self.chunk.clear();
        Ok(())
    }

    /// Writes the last chunk; how many bytes the file holds.
    pub(super) fn finish(&mut self) -> io::Result<u64> {
        self.put(true)?;
        Ok(self.length)
    }
}

impl Write for Sealing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_BYTES - self.chunk.len();
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.chunk.extend_from_slice(taken);
        self.length += taken.len() as u64;
        if self.chunk.len() == CHUNK_BYTES {
            self.put(false)?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Key::new(&Secret::new([byte; 32]))
    }

    fn sealed(plain: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut out = Sealing::new(file.reopen().unwrap(), &key(1)).unwrap();
        out.write_all(plain).unwrap();
        assert_eq!(out.finish().unwrap(), plain.len() as u64);
        file
    }

    fn read(path: &Path, of: u8) -> Result<Vec<u8>, String> {
        let key = key(of);
        let mut input = Place { path, key: Some(&key) }.open().map_err(|why| why.to_string())?;
        let mut out = Vec::new();
        input.read_to_end(&mut out).map_err(|why| why.to_string())?;
        Ok(out)
    }

    #[test]
    fn what_was_sealed_is_read_from_any_place() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES + 5] {
            let plain: Vec<u8> = (0..=250).cycle().step_by(7).take(length).collect();
            let file = sealed(&plain);
            assert_eq!(read(file.path(), 1).unwrap(), plain);
            assert!(read(file.path(), 2).is_err());
            let key = key(1);
            let mut input = Place { path: file.path(), key: Some(&key) }.open().unwrap();
            assert_eq!(input.length(), Some(length as u64));
            for at in [0, length / 2, length.saturating_sub(1), length] {
                input.seek(SeekFrom::Start(at as u64)).unwrap();
                let mut rest = Vec::new();
                input.read_to_end(&mut rest).unwrap();
                assert_eq!(rest, plain[at..]);
                let bytes = input.get_bytes(at as u64, length - at).unwrap();
                assert_eq!(bytes, plain[at..]);
            }
            assert!(input.get_bytes(1, length).is_err());
        }
    }

    #[test]
    fn what_was_changed_or_cut_is_refused() {
        let file = sealed(&vec![9; 2 * CHUNK_BYTES + 100]);
        let whole = std::fs::read(file.path()).unwrap();
        assert!(!whole.windows(12).any(|it| it == [9; 12]), "nothing in clear");
        for length in
            [0, 8, HEAD_BYTES, HEAD_BYTES + 16, HEAD_BYTES + SEALED_BYTES, whole.len() - 1]
        {
            std::fs::write(file.path(), &whole[..length]).unwrap();
            assert!(read(file.path(), 1).is_err(), "cut to {length}");
        }
        for at in [0, 9, HEAD_BYTES, HEAD_BYTES + SEALED_BYTES + 3, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(file.path(), &changed).unwrap();
            assert!(read(file.path(), 1).is_err(), "changed at {at}");
        }
        let (first, second) = whole[HEAD_BYTES..].split_at(SEALED_BYTES);
        let moved = [&whole[..HEAD_BYTES], &second[..SEALED_BYTES], first, &second[SEALED_BYTES..]];
        std::fs::write(file.path(), moved.concat()).unwrap();
        assert!(read(file.path(), 1).is_err(), "moved");
    }

    #[test]
    fn a_key_is_written_for_a_process_alone() {
        let text = serde_json::to_string(&key(0xab)).unwrap();
        assert_eq!(text, format!("\"{}\"", "ab".repeat(32)));
        assert!(serde_json::from_str::<Key>(&text).unwrap() == key(0xab));
        assert!(serde_json::from_str::<Key>("\"ab\"").is_err());
        assert!(!format!("{:?}", key(0xab)).contains("ab"));
    }
}
