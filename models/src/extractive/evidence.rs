//! Signs by which a sentence shows that it holds a date, a number, money, a person, a place, an address.
//!
//! Scans over words, right often enough to rank and to list by; none understands the text.

use super::fold::fold;
use super::wordlist::holds;

/// Month names and their usual short forms in four languages, folded.
const MONTHS: &str = "january february march april may june july august september october november december jan \
    feb mar apr jun jul aug sep sept oct nov dec januar februar marz mai juni juli oktober \
    dezember janvier fevrier mars avril juin juillet aout septembre octobre novembre decembre \
    enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre";
const WEEKDAYS: &str = "monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch \
    donnerstag freitag samstag sonntag lundi mardi mercredi jeudi vendredi samedi dimanche \
    lunes martes miercoles jueves viernes sabado domingo midnight noon daily weekly monthly \
    annually yearly";
const NUMBER_WORDS: &str = "one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty \
    fifty sixty hundred thousand million billion dozen half twice once zwei drei vier funf \
    sechs sieben acht neun zehn hundert tausend deux trois quatre cinq sept huit neuf dix cent \
    mille dos tres cuatro cinco seis siete ocho nueve diez cien mil";
const CURRENCIES: &str =
    "usd eur gbp chf dollar dollars euro euros pound pounds cents francs yen jpy";

/// The words of a text without the punctuation around them.
fn bare_words(text: &str) -> impl Iterator<Item = &str> {
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
}

/// Whether any word of a text is in a list.
pub(super) fn has_any(text: &str, list: &str) -> bool {
    bare_words(text).any(|word| holds(list, &fold(word)))
}

/// A year, a month with a capital, a weekday, a numeric date or a time.
pub(super) fn has_date(text: &str) -> bool {
    let mut before_number = false;
    for word in bare_words(text) {
        let folded = fold(word);
        if is_year(word) || is_numeric_date(word) || holds(WEEKDAYS, &folded) {
            return true;
        }
        // `may`, `mar` and `march` are words too: a month needs a capital, and the short ones a number beside them.
        let month = is_month(word);
        let number = word.starts_with(|c: char| c.is_ascii_digit());
        if month && (before_number || folded.len() > 4)
            || number && before_number && text_has_month(text)
        {
            return true;
        }
        before_number = number;
    }
    text_has_month(text) && has_digit(text)
}

fn text_has_month(text: &str) -> bool {
    bare_words(text).any(is_month)
}

/// The number of a month by its name, with its capital.
pub(super) fn month_number(word: &str) -> Option<u32> {
    // By the first letters that tell the months apart, over the four languages.
    const BEGINNINGS: [&str; 12] = [
        "jan ene",
        "feb fev",
        "mar",
        "apr avr abr",
        "may mai",
        "jun jui",
        "jul",
        "aug aou ago",
        "sep",
        "oct okt",
        "nov",
        "dec dez dic",
    ];
    if !is_month(word) {
        return None;
    }
    let folded = fold(word);
    // `juin` and `juillet` begin alike in three letters.
    if folded.starts_with("juil") {
        return Some(7);
    }
    let begins = |list: &&str| list.split(' ').any(|start| folded.starts_with(start));
    (1..)
        .zip(BEGINNINGS)
        .find(|(_, list)| begins(list))
        .map(|(number, _)| number)
}

/// A month's name, with its capital.
pub(super) fn is_month(word: &str) -> bool {
    word.starts_with(char::is_uppercase) && holds(MONTHS, &fold(word))
}

fn is_year(word: &str) -> bool {
    word.len() == 4
        && word.bytes().all(|b| b.is_ascii_digit())
        && (word.starts_with('1') || word.starts_with("20") || word.starts_with("21"))
}

/// `3.5.1932`, `1932-05-03`, `3/5/32`, or a time such as `10:30`.
pub(super) fn is_numeric_date(word: &str) -> bool {
    let parts = |sign: char| {
        word.split(sign)
            .filter(|part| {
                (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
            })
            .count()
    };
    let signs = |sign: char| word.matches(sign).count();
    ['.', '-', '/']
        .into_iter()
        .any(|sign| signs(sign) == 2 && parts(sign) == 3)
        || (signs(':') == 1 && parts(':') == 2)
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
}

/// Digits or a number as a word.
pub(super) fn has_number(text: &str) -> bool {
    has_digit(text) || has_any(text, NUMBER_WORDS)
}

/// An amount with a currency sign, code or name.
pub(super) fn has_money(text: &str) -> bool {
    let sign = text.contains(['$', '€', '£', '¥', '₹']);
    has_number(text) && (sign || has_any(text, CURRENCIES) || text.contains("Fr."))
}

/// Two capitalised words in a row, or one after a title.
pub(super) fn has_person(text: &str) -> bool {
    const TITLES: &str =
        "mr mrs ms dr prof sir lady herr frau madame monsieur senor senora president";
    let mut before = "";
    for word in text.split_whitespace() {
        let clean = word.trim_matches(|c: char| !c.is_alphanumeric());
        let name = is_capitalised(clean);
        let joined = !before.ends_with([',', ';', ':', '?', '!'])
            && is_capitalised(before.trim_matches(|c: char| !c.is_alphanumeric()));
        if name && (joined || holds(TITLES, &fold(before.trim_end_matches('.')))) {
            return true;
        }
        before = word;
    }
    false
}

fn is_capitalised(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(char::is_uppercase)
        && chars.next().is_none_or(char::is_lowercase)
        && !matches!(
            word,
            "The"
                | "A"
                | "An"
                | "In"
                | "On"
                | "At"
                | "It"
                | "This"
                | "If"
                | "For"
                | "To"
                | "By"
                | "As"
                | "You"
                | "I"
        )
}

/// A capitalised word after a preposition of place.
pub(super) fn has_place(text: &str) -> bool {
    const BEFORE: &str =
        "in at from near to of on under beside between outside bei aus nach a en de";
    let mut before = String::new();
    for word in bare_words(text) {
        if holds(BEFORE, &before) && word.starts_with(char::is_uppercase) && !is_month(word) {
            return true;
        }
        // The article between a preposition and a name does not count.
        let article = matches!(word, "the" | "der" | "dem" | "den" | "la" | "le" | "el");
        if !article {
            before = fold(word);
        }
    }
    false
}

/// `name@host.tld`, with any punctuation around it.
pub(super) fn is_email(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    word.split_once('@')
        .is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'))
}

/// A web address with or without its scheme.
pub(super) fn is_url(word: &str) -> bool {
    word.contains("://")
        || word
            .trim_start_matches(|c: char| !c.is_alphanumeric())
            .starts_with("www.")
}

/// Seven or more digits with nothing but phone punctuation between them.
pub(super) fn has_phone(text: &str) -> bool {
    let mut digits = 0;
    for c in text.chars() {
        match c {
            '0'..='9' => digits += 1,
            ' ' | '-' | '(' | ')' | '/' | '+' => {}
            _ => digits = 0,
        }
        if digits >= 7 {
            return true;
        }
    }
    false
}
