//! The name of an uploaded file, made safe to store and show. It stays data: no path is ever built from it.

/// Longest name in bytes, the limit of common file systems, so that a client can save the file under it again.
const MAX_BYTES: usize = 255;

/// Longest extension that survives when a name is shortened.
const MAX_EXTENSION: usize = 16;

/// The name of a file that has none.
const NAMELESS: &str = "upload";

/// The last part of a path, without what cannot be seen or misleads, at most 255 bytes long, never empty.
pub fn clean(raw: &str) -> String {
    let last = raw.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = last.chars().filter(|c| !is_hidden(*c)).collect();
    let name = visible.trim();
    if name.is_empty() || name == "." || name == ".." {
        return NAMELESS.to_owned();
    }
    shortened(name)
}

/// Control characters, line separators, and the marks that change the direction of text: `evil\u{202E}fdp.exe` shows as
/// `evilexe.pdf`.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

fn shortened(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let extension = name.rfind('.').map_or("", |dot| &name[dot..]);
    let extension = if extension.len() <= MAX_EXTENSION {
        extension
    } else {
        ""
    };
    let stem = &name[..name.floor_char_boundary(MAX_BYTES - extension.len())];
    format!("{}{extension}", stem.trim_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_stay() {
        for name in [
            "report.pdf",
            "Übersicht 2024.csv",
            "数据.png",
            "a b (1).tiff",
            ".hidden",
            "no-extension",
            "👨\u{200D}👩.png",
        ] {
            assert_eq!(clean(name), name);
        }
    }

    #[test]
    fn paths_lose_their_directories() {
        assert_eq!(clean("../../etc/passwd"), "passwd");
        assert_eq!(clean(r"C:\Users\me\scan.pdf"), "scan.pdf");
        assert_eq!(clean("dir/"), "upload");
        assert_eq!(clean("a/.."), "upload");
    }

    #[test]
    fn what_cannot_be_seen_is_removed() {
        assert_eq!(clean("a\0b\r\n\x1b[31m.csv"), "ab[31m.csv");
        assert_eq!(clean("evil\u{202E}fdp.exe"), "evilfdp.exe");
        assert_eq!(clean("\u{2066}\u{FEFF}\u{85}"), "upload");
        assert_eq!(clean("   "), "upload");
        assert_eq!(clean(""), "upload");
    }

    #[test]
    fn long_names_keep_their_extension() {
        let name = clean(&format!("{}.pdf", "ä".repeat(200)));
        assert_eq!(name.len(), 255 - 1, "cut between two characters");
        assert!(name.ends_with("ä.pdf"));
        let name = clean(&format!("a.{}", "x".repeat(400)));
        assert_eq!(name.len(), 255);
    }

    proptest! {
        #[test]
        fn a_clean_name_is_never_empty_or_a_path_and_cleaning_twice_changes_nothing(raw in "\\PC{0,40}|.{0,300}|[./\\\\ ]{0,9}") {
            let name = clean(&raw);
            prop_assert!(!name.is_empty() && name.len() <= MAX_BYTES);
            let bad = name.contains(['/', '\\', '\0', '\u{202E}']);
            prop_assert!(!bad, "{name:?}");
            prop_assert!(name != "." && name != "..");
            prop_assert_eq!(clean(&name), name);
        }
    }
}
