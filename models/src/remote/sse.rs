//! Server-sent events (WHATWG HTML, "Parsing an event stream"), of which only the data matters here.
//!
//! Reads lines from a connection with a limit on each, so that a server that never sends a line end takes no memory.

use std::io::{BufRead, Error, ErrorKind, Result};

/// Longest line. One event holds one token or a few; usage and timings take some hundred bytes.
const MAX_LINE: usize = 256 * 1024;

/// Reads events one by one.
pub(super) struct Events<R> {
    reader: R,
    line: Vec<u8>,
}

impl<R: BufRead> Events<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            line: Vec::new(),
        }
    }

    /// The data of the next event; empty data for a comment, which only shows that the server lives. None at the end.
    pub(super) fn next(&mut self) -> Result<Option<String>> {
        let mut data: Option<String> = None;
        while self.read_line()? {
            let line = std::str::from_utf8(&self.line)
                .map_err(|_| Error::new(ErrorKind::InvalidData, "a line is no UTF-8"))?;
            if line.is_empty() {
                if data.is_some() {
                    return Ok(data);
                }
                continue;
            }
            if line.starts_with(':') {
                return Ok(Some(String::new()));
            }
            let Some(value) = line.strip_prefix("data:") else {
                continue;
            };
            let value = value.strip_prefix(' ').unwrap_or(value);
            let data = data.get_or_insert_default();
            if !data.is_empty() {
                data.push('\n');
            }
            if data.len() + value.len() > MAX_LINE {
                return Err(too_long());
            }
            data.push_str(value);
        }
        // An event that is not closed by an empty line is incomplete by the letter; servers end with one all the same.
        Ok(data)
    }

    /// Reads a line without its end into `line`. False at the end of the stream.
    fn read_line(&mut self) -> Result<bool> {
        self.line.clear();
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(!self.line.is_empty());
            }
            let end = buffer.iter().position(|b| *b == b'\n');
            let taken = end.unwrap_or(buffer.len());
            if self.line.len() + taken > MAX_LINE {
                return Err(too_long());
            }
            self.line.extend_from_slice(&buffer[..taken]);
            let used = taken + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                if self.line.ends_with(b"\r") {
                    self.line.pop();
                }
                return Ok(true);
            }
        }
    }
}

fn too_long() -> Error {
    Error::new(
        ErrorKind::InvalidData,
        format!("a line is longer than {MAX_LINE} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], buffer: usize) -> Result<Vec<String>> {
        let mut events = Events::new(BufReader::with_capacity(buffer, bytes));
        let mut out = Vec::new();
        while let Some(data) = events.next()? {
            out.push(data);
        }
        Ok(out)
    }

    #[test]
    fn data_is_read_and_the_rest_skipped() {
        let text = "event: x\r\ndata: {\"a\":1}\r\nid: 7\r\n\r\n: ping\n\ndata:one\ndata: two\n\n\n\ndata: [DONE]";
        assert_eq!(
            read(text.as_bytes(), 7).unwrap(),
            ["{\"a\":1}", "", "one\ntwo", "[DONE]"]
        );
    }

    #[test]
    fn endless_lines_and_foreign_bytes_are_refused() {
        assert!(read(&vec![b'x'; MAX_LINE + 1], 4096).is_err());
        assert!(read("data: x\n".repeat(MAX_LINE / 2 + 2).as_bytes(), 4096).is_err());
        assert!(read(b"data: \xff\n\n", 4096).is_err());
    }

    proptest! {
        #[test]
        fn buffers_do_not_matter(text in "(data: ?[a-z]{0,5}|:|\r?\n|x){0,40}", buffer in 1usize..20) {
            prop_assert_eq!(read(text.as_bytes(), buffer).unwrap(), read(text.as_bytes(), 4096).unwrap());
        }
    }
}
