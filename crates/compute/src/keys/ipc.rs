//! Opens Arrow files and streams whose announced lengths have been held against what is there.
//!
//! The library's readers make room for whatever length an input announces before they read a byte of it: 38 bytes can claim
//! 2 GB of metadata, or a batch larger than any memory, which ends the program. Here a message's metadata is bounded, and where
//! the input's own length is known nothing may reach past it. Never reads a value, never judges whether a table is sound.

use std::io::{self, BufReader, Read, Seek as _, SeekFrom};

use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader, read_footer_length};
use arrow::ipc::{root_as_footer, root_as_message};

use super::limits::{MAX_BATCH_BYTES, MAX_METADATA_BYTES, READ_BYTES};
use super::place::Input;

/// Bytes behind a file's footer: its length, and the format's name.
const FOOTER_END: usize = 10;

/// What stands before the length of a message's metadata since version 0.15 of the format.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// A stream of batches, whose lengths are checked as they come.
pub(super) type Stream<R> = StreamReader<Checked<BufReader<R>>>;

/// Opens a stream. `length` is that of the input in bytes, where it is known.
pub(super) fn stream<R: Read>(
    input: R,
    length: Option<u64>,
    columns: Option<Vec<usize>>,
) -> Result<Stream<R>, ArrowError> {
    let input = BufReader::with_capacity(READ_BYTES, input);
    StreamReader::try_new(Checked::new(input, length), columns)
}

/// Opens a file, all of whose blocks lie inside it.
pub(super) fn file(
    mut input: Input,
    columns: Option<Vec<usize>>,
) -> Result<FileReader<BufReader<Input>>, ArrowError> {
    let length = input.length().ok_or_else(|| beyond("a footer"))?;
    check_blocks(&mut input, length)?;
    FileReader::try_new(BufReader::with_capacity(READ_BYTES, input), columns)
}

fn check_blocks(input: &mut Input, length: u64) -> Result<(), ArrowError> {
    let behind = length.checked_sub(FOOTER_END as u64).ok_or_else(|| beyond("a footer"))?;
    input.seek(SeekFrom::Start(behind))?;
    let mut end = [0; FOOTER_END];
    input.read_exact(&mut end)?;
    let size = read_footer_length(end)? as u64;
    let start = behind.checked_sub(size).ok_or_else(|| beyond("the footer"))?;
    input.seek(SeekFrom::Start(start))?;
    let mut footer = Vec::new();
    input.take(size).read_to_end(&mut footer)?;
    let footer = root_as_footer(&footer).map_err(|why| ArrowError::ParseError(why.to_string()))?;
    let blocks = footer.dictionaries().into_iter().chain(footer.recordBatches()).flatten();
    for block in blocks {
        let parts = [block.offset(), i64::from(block.metaDataLength()), block.bodyLength()]
            .map(u64::try_from);
        let [Ok(offset), Ok(metadata), Ok(body)] = parts else { return Err(beyond("a block")) };
        let end = offset.checked_add(metadata).and_then(|end| end.checked_add(body));
        if end.is_none_or(|end| end > length) {
            return Err(beyond("a block"));
        }
    }
    input.rewind()?;
    Ok(())
}

fn beyond(what: &str) -> ArrowError {
    ArrowError::ParseError(format!("{what} reaches past the end of the file"))
}

/// A reader that reads ahead to the end of each message's metadata and gives it on only when its lengths can be true.
pub(super) struct Checked<R> {
    inner: R,
    /// Bytes of the input that have not been read, where it is known.
    left: Option<u64>,
    /// What has been read ahead, and how much of it was given on.
    ahead: Vec<u8>,
    given: usize,
    /// Bytes of the current message's body that have not been given on.
    body: u64,
}

impl<R: Read> Checked<R> {
    fn new(inner: R, length: Option<u64>) -> Self {
        Self { inner, left: length, ahead: Vec::new(), given: 0, body: 0 }
    }

    /// Reads a message's beginning. At the input's end, or its end mark, there is nothing to check.
    fn message(&mut self) -> io::Result<()> {
        self.ahead.clear();
        self.given = 0;
        let Some(mut word) = self.word()? else { return Ok(()) };
        if word == CONTINUATION {
            match self.word()? {
                Some(length) => word = length,
                None => return Ok(()),
            }
        }
        let metadata = u64::from(u32::from_le_bytes(word));
        if metadata > MAX_METADATA_BYTES || self.left.is_some_and(|left| metadata > left) {
            return Err(impossible("metadata"));
        }
        let start = self.ahead.len();
        self.pull(metadata)?;
        let message = self.ahead.get(start..).filter(|it| it.len() as u64 == metadata);
        // What is cut off or no message is for the reader behind to name.
        let Some(Ok(message)) = message.map(root_as_message) else { return Ok(()) };
        let body = u64::try_from(message.bodyLength()).map_err(|_| impossible("body"))?;
        if body > self.left.unwrap_or(MAX_BATCH_BYTES) {
            return Err(impossible("body"));
        }
        self.body = body;
        Ok(())
    }

    fn word(&mut self) -> io::Result<Option<[u8; 4]>> {
        let start = self.ahead.len();
        self.pull(4)?;
        Ok(self.ahead.get(start..).and_then(|word| word.try_into().ok()))
    }

    /// Reads so many bytes ahead, or up to the end.
    fn pull(&mut self, count: u64) -> io::Result<()> {
        let read = (&mut self.inner).take(count).read_to_end(&mut self.ahead)?;
        self.left = self.left.map(|left| left.saturating_sub(read as u64));
        Ok(())
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.given == self.ahead.len() && self.body == 0 {
            self.message()?;
        }
        if let Some(mut rest) = self.ahead.get(self.given..).filter(|rest| !rest.is_empty()) {
            let count = rest.read(out)?;
            self.given += count;
            return Ok(count);
        }
        let count = (&mut self.inner).take(self.body).read(out)?;
        self.body -= count as u64;
        self.left = self.left.map(|left| left.saturating_sub(count as u64));
        Ok(count)
    }
}

fn impossible(what: &str) -> io::Error {
    let reason = format!("a message's {what} is longer than it can be");
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use arrow::ipc::writer::{FileWriter, StreamWriter};

    use super::*;

    fn batch() -> RecordBatch {
        let ids: ArrayRef =
            Arc::new(StringArray::from_iter_values((0..100).map(|id| format!("P-{id}"))));
        RecordBatch::try_from_iter([("id", ids)]).unwrap()
    }

    fn streamed() -> Vec<u8> {
        let mut writer = StreamWriter::try_new(Vec::new(), &batch().schema()).unwrap();
        writer.write(&batch()).unwrap();
        writer.write(&batch()).unwrap();
        writer.into_inner().unwrap()
    }

    fn filed() -> Vec<u8> {
        let mut writer = FileWriter::try_new(Vec::new(), &batch().schema()).unwrap();
        writer.write(&batch()).unwrap();
        writer.into_inner().unwrap()
    }

    fn on_disk(bytes: &[u8]) -> Input {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        Input::Plain(file)
    }

    #[test]
    fn sound_streams_and_files_read_as_ever() {
        let bytes = streamed();
        for length in [None, Some(bytes.len() as u64)] {
            let rows: Vec<_> =
                stream(bytes.as_slice(), length, None).unwrap().map(Result::unwrap).collect();
            assert_eq!(rows, [batch(), batch()]);
        }
        let rows: Vec<_> = file(on_disk(&filed()), None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows, [batch()]);
    }

    /// What the search found: the first four bytes are a length of 2 GB.
    #[test]
    fn announced_metadata_is_not_made_room_for() {
        for bytes in
            [&b"2x\"||||||||||||||||||||||||||||||||||0"[..], b"\xff\xff\xff\xff\xff\xff\xff\x7fab"]
        {
            for length in [None, Some(bytes.len() as u64)] {
                let why = stream(bytes, length, None).err().unwrap().to_string();
                assert!(why.contains("metadata is longer"), "{why}");
            }
        }
    }

    /// A stream cut off inside its first batch announces a body that is not there.
    #[test]
    fn bodies_reach_no_further_than_the_input() {
        let mut bytes = streamed();
        bytes.truncate(bytes.len() / 2);
        let read = stream(bytes.as_slice(), Some(bytes.len() as u64), None).unwrap();
        let why = read.last().unwrap().unwrap_err().to_string();
        assert!(why.contains("body is longer") || why.contains("failed to fill"), "{why}");
    }

    #[test]
    fn every_flipped_byte_of_a_file_is_borne() {
        let sound = filed();
        for place in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[place] ^= 0x7f;
            let read = std::panic::catch_unwind(|| {
                file(on_disk(&bytes), None)
                    .map(|reader| reader.take(4).filter(Result::is_ok).count())
            });
            drop(read);
        }
        let mut past = sound;
        let end = past.len() - 10;
        past[end..end + 4].copy_from_slice(&i32::MAX.to_le_bytes());
        let why = file(on_disk(&past), None).err().unwrap().to_string();
        assert!(why.contains("the footer reaches past"), "{why}");
    }
}
