//! The kind of thing a question asks for, and whether a sentence holds one.
//!
//! A sentence with a date is a better answer to `when` than one without, whatever their words. It earns a small bonus
//! in the ranking and never decides alone.

use super::evidence::{
    has_any, has_date, has_money, has_number, has_person, has_phone, has_place, is_email, is_url,
};
use super::prompt::Prompt;
use super::wordlist::holds;

/// What an answer should contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AnswerType {
    Date,
    Number,
    Money,
    Person,
    Place,
    Reason,
    Email,
    Url,
    Phone,
}

/// Question words by what they ask for, in four languages, folded.
const WHEN: &str = "when wann quand cuando";
const WHO: &str = "who whom whose wer wem wen quien quienes qui";
const WHERE: &str = "where wo donde";
const WHY: &str = "why warum pourquoi";
const HOW_MUCH: &str = "combien cuanto cuanta cuantos cuantas wieviel wieviele";
const HOW: &str = "how wie";
const WHAT: &str = "what which quel quelle que welche welches welchem";

/// Words behind `how` that ask for a number.
const DEGREES: &str = "many much long high tall far big old wide deep heavy fast large often soon late early quickly warm \
    hot cold thick loud viel viele lange lang hoch gross weit alt schwer breit oft tief";
/// Words about money make a number an amount.
const MONEY: &str = "cost costs price pay paid fee fees salary rent budget worth charge charged dollars dollar \
    euros euro money deposit fine penalty kostet kosten preis miete coute cout prix loyer \
    cuesta precio costo";

/// Words that name what `what` asks for.
const PLACES: &str =
    "city country town place address state location stadt land ville pays ciudad pais";
const DATES: &str = "year date day month time jahr datum tag annee jour ano fecha deadline";
const NUMBERS: &str = "percentage percent number size length height width weight temperature amount distance speed \
    capacity age limit maximum minimum population area rate depth duration pressure power voltage";
/// Words that give a reason.
const REASONS: &str = "because due since reason therefore order weil wegen parce car porque";

impl AnswerType {
    /// What a prompt asks for, by its first question word and the word after it.
    pub(super) fn of(prompt: &Prompt) -> Option<Self> {
        if let Some(address) = address(prompt) {
            return Some(address);
        }
        let all = [WHEN, WHO, WHERE, WHY, HOW_MUCH, HOW, WHAT];
        let words = prompt.words();
        let (at, list) = words.iter().enumerate().find_map(|(at, word)| {
            let list = all.into_iter().find(|list| holds(list, word))?;
            Some((at, list))
        })?;
        let next = words.get(at + 1).map_or("", String::as_str);
        let money = prompt.has_word(MONEY);
        match list {
            WHEN => Some(Self::Date),
            WHO => Some(Self::Person),
            WHERE => Some(Self::Place),
            WHY => Some(Self::Reason),
            HOW_MUCH if money => Some(Self::Money),
            HOW_MUCH => Some(Self::Number),
            HOW if money && holds("much viel", next) => Some(Self::Money),
            HOW => holds(DEGREES, next).then_some(Self::Number),
            _ => of_what(prompt, next, money),
        }
    }

    /// Whether a sentence holds such a thing.
    pub(super) fn fits(self, text: &str) -> bool {
        match self {
            Self::Date => has_date(text),
            Self::Number => has_number(text),
            Self::Money => has_money(text),
            Self::Person => has_person(text),
            Self::Place => has_place(text),
            Self::Reason => has_any(text, REASONS),
            Self::Email => text.split_whitespace().any(is_email),
            Self::Url => text.split_whitespace().any(is_url),
            Self::Phone => has_phone(text),
        }
    }
}

/// A way to reach somebody, which a prompt names without a question word.
fn address(prompt: &Prompt) -> Option<AnswerType> {
    if prompt.has_word_like("email") || prompt.has("e mail") {
        return Some(AnswerType::Email);
    }
    if prompt.has("website|web site|url|homepage|web address") {
        return Some(AnswerType::Url);
    }
    prompt
        .has_word("phone telephone telefonnummer fax telefono")
        .then_some(AnswerType::Phone)
}

fn of_what(prompt: &Prompt, next: &str, money: bool) -> Option<AnswerType> {
    if money {
        return Some(AnswerType::Money);
    }
    if prompt.has_word(DATES) {
        return Some(AnswerType::Date);
    }
    if prompt.has_word(NUMBERS) {
        return Some(AnswerType::Number);
    }
    if holds(PLACES, next) || prompt.has("address") {
        return Some(AnswerType::Place);
    }
    prompt
        .has_word("person author")
        .then_some(AnswerType::Person)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_ask_for_kinds() {
        let of = |text: &str| AnswerType::of(&Prompt::new(text));
        assert_eq!(of("When was it built?"), Some(AnswerType::Date));
        assert_eq!(of("In what year was it built?"), Some(AnswerType::Date));
        assert_eq!(of("How many people live there?"), Some(AnswerType::Number));
        assert_eq!(of("How much does it cost?"), Some(AnswerType::Money));
        assert_eq!(of("What is the monthly rent?"), Some(AnswerType::Money));
        assert_eq!(of("What happens when the tenant leaves?"), None);
        assert_eq!(of("Wer hat das Haus gebaut?"), Some(AnswerType::Person));
        assert_eq!(of("Where is the pump?"), Some(AnswerType::Place));
        assert_eq!(
            of("What is the email address of support?"),
            Some(AnswerType::Email)
        );
    }

    #[test]
    fn sentences_hold_kinds() {
        for (kind, yes, no) in [
            (
                AnswerType::Date,
                "It opened on 3 May.",
                "It may open in a march.",
            ),
            (AnswerType::Date, "It opened in 1932.", "It has 193 doors."),
            (AnswerType::Date, "Due 2024-05-01.", "Version 2.4 is due."),
            (AnswerType::Number, "It has twelve doors.", "It has doors."),
            (AnswerType::Money, "They paid €300.", "They paid 300 times."),
            (
                AnswerType::Person,
                "It was drawn by Ada Lovelace.",
                "It was drawn by an engineer.",
            ),
            (AnswerType::Person, "ask Dr. Brown", "ask a doctor"),
            (
                AnswerType::Place,
                "It stands in Hamburg.",
                "It stands in a park in May.",
            ),
            (
                AnswerType::Email,
                "Write to (info@example.org).",
                "Write to @info.",
            ),
            (AnswerType::Phone, "Call +49 40 123 456.", "Call 110."),
        ] {
            assert!(kind.fits(yes), "{kind:?} {yes}");
            assert!(!kind.fits(no), "{kind:?} {no}");
        }
    }
}
