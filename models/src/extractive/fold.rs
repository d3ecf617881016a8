//! Folding of words to the form in which they are compared: lower case and without the accents of Latin letters.
//!
//! People type `Munchen` and `cuando`; documents say `München` and `cuándo`. Only the letters of western European
//! languages are folded; other scripts are only lower-cased.

/// Lower case, accents dropped, typographic apostrophes made plain.
pub(crate) fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match plain(c) {
            Some(base) => out.push_str(base),
            None => out.push(c),
        }
    }
    out
}

fn plain(c: char) -> Option<&'static str> {
    if c.is_ascii() {
        return None;
    }
    Some(match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => "a",
        'ç' => "c",
        'è' | 'é' | 'ê' | 'ë' => "e",
        'ì' | 'í' | 'î' | 'ï' => "i",
        'ñ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => "o",
        'ù' | 'ú' | 'û' | 'ü' => "u",
        'ý' | 'ÿ' => "y",
        'æ' => "ae",
        'œ' => "oe",
        'ß' => "ss",
        '’' | '‘' | 'ʼ' => "'",
        // Combining accents of decomposed text.
        '\u{300}'..='\u{36f}' | '\u{ad}' => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn accents_and_case_do_not_matter() {
        assert_eq!(
            fold("Über Façade, ¿CUÁNDO? Straße isn’t"),
            "uber facade, ¿cuando? strasse isn't"
        );
        assert_eq!(fold("e\u{301}te\u{301}"), fold("été"));
    }
}
