//! Kept tables that were compared whole with their digests, and what their files were like then.
//!
//! A table of 10^8 entries takes a second to compare, more than a session over it. So it is compared once, and again when one of its
//! files is another one or was written to since, by what the system says of them: place, device, number, length, times of the last
//! write and of the last change. A session compares each segment that it reads all the same; what a disk loses without any of these
//! changing ends one session, after which the table is compared anew.
//!
//! Never on a disk: after a start each table is compared once.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// By the names of tables.
#[derive(Default)]
pub struct Compared(Mutex<HashMap<String, [Stamp; 2]>>);

/// What tells a file from another one, or from what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    device: u64,
    number: u64,
    length: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> std::io::Result<Self> {
        let it = std::fs::metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            device: it.dev(),
            number: it.ino(),
            length: it.len(),
            written: (it.mtime(), it.mtime_nsec()),
            changed: (it.ctime(), it.ctime_nsec()),
        })
    }

    fn both([index, table]: [&Path; 2]) -> Option<[Self; 2]> {
        Some([Self::of(index).ok()?, Self::of(table).ok()?])
    }
}

/// Most tables that are remembered: some 300 bytes each. Beyond that all are compared again.
const MOST: usize = 4096;

impl Compared {
    fn all(&self) -> MutexGuard<'_, HashMap<String, [Stamp; 2]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the files are those of the table: as they were when `compare` last said so, or by asking it.
    pub(super) async fn whole<E>(
        &self,
        id: &str,
        files: [&Path; 2],
        compare: impl Future<Output = Result<bool, E>>,
    ) -> Result<bool, E> {
        let before = Stamp::both(files);
        if before.is_some() && self.all().get(id) == before.as_ref() {
            return Ok(true);
        }
        self.forget(id);
        let whole = compare.await?;
        // Nothing is known of what was written meanwhile.
        if let Some(stamps) = before.filter(|_| whole)
            && Stamp::both(files).as_ref() == Some(&stamps)
        {
            let mut all = self.all();
            if all.len() >= MOST {
                all.clear();
            }
            all.insert(id.to_owned(), stamps);
        }
        Ok(whole)
    }

    pub(super) fn forget(&self, id: &str) {
        self.all().remove(id);
    }

    /// How many are remembered.
    pub fn count(&self) -> usize {
        self.all().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn files_are_compared_once_until_they_change() {
        let dir = tempfile::tempdir().unwrap();
        let [index, table] = ["index", "table"].map(|name| dir.path().join(name));
        for path in [&index, &table] {
            std::fs::write(path, "before").unwrap();
        }
        let (compared, asked) = (Compared::default(), std::cell::Cell::new(0));
        let look = async |says: bool| {
            let compare = async {
                asked.set(asked.get() + 1);
                Ok::<_, ()>(says)
            };
            let found = compared.whole("a", [&index, &table], compare).await.unwrap();
            (found, asked.get())
        };
        // What is not the table is asked about each time.
        assert_eq!(look(false).await, (false, 1));
        assert_eq!(look(true).await, (true, 2));
        assert_eq!(look(false).await, (true, 2));
        let written = std::fs::metadata(&table).unwrap().modified().unwrap();
        let pause = || std::thread::sleep(std::time::Duration::from_millis(20));
        let changes: [&dyn Fn(); 5] = [
            // As long as before, and with its old time.
            &|| {
                std::fs::write(&table, "behind").unwrap();
                std::fs::File::options()
                    .write(true)
                    .open(&table)
                    .unwrap()
                    .set_modified(written)
                    .unwrap();
            },
            &|| std::fs::write(&table, "longer than before").unwrap(),
            &|| std::fs::write(&index, "before").unwrap(),
            // Another file of the same name.
            &|| {
                std::fs::copy(&table, dir.path().join("new")).unwrap();
                std::fs::rename(dir.path().join("new"), &table).unwrap();
            },
            &|| compared.forget("a"),
        ];
        for (number, change) in (3..).zip(changes) {
            pause();
            change();
            assert_eq!(look(true).await, (true, number), "{number}");
            assert_eq!(look(false).await, (true, number), "{number}");
        }
        std::fs::remove_file(&table).unwrap();
        assert_eq!(look(false).await, (false, 8));
        assert_eq!(compared.count(), 0);
    }
}
