//! What Tesseract tells of a page it has not read: which way is up, and in which script it is written.

use super::tesseract::Tesseract;

/// What was detected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Quarter turns clockwise that bring its head up.
    pub(super) turns: u8,
    /// Name of the script, as Tesseract spells it; absent when it is not sure.
    pub(super) script: Option<String>,
}

/// Reads the report of Tesseract's detection (`--psm 0`). `None` when it could not tell which way is up.
pub(super) fn parse(report: &str) -> Option<Seen> {
    /// Confidence from which a script is taken for the one of the page: right ones have 2 to 10 on a page of text.
    const LEAST_CONFIDENCE: f32 = 1.0;
    let value = |name: &str| {
        let line = report.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.strip_prefix(':')).map(str::trim)
    };
    let degrees: u32 = value("Rotate")?.parse().ok()?;
    let sure = value("Script confidence")
        .and_then(|confidence| confidence.parse::<f32>().ok())
        .is_some_and(|confidence| confidence >= LEAST_CONFIDENCE);
    Some(Seen {
        turns: (degrees / 90 % 4) as u8,
        script: value("Script").filter(|_| sure).map(str::to_owned),
    })
}

/// Languages by the script that they are written in, the most widely read first. Latin is missing on purpose: it says nothing.
const LANGUAGES: &[(&str, &[&str])] = &[
    ("Japanese", &["jpn"]),
    ("Han", &["chi_sim", "chi_tra"]),
    ("HanS", &["chi_sim"]),
    ("HanT", &["chi_tra"]),
    ("Korean", &["kor"]),
    ("Hangul", &["kor"]),
    ("Cyrillic", &["rus", "ukr", "bul", "srp"]),
    ("Arabic", &["ara", "fas", "urd"]),
    ("Hebrew", &["heb"]),
    ("Greek", &["ell"]),
    ("Thai", &["tha"]),
    ("Devanagari", &["hin", "mar", "nep"]),
    ("Bengali", &["ben", "asm"]),
    ("Tamil", &["tam"]),
    ("Telugu", &["tel"]),
    ("Kannada", &["kan"]),
    ("Malayalam", &["mal"]),
    ("Gujarati", &["guj"]),
    ("Gurmukhi", &["pan"]),
    ("Georgian", &["kat"]),
    ("Armenian", &["hye"]),
    ("Khmer", &["khm"]),
    ("Myanmar", &["mya"]),
    ("Vietnamese", &["vie"]),
];

/// What to read a script with: the first of its languages that is installed, or, as the error, the first of all.
pub(super) fn language_of(
    script: &str,
    tesseract: &Tesseract,
) -> Option<Result<&'static str, &'static str>> {
    let (_, languages) = LANGUAGES.iter().find(|(name, _)| *name == script)?;
    let installed = languages.iter().find(|language| tesseract.has(language));
    Some(installed.copied().ok_or(languages[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "Page number: 0\nOrientation in degrees: 270\nRotate: 90\nOrientation confidence: 16.13\n\
                          Script: Japanese\nScript confidence: 2.31\n";

    #[test]
    fn a_report_is_read() {
        let script = Some("Japanese".to_owned());
        assert_eq!(parse(REPORT), Some(Seen { turns: 1, script }));
        let unsure = REPORT.replace("2.31", "0.12");
        assert_eq!(
            parse(&unsure),
            Some(Seen {
                turns: 1,
                script: None
            })
        );
        assert_eq!(parse("Too few characters. Skipping this page"), None);
    }

    #[test]
    fn a_script_is_read_with_what_is_installed() {
        let tesseract = Tesseract::pretend(&["eng", "ukr"]);
        assert_eq!(language_of("Cyrillic", &tesseract), Some(Ok("ukr")));
        assert_eq!(language_of("Japanese", &tesseract), Some(Err("jpn")));
        assert_eq!(language_of("Latin", &tesseract), None);
    }
}
