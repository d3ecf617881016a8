//! The protocol between the pool and a child, over one socket pair.
//!
//! A message is JSON, sent as one or more frames: `u32` little endian, then that many bytes, at most [`MAX_FRAME`]. The top bit of
//! the number says that the message goes on in the next frame. Three messages are followed by bytes that are not JSON:
//! [`FromChild::PageImage`] and [`FromChild::PagePart`], by exactly `width * height` bytes of grey, and [`FromChild::Picture`], by three
//! times as many of colour.
//!
//! The parent believes nothing in here: lengths are checked before memory is taken, values in `sandbox::assemble`.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::document::{ImageInfo, Page, Table, Warning};
use crate::picture::PictureRequest;
use crate::query::{QueryResult, TypedQuery};
use crate::request::ParseRequest;
use crate::sandbox::SandboxStatus;
use crate::structure::Structure;

/// Raised when a parent and a child of different builds would misunderstand each other.
pub const PROTOCOL_VERSION: u32 = 3;

/// Most bytes of one frame, so that a reader never takes much memory on a length alone.
pub const MAX_FRAME: usize = 1024 * 1024;

/// Most bytes of one message: a table sample of 4 MiB with every byte escaped fits.
pub const MAX_MESSAGE: usize = 32 * 1024 * 1024;

/// Bytes of the number before each frame.
pub const HEADER: usize = 4;

/// Top bit of the header: the message goes on in the next frame.
const MORE: u32 = 1 << 31;

/// What the parent sends: a job. The file's descriptor travels with the first byte.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToChild {
    /// Read the file.
    Parse(ParseRequest),
    /// Compute something over the table of a file that is read like this.
    Compute(ParseRequest, TypedQuery),
    /// Draw one of its pages.
    Draw(PictureRequest),
}

/// What a child sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromChild {
    /// First message of a child's life: it has locked itself in as far as the kernel allows.
    Hello {
        /// [`PROTOCOL_VERSION`] of the child.
        protocol: u32,
        /// What is locked.
        sandbox: SandboxStatus,
    },
    /// A page with its text.
    Page(Page),
    /// A page to recognise; its pixels follow.
    PageImage(PageImageHead),
    /// The page that was to be drawn; its pixels follow.
    Picture {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// A part of the last page to recognise, and its place on it: x0, y0, x1, y1; its pixels follow.
    PagePart(PageImageHead, [f32; 4]),
    /// The table.
    Table(Box<Table>),
    /// What a query came to.
    Computed(Box<QueryResult>),
    /// The image's properties.
    Image(ImageInfo),
    /// One fact that the file states about itself.
    Metadata(String, String),
    /// An entry of the outline, a link or a field.
    Structure(Structure),
    /// Something that could not be read.
    Warning(Warning),
    /// How far the job is.
    Progress {
        /// Units that are done.
        done: u32,
        /// Units in all.
        total: Option<u32>,
    },
    /// The job is over and everything was sent.
    Done,
    /// The job is over without a document.
    Failed {
        /// [`crate::ParseError::code`].
        code: String,
        /// [`crate::ParseError::detail`].
        detail: String,
    },
}

/// A [`crate::formats::PageImage`] without its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageImageHead {
    /// 1-based number of the page.
    pub number: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Resolution; 0 when unknown.
    pub dpi: f32,
    /// Width of the page in its own unit.
    pub page_width: f32,
    /// Height of the page in its own unit.
    pub page_height: f32,
}

/// A frame's header, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the frame.
    pub length: usize,
    /// Whether the message goes on in the next frame.
    pub more: bool,
}

impl Header {
    /// Takes a header apart; `None` when it announces more than [`MAX_FRAME`] bytes or an endless message.
    pub fn decode(bytes: [u8; HEADER]) -> Option<Self> {
        let word = u32::from_le_bytes(bytes);
        let length = (word & !MORE) as usize;
        let more = word & MORE != 0;
        // An unfinished frame is always full, so that a message cannot be stretched over endless empty frames.
        let plausible = if more {
            length == MAX_FRAME
        } else {
            length <= MAX_FRAME
        };
        plausible.then_some(Self { length, more })
    }

    fn encode(self) -> [u8; HEADER] {
        (self.length as u32 | if self.more { MORE } else { 0 }).to_le_bytes()
    }
}

/// The frames of `message`, ready to be sent.
pub fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - HEADER;
    if length > MAX_MESSAGE {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a message of {length} bytes is too long to send"),
        ));
    }
    if length <= MAX_FRAME {
        bytes[..HEADER].copy_from_slice(
            &Header {
                length,
                more: false,
            }
            .encode(),
        );
        return Ok(bytes);
    }
    Ok(split(&bytes[HEADER..]))
}

fn split(payload: &[u8]) -> Vec<u8> {
    let frames = payload.chunks(MAX_FRAME);
    let last = frames.len() - 1;
    let mut bytes = Vec::with_capacity(payload.len() + (last + 1) * HEADER);
    for (index, frame) in frames.enumerate() {
        bytes.extend(
            Header {
                length: frame.len(),
                more: index != last,
            }
            .encode(),
        );
        bytes.extend(frame);
    }
    bytes
}

/// Sends `message`.
pub fn write<T: Serialize>(writer: &mut impl Write, message: &T) -> io::Result<()> {
    writer.write_all(&encode(message)?)
}

/// Reads the rest of a single-frame message whose header is already read; for the child, which trusts its parent.
pub fn read_body(reader: &mut impl Read, header: [u8; HEADER]) -> io::Result<ToChild> {
    let header = Header::decode(header).filter(|header| !header.more);
    let Some(header) = header else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the parent sent no valid frame",
        ));
    };
    let mut body = vec![0; header.length];
    reader.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload_of(mut bytes: &[u8]) -> (usize, Vec<u8>) {
        let (mut frames, mut payload) = (0, Vec::new());
        loop {
            let header = Header::decode(bytes[..HEADER].try_into().unwrap()).unwrap();
            payload.extend(&bytes[HEADER..HEADER + header.length]);
            bytes = &bytes[HEADER + header.length..];
            frames += 1;
            if !header.more {
                assert!(bytes.is_empty());
                return (frames, payload);
            }
        }
    }

    #[test]
    fn a_short_message_is_one_frame() {
        let (frames, payload) = payload_of(&encode(&FromChild::Done).unwrap());
        assert_eq!((frames, payload.as_slice()), (1, b"\"done\"".as_slice()));
    }

    #[test]
    fn a_long_message_is_split_and_joins_again() {
        for length in [MAX_FRAME - 2, MAX_FRAME - 1, MAX_FRAME, 3 * MAX_FRAME - 2] {
            let text = "x".repeat(length);
            let (frames, payload) = payload_of(&encode(&text).unwrap());
            assert_eq!(frames, (length + 2).div_ceil(MAX_FRAME), "{length}");
            assert_eq!(serde_json::from_slice::<String>(&payload).unwrap(), text);
        }
    }

    #[test]
    fn headers_that_would_take_memory_or_time_are_refused() {
        assert_eq!(Header::decode((MAX_FRAME as u32 + 1).to_le_bytes()), None);
        assert_eq!(
            Header::decode((MORE | 1).to_le_bytes()),
            None,
            "a short frame cannot go on"
        );
        assert_eq!(Header::decode(u32::MAX.to_le_bytes()), None);
        assert_eq!(
            Header::decode(MORE.to_le_bytes()),
            None,
            "an empty frame cannot go on"
        );
    }

    #[test]
    fn a_message_over_the_limit_is_not_sent() {
        assert!(encode(&"x".repeat(MAX_MESSAGE)).is_err());
    }
}
