//! Writing the index: batches of entries, each committed with the number of the change it has come to.
//!
//! Never an index that claims more than it holds: the number is part of the commit.

use std::sync::Arc;

use tantivy::{IndexWriter, Term};

use super::place::{Open, Progress, key};
use crate::store::remote::{Change, Indexed, Kind};

/// Memory of the writer before it makes a part of the index of what it has: ten thousands of entries.
const WRITER_BYTES: usize = 48 << 20;

/// A writer; there is one at a time, for as long as there is something to write.
pub(super) struct Writer {
    open: Arc<Open>,
    writer: IndexWriter,
}

impl Writer {
    pub(super) fn new(open: Arc<Open>) -> anyhow::Result<Self> {
        let writer = open.index.writer_with_num_threads(1, WRITER_BYTES)?;
        Ok(Self { open, writer })
    }

    /// Entries of which none is in the index.
    pub(super) fn add(&self, all: &[Indexed]) -> anyhow::Result<()> {
        for it in all {
            self.writer.add_document(self.open.fields.document(it))?;
        }
        Ok(())
    }

    /// Changes in their order. An entry that changed again since is added as it is now, and once more then.
    pub(super) fn follow(&self, changes: &[Change]) -> anyhow::Result<()> {
        for it in changes {
            if it.kind != Kind::New {
                let key = key(&it.provider, &it.id);
                self.writer.delete_term(Term::from_field_text(self.open.fields.key, &key));
            }
            match (it.kind, &it.entry) {
                (Kind::New | Kind::Changed, Some(entry)) => {
                    self.writer.add_document(self.open.fields.document(entry))?;
                }
                (Kind::New | Kind::Changed, None) | (Kind::Gone, _) => {}
            }
        }
        Ok(())
    }

    pub(super) fn commit(&mut self, to: &Progress) -> anyhow::Result<()> {
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&to.write());
        prepared.commit()?;
        self.open.reader.reload()?;
        Ok(())
    }

    /// Lets what is being merged end: an index whose parts are never merged becomes slow.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.writer.wait_merging_threads()?;
        self.open.reader.reload()?;
        Ok(())
    }
}
