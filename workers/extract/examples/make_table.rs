//! Writes the table that the profile and the queries are measured on: ten columns with quoted commas, quotes and newlines.
//!
//! `cargo run --release -p quire-extract --example make_table -- FILE [ROWS]`; 2,880,000 rows (the default) are some 200 MB. The same
//! rows give the same bytes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// Rows of the measured file.
const ROWS: u64 = 2_880_000;

const COUNTRIES: [&str; 12] = [
    "France", "Japan", "Norway", "Kenya", "India", "Chile", "Canada", "Poland", "Ghana", "Peru",
    "Nepal", "Cuba",
];
const STATES: [&str; 4] = ["new", "paid", "sent", "returned"];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: make_table FILE [ROWS]");
        return ExitCode::FAILURE;
    };
    let rows = arguments.next().and_then(|text| text.parse().ok());
    match write(&path, rows.unwrap_or(ROWS)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(path: &str, rows: u64) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(
        out,
        "id,country,customer,amount,quantity,population,ordered,status,code,note"
    )?;
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for id in 1..=rows {
        let country = random.below(COUNTRIES.len() as u64) as usize;
        write!(out, "{id},{},", COUNTRIES[country])?;
        customer(&mut out, &mut random)?;
        // Countries differ, so that their means do.
        let cents = random.below(90_000) + 1_000 * country as u64;
        write!(
            out,
            ",{}.{:02},{}",
            cents / 100,
            cents % 100,
            1 + random.below(20)
        )?;
        let population = 100_000 * (country as u64 + 1) + random.below(50_000);
        if random.below(50) == 0 {
            write!(out, ",")?;
        } else {
            write!(out, ",{population}")?;
        }
        let (month, day) = (1 + random.below(12), 1 + random.below(28));
        write!(out, ",{}-{month:02}-{day:02}", 2015 + random.below(10))?;
        write!(
            out,
            ",{}",
            STATES[random.below(STATES.len() as u64) as usize]
        )?;
        write!(out, ",K{:05}", random.below(60_000))?;
        note(&mut out, &mut random)?;
        writeln!(out)?;
    }
    out.flush()
}

fn customer(out: &mut impl Write, random: &mut Random) -> io::Result<()> {
    let number = random.below(5_000);
    match random.below(8) {
        0 => write!(out, "\"Doe {number}, Jane\""),
        1 => write!(out, "\"{number} \"\"Co\"\"\""),
        _ => write!(out, "C{number}"),
    }
}

fn note(out: &mut impl Write, random: &mut Random) -> io::Result<()> {
    match random.below(20) {
        0 => write!(out, ",\"left at door,\nring twice\""),
        1 => write!(out, ",\"say \"\"hello\"\"\""),
        2..=8 => write!(out, ",fragile"),
        _ => write!(out, ","),
    }
}

/// Random numbers that are always the same (xorshift64*, Vigna 2016).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % limit
    }
}
