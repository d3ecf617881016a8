//! The sandboxed parser: started by `quire_extract::ParserPool`, never by hand.
//!
//! Everything is in the library; the binary exists so that the process that sees untrusted bytes holds nothing else.

use std::process::ExitCode;

use quire_extract::{child, formats};

fn main() -> ExitCode {
    child::main(formats::FORMATS)
}
