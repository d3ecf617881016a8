//! What a prompt asks for: an answer, a summary, keywords, a list, a count, or something quoting cannot do.
//!
//! Rules over words and phrases in English, with the plain verbs of German, French and Spanish. A prompt that no
//! rule knows is a question: looking for the sentence nearest to it is never wrong, only sometimes weak.
//!
//! Not here: prompts about tables, which are read against the names of the columns (see `table`).

use super::listing::Entity;
use super::prompt::Prompt;
use super::wordlist::holds;

/// What to do with the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// Find the sentences that answer.
    Question,
    /// Say what the whole document, or what it says about the prompt's subject, comes to.
    Summary(Length),
    /// Name the words that set this document apart.
    Keywords { count: usize },
    /// Show every sentence that fits, not only the best.
    List(Option<Entity>),
    /// Count how often a word occurs.
    Occurrences,
    /// Count the pages.
    Pages,
    /// Needs a model that writes text.
    CannotDo(&'static str),
}

/// How long a summary should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// By the size of the document.
    Usual,
    Short,
    Long,
    Sentences(usize),
}

/// Nobody reads more sentences than this as a summary.
const MAX_SUMMARY_SENTENCES: usize = 30;
const DEFAULT_KEYWORDS: usize = 12;
const MAX_KEYWORDS: usize = 50;

impl Intent {
    pub(super) fn of(prompt: &Prompt) -> Self {
        if prompt.words().is_empty() {
            return Self::Summary(Length::Usual);
        }
        if is_summary(prompt) {
            return Self::Summary(length(prompt));
        }
        if let Some(verb) = cannot_do(prompt) {
            return Self::CannotDo(verb);
        }
        if let Some(count) = keywords(prompt) {
            return Self::Keywords { count };
        }
        if prompt.has("how many pages|number of pages|page count|wie viele seiten|combien de pages|cuantas paginas") {
            return Self::Pages;
        }
        if is_occurrences(prompt) {
            return Self::Occurrences;
        }
        if is_list(prompt) {
            return Self::List(Entity::named_in(prompt));
        }
        Self::Question
    }
}

/// Words with which a prompt asks something about a fact, so that `summary` in it is only a subject.
const FACT_WORDS: &str =
    "who when where why which does did is are was wer wann wo quand cuando quien donde";

fn is_summary(prompt: &Prompt) -> bool {
    const VERBS: &str = "summaris summariz zusammenfass zusammengefasst condense recap tldr";
    const PHRASES: &str = "tl dr|main points|main point|key points|key point|key takeaways|takeaways|main ideas|\
        main idea|key findings|the gist|in a nutshell|sum up|worum geht es|worum geht's|wovon handelt|\
        de quoi parle|de quoi s'agit|de que trata|de que habla|faites un resume|fais un resume";
    const NOUNS: &str = "summary overview synopsis outline resumen uberblick abstract sommaire";
    if is_vague(prompt) || is_about(prompt) || prompt.has(PHRASES) {
        return true;
    }
    if prompt.has_word_like(VERBS) && !holds("who when where why did", prompt.first()) {
        return true;
    }
    if holds(FACT_WORDS, prompt.first()) {
        return false;
    }
    let resume = prompt.first().starts_with("resum") || prompt.has("un resume|le resume|en resume");
    let fasse = prompt.has_word_like("fass") && prompt.has("zusammen");
    resume || fasse || prompt.has_word(NOUNS) && !asks_inside(prompt)
}

/// `What is this?`, `Describe the table`: nothing but a wish to know what there is. `What is this clause for?` names
/// more.
fn is_vague(prompt: &Prompt) -> bool {
    const LEADS: &str = "what what's whats explain describe read show tell";
    const THINGS: &str = "what what's whats this document text file pdf it paper article report the image picture page \
        say says me to us please is does do in am i looking at explain describe about read table data of are a photo \
        scan csv spreadsheet dataset here there show tell contents content can you see know";
    holds(LEADS, prompt.first())
        && prompt.words().len() > 1
        && prompt.words().iter().all(|word| holds(THINGS, word))
        || holds("explain describe", prompt.first()) && prompt.words().len() == 1
}

/// `What is this document about?`
fn is_about(prompt: &Prompt) -> bool {
    const SUBJECTS: &str =
        "this it document text file pdf paper article report book page letter contract story";
    let words = prompt.words();
    let last_two = &words[words.len().saturating_sub(2)..];
    match last_two {
        [subject, about] => about == "about" && holds(SUBJECTS, subject),
        _ => false,
    }
}

/// `What does the summary say about costs?` asks for something inside a part called summary.
fn asks_inside(prompt: &Prompt) -> bool {
    prompt.first() == "what" && prompt.has("say|says|mention|contain")
        || prompt.has("in the summary|in the abstract|in the overview")
}

fn length(prompt: &Prompt) -> Length {
    const SENTENCES: &str =
        "sentence satz satze phrase frase oracion bullet point line takeaway punkt";
    if let Some(count) = prompt.count_of(SENTENCES).filter(|count| *count > 0) {
        return Length::Sentences(count.min(MAX_SUMMARY_SENTENCES));
    }
    if prompt.has_word_like("brief short kurz court breve concise quick tldr")
        || prompt.has("tl dr")
    {
        return Length::Short;
    }
    if prompt.has_word_like("detail long ausfuhrlich thorough comprehensive extens detall") {
        return Length::Long;
    }
    Length::Usual
}

/// What quoting cannot do, as a verb for the reply.
fn cannot_do(prompt: &Prompt) -> Option<&'static str> {
    let words = prompt.words();
    let lead: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| !holds("please can could you bitte", word))
        .take(2)
        .collect();
    match lead.first().copied()? {
        "translate" | "ubersetze" | "ubersetzen" | "traduis" | "traduire" | "traduce"
        | "traducir" => Some("translate"),
        "rewrite" | "rephrase" | "paraphrase" | "reword" | "umformulieren" => Some("rewrite"),
        "write" | "compose" | "draft" | "schreibe" | "ecris" | "escribe" => Some("write"),
        "proofread" | "correct" => Some("correct"),
        _ => None,
    }
}

fn keywords(prompt: &Prompt) -> Option<usize> {
    const WORDS: &str = "keywords schlagwort schlagworter stichwort stichworter schlusselwort schlusselworter \
        hashtags";
    const PHRASES: &str = "key words|key terms|main topics|list topics|list the topics|mots cles|palabras clave|\
        tags for";
    const COUNTED: &str =
        "keyword key schlagw stichw schlussel topic main mots palabras tags hashtag";
    if holds(FACT_WORDS, prompt.first()) || !(prompt.has_word_like(WORDS) || prompt.has(PHRASES)) {
        return None;
    }
    let count = prompt
        .count_of(COUNTED)
        .filter(|count| *count > 1)
        .unwrap_or(DEFAULT_KEYWORDS);
    Some(count.min(MAX_KEYWORDS))
}

fn is_occurrences(prompt: &Prompt) -> bool {
    const ASKS: &str = "how many times|how often|wie oft|combien de fois|cuantas veces";
    const VERBS: &str = "mention appear occur word erwahn vorkomm kommt apparai mencion aparece";
    prompt.has(ASKS) && prompt.has_word_like(VERBS)
}

fn is_list(prompt: &Prompt) -> bool {
    const LEADS: &str =
        "list enumerate extract liste lister enumera enumere lista nenne auflisten enumerez";
    const PHRASES: &str = "list all|list the|find all|find every|show all|show every|give all|name all|show me all|\
        give me all|what are all|all of the|make a list|zahle auf|alle auf|toutes les|tous les|\
        todos los|todas las";
    holds(LEADS, prompt.first()) || prompt.has(PHRASES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(text: &str) -> Intent {
        Intent::of(&Prompt::new(text))
    }

    #[test]
    fn summaries_are_known_in_four_languages() {
        for text in [
            "Summarise",
            "summarize this document",
            "Please give me a summary",
            "What is this document about?",
            "what's it about?",
            "Fasse das Dokument zusammen",
            "Zusammenfassung bitte",
            "Résume ce document",
            "Resume el documento",
            "¿De qué trata?",
            "",
            "???",
            "What are the main points?",
            "Explain this document to me",
            "What is this?",
        ] {
            assert_eq!(intent(text), Intent::Summary(Length::Usual), "{text}");
        }
    }

    #[test]
    fn summaries_take_a_length() {
        assert_eq!(intent("TL;DR"), Intent::Summary(Length::Short));
        assert_eq!(
            intent("Summarise in 3 sentences"),
            Intent::Summary(Length::Sentences(3))
        );
        assert_eq!(
            intent("sum up in one sentence"),
            Intent::Summary(Length::Sentences(1))
        );
        assert_eq!(
            intent("Fasse in zwei Sätzen zusammen"),
            Intent::Summary(Length::Sentences(2))
        );
        assert_eq!(
            intent("five key points please"),
            Intent::Summary(Length::Sentences(5))
        );
        assert_eq!(intent("a brief summary"), Intent::Summary(Length::Short));
        assert_eq!(intent("a detailed summary"), Intent::Summary(Length::Long));
    }

    #[test]
    fn questions_stay_questions() {
        for text in [
            "When was the bridge opened?",
            "Who wrote the executive summary?",
            "What is this warranty worth?",
            "Wann wurde die Brücke eröffnet?",
            "What does the summary say about costs?",
            "termination notice period",
            "Which points are open?",
            "How often is the filter changed?",
            "Is there an overview of fees?",
            "What is the main purpose of the fund?",
        ] {
            assert_eq!(intent(text), Intent::Question, "{text}");
        }
    }

    #[test]
    fn other_wishes_are_told_apart() {
        assert_eq!(intent("Give me 5 keywords"), Intent::Keywords { count: 5 });
        assert_eq!(
            intent("Extract keywords"),
            Intent::Keywords {
                count: DEFAULT_KEYWORDS
            }
        );
        assert_eq!(intent("List all dates"), Intent::List(Some(Entity::Date)));
        assert_eq!(
            intent("List the obligations of the tenant"),
            Intent::List(None)
        );
        assert_eq!(
            intent("How many times is the bridge mentioned?"),
            Intent::Occurrences
        );
        assert_eq!(intent("How many pages does it have?"), Intent::Pages);
        assert_eq!(
            intent("Please translate this into French"),
            Intent::CannotDo("translate")
        );
        assert_eq!(intent("Write a poem"), Intent::CannotDo("write"));
        assert_eq!(
            intent("Write a short summary"),
            Intent::Summary(Length::Short)
        );
    }
}
