//! A parser that misbehaves on request, for the tests of the sandbox.
//!
//! It is the real child with one extra format: a "CSV" whose content is the name of what to do. The program is never shipped; the
//! shipped `quire-parse` holds no such code.

mod forbidden;

use std::hint::black_box;
use std::io;
use std::process::ExitCode;
use std::thread;

use quire_extract::formats::{Format, Input, Output, PageImage};
use quire_extract::{
    MediaType, Page, ParseError, ParseRequest, Picture, PictureRequest, TextEngine, child,
};

fn main() -> ExitCode {
    child::main(&[&Mock])
}

/// Longest order: a reply to say word for word may hold long messages.
const MAX_ORDER: u64 = 4 * 1024 * 1024;

struct Mock;

impl Format for Mock {
    fn draw(&self, input: &mut Input, _request: &PictureRequest) -> Result<Picture, ParseError> {
        let order = String::from_utf8_lossy(&input.read_all(1_000)?).into_owned();
        let width = match order.as_str() {
            "picture" => 2,
            "picture that is too wide" => 100_000,
            _ => panic!("the content of a document"),
        };
        Ok(Picture {
            width,
            height: 1,
            data: vec![0; width as usize * 3],
        })
    }

    fn media(&self) -> &[MediaType] {
        &[MediaType::Csv]
    }

    fn parse(
        &self,
        input: &mut Input,
        _request: &ParseRequest,
        out: &mut dyn Output,
    ) -> Result<(), ParseError> {
        let content = input.read_all(MAX_ORDER)?;
        if let Some(reply) = content.strip_prefix(b"say ") {
            send(reply)?;
            // Nothing of its own follows, so that a parent which waits for the rest of a frame sees the end at once.
            std::process::exit(0);
        }
        let order = String::from_utf8_lossy(&content).into_owned();
        match order.as_str() {
            "text" => out.page(page(1, "fine"))?,
            "pid" => out.page(page(1, &std::process::id().to_string()))?,
            "panic" => panic!("the content of a document"),
            "abort" => std::process::abort(),
            "exit" => std::process::exit(0),
            "stack" => out.page(page(1, &recurse(0).to_string()))?,
            "allocate" => allocate_without_end(out)?,
            "spin" => {
                out.progress(1, None)?;
                loop {
                    black_box(0);
                }
            }
            "sleep" => {
                out.progress(1, None)?;
                loop {
                    thread::park();
                }
            }
            "chatter" => loop {
                eprintln!("{}", "x".repeat(1_000));
                out.progress(1, None)?;
            },
            "flood" => (1..).try_for_each(|number| out.page(page(number, &"x".repeat(100_000))))?,
            "page then abort" => {
                out.page(page(1, "kept"))?;
                std::process::abort();
            }
            "page then error" => {
                out.page(page(1, "kept"))?;
                return Err(ParseError::Damaged("the second page is broken".to_owned()));
            }
            "impossible frame" => send(&u32::MAX.to_le_bytes())?,
            "frame without sense" => send(b"\x08\0\0\0rubbish!")?,
            "hello again" => send(b"\x07\0\0\0\"Hello\"")?,
            "picture of nothing" => out.page_image(1, picture(vec![255; 10_000]))?,
            "picture of a lie" => out.page_image(1, picture(vec![255; 9_999]))?,
            "environment" => out.page(page(1, &environment()))?,
            act => {
                let outcome = forbidden::attempt(act);
                out.page(page(
                    1,
                    &outcome.unwrap_or_else(|| format!("unknown order {act}")),
                ))?;
            }
        }
        Ok(())
    }
}

/// Writes to the parent past the protocol; standard input is the socket.
fn send(bytes: &[u8]) -> Result<(), ParseError> {
    rustix::io::write(io::stdin(), bytes).map_err(io::Error::from)?;
    Ok(())
}

/// The names of all variables.
fn environment() -> String {
    let names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    names.join(",")
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 128]);
    recurse(depth + 1) + frame[0]
}

fn allocate_without_end(out: &mut dyn Output) -> Result<(), ParseError> {
    let mut kept = Vec::new();
    for step in 0_u32.. {
        kept.push(black_box(vec![1_u8; 16 * 1024 * 1024]));
        out.progress(step, None)?;
    }
    Ok(())
}

fn page(number: u32, text: &str) -> Page {
    Page {
        text: text.to_owned(),
        engine: TextEngine::Hayro,
        score: 1.0,
        ..Page::empty(number, (100.0, 100.0))
    }
}

fn picture(data: Vec<u8>) -> PageImage {
    PageImage {
        width: 100,
        height: 100,
        dpi: 0.0,
        page_width: 100.0,
        page_height: 100.0,
        data,
    }
}
