//! Reads what libFuzzer makes up, with the parser of one format, in this process.
//!
//! `QUIRE_FUZZ` names the format, as in the product's list. One program serves all of them, because linking one takes a tenth of the
//! time of linking each. What ends the process is a fault and libFuzzer keeps its input: an abort, a stack overflow, memory or time
//! over the limit. A panic costs production a child and no more: it is caught, written down once for each place, and fuzzing goes on.
#![no_main]

mod panics;
mod sink;

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use quire_extract::formats::{FORMATS, Format, Input, find};
use quire_extract::{MediaType, ParseRequest, sniff};

/// What is fuzzed.
struct Target {
    name: String,
    format: &'static dyn Format,
}

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("QUIRE_FUZZ").expect("QUIRE_FUZZ names a media type, such as pdf");
    let media = media_named(&name).expect("QUIRE_FUZZ is the name of a media type");
    panics::keep_quiet();
    Target {
        name,
        format: find(FORMATS, media).expect("every media type has a format"),
    }
});

fn media_named(name: &str) -> Option<MediaType> {
    MediaType::ALL
        .iter()
        .copied()
        .find(|media| media.name() == name)
}

/// A format of several types takes the one that the bytes look like, as an upload does.
fn media_of(target: &Target, data: &[u8]) -> MediaType {
    let seen = sniff(data, "").filter(|media| target.format.media().contains(media));
    seen.or_else(|| media_named(&target.name))
        .expect("the name was looked up before")
}

fuzz_target!(|data: &[u8]| -> Corpus {
    let target = &*TARGET;
    if data.is_empty() {
        return Corpus::Reject;
    }
    let request = ParseRequest::new(media_of(target, data));
    let outcome = panics::catch(&target.name, data, || {
        let mut input = Input::from_bytes(data.to_vec());
        target
            .format
            .parse(&mut input, &request, &mut sink::Sink::default())
    });
    match outcome {
        Some(_) => Corpus::Keep,
        // A panic that is known by now teaches nothing more.
        None => Corpus::Reject,
    }
});
