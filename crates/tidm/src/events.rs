//! Server-sent events from bytes as they come (HTML Living Standard §9.2.6).
//!
//! Never more than one bounded event in memory: a stream without line ends is cut.

/// Longest event: a title, two names and a number.
const EVENT_BYTES: usize = 64 << 10;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) data: String,
}

/// What came and is not yet an event.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    line: Vec<u8>,
    event: Event,
}

impl Reader {
    /// The events that end in this chunk; comments and names are skipped.
    pub(crate) fn take(&mut self, chunk: &[u8]) -> Vec<Event> {
        let mut done = Vec::new();
        for byte in chunk {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    done.extend(
                        self.end_line(String::from_utf8_lossy(&line).trim_end_matches('\r')),
                    );
                }
                _ if self.line.len() < EVENT_BYTES => self.line.push(*byte),
                _ => {}
            }
        }
        done
    }

    fn end_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return (!event.data.is_empty()).then_some(event);
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => self.event.id = Some(value.to_owned()),
            "data" if self.event.data.len() + value.len() < EVENT_BYTES => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = ": hello\n\nevent: new\nid: 7\ndata: {\"a\":1}\n\n:\n\ndata:x\r\ndata: y\r\n\r\nid: 9\n\n";
        let wanted = [
            Event { id: Some("7".to_owned()), data: "{\"a\":1}".to_owned() },
            Event { id: None, data: "x\ny".to_owned() },
        ];
        for size in [1, 2, 3, 7, 1000] {
            let mut reader = Reader::default();
            let found: Vec<Event> =
                text.as_bytes().chunks(size).flat_map(|it| reader.take(it)).collect();
            assert_eq!(found, wanted, "{size}");
        }
    }

    #[test]
    fn a_stream_without_an_end_stays_small() {
        let mut reader = Reader::default();
        for _ in 0..100 {
            assert!(reader.take(&[b'x'; 10_000]).is_empty());
            assert!(reader.take(b"data: x").is_empty());
        }
        assert!(reader.line.len() <= EVENT_BYTES);
    }
}
