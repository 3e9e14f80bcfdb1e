//! Rows as they arrive: the Arrow IPC stream of a worker, or of the node at which a statement ran.
//!
//! Threat model: whoever made the stream is hostile. Lengths in it are not believed (nothing is allocated that did not
//! arrive), values are validated, and a reader that panics has found a broken stream. Never says how many rows are too
//! many: callers know what they do with them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;

/// A whole stream.
#[derive(Debug)]
pub struct Rows {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    /// Of all batches.
    pub count: u64,
}

/// Reads a stream; `None` where it is none or ends early.
#[must_use]
pub fn read(ipc: &[u8]) -> Option<Rows> {
    catch_unwind(AssertUnwindSafe(|| decoded(ipc))).ok().flatten()
}

/// The push decoder takes what is there; the pulling one allocates as much as the stream announces.
fn decoded(ipc: &[u8]) -> Option<Rows> {
    let mut decoder = StreamDecoder::new();
    let mut left = Buffer::from(ipc);
    let mut batches = Vec::new();
    let mut count = 0_u64;
    while !left.is_empty() {
        if let Some(batch) = decoder.decode(&mut left).ok()? {
            count = count.checked_add(batch.num_rows() as u64)?;
            batches.push(batch);
        }
    }
    decoder.finish().ok()?;
    Some(Rows { schema: decoder.schema()?, batches, count })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::ipc::writer::StreamWriter;

    use super::*;

    fn stream() -> Vec<u8> {
        let columns: [(&str, arrow::array::ArrayRef); 2] = [
            ("n", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]))),
            ("s", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn a_stream_is_read_whole_or_not_at_all() {
        let whole = stream();
        let rows = read(&whole).unwrap();
        assert_eq!((rows.count, rows.batches.len(), rows.schema.fields().len()), (6, 2, 2));
        // The last eight bytes are the mark of the end; without a schema there is no table.
        for cut in [1, 100, whole.len() / 2, whole.len() - 9] {
            assert!(read(&whole[..cut]).is_none(), "{cut} of {} bytes", whole.len());
        }
        assert!(read(b"").is_none());
    }

    /// KiB of address space that this process had at most.
    fn most_mapped() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|it| it.strip_prefix("VmPeak:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Eight bytes that announce two gigabytes, and damage at every place.
    #[test]
    fn what_is_announced_is_not_believed() {
        let before = most_mapped();
        assert!(read(b"\xff\xff\xff\xff\xff\xff\xff\x7f").is_none());
        let grown = most_mapped() - before;
        assert!(grown < 1 << 20, "{grown} KiB were taken for eight bytes");
        let whole = stream();
        for at in 0..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 0x41;
            drop(read(&bad));
        }
    }
}
