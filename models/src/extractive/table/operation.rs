//! The operation a prompt about a table asks for, by its words in four languages.

use crate::extractive::prompt::Prompt;

use super::columns::Mention;

/// What to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    RowCount,
    ColumnCount,
    ColumnNames,
    Mean,
    Median,
    Sum,
    StandardDeviation,
    Distinct,
    TopValues,
    Missing,
    Range,
    /// The largest value, or the rows that have it.
    Largest,
    /// The smallest value, or the rows that have it.
    Smallest,
    /// Rows by their values.
    Lookup,
}

impl Operation {
    /// Whether it asks for an end of an order.
    pub(super) fn ranks(self) -> bool {
        matches!(self, Self::Largest | Self::Smallest)
    }

    /// Whether it can only be computed of numbers.
    pub(super) fn needs_numbers(self) -> bool {
        matches!(
            self,
            Self::Mean | Self::Median | Self::Sum | Self::StandardDeviation
        )
    }

    /// The other end of the order.
    pub(super) fn reversed(self) -> Self {
        match self {
            Self::Largest => Self::Smallest,
            Self::Smallest => Self::Largest,
            other => other,
        }
    }
}

/// The words of each operation; the first that matches wins, so the special ones come before the general ones.
const WORDS: [(Operation, &str); 13] = [
    (
        Operation::ColumnCount,
        "how many columns|how many fields|number of columns|wie viele spalten|\
         combien de colonnes|cuantas columnas",
    ),
    (
        Operation::ColumnNames,
        "columns|column names|headers|header|fields|attributes|spalten|colonnes|columnas|\
         schema",
    ),
    (
        Operation::TopValues,
        "most common|most frequent|commonest|most often|distribution|breakdown|frequencies|\
         haufigste|haufigsten|plus frequent|mas comun|mas frecuente",
    ),
    (
        Operation::StandardDeviation,
        "standard deviation|std dev|stddev|deviation|standardabweichung|ecart type|desviacion",
    ),
    (Operation::Median, "median|mediane|mediana"),
    (
        Operation::Mean,
        "average|mean|avg|durchschnitt|durchschnittliche|durchschnittlich|mittelwert|moyenne|\
         promedio|media",
    ),
    (
        Operation::Missing,
        "missing|empty|null|nulls|blank|blanks|fehlen|fehlende|leer|manquantes|faltan|vacias",
    ),
    (
        Operation::Distinct,
        "distinct|unique|different|verschiedene|differents|differentes|distintos|diferentes",
    ),
    (
        Operation::Range,
        "range|minimum and maximum|min and max|lowest and highest|highest and lowest|spanne",
    ),
    (
        Operation::Sum,
        "sum|total|altogether|combined|summe|gesamt|gesamte|insgesamt|somme|totale|suma",
    ),
    (
        Operation::Largest,
        "maximum|max|highest|largest|biggest|greatest|most|top|oldest|latest|newest|longest|\
         tallest|heaviest|best|fastest|richest|priciest|hottest|warmest|deepest|widest|\
         strongest|hochste|hochsten|grosste|grossten|meiste|meisten|langste|plus grand|\
         plus grande|plus eleve|mayor|maximo|mas alto|mas grande|most recent|last",
    ),
    (
        Operation::Smallest,
        "minimum|min|lowest|smallest|least|fewest|youngest|earliest|first|shortest|lightest|\
         cheapest|worst|slowest|poorest|coldest|bottom|niedrigste|kleinste|kleinsten|wenigsten|\
         plus petit|plus petite|plus bas|menor|minimo|mas bajo",
    ),
    (
        Operation::RowCount,
        "how many|number of|count|count of|wie viele|wieviele|anzahl|combien|nombre de|cuantos|\
         cuantas|numero de",
    ),
];

/// The operation and the word of the prompt at which it is named.
pub(super) fn operation(prompt: &Prompt, mentions: &[Mention]) -> (Operation, Option<usize>) {
    // The `first` of a column `first name` names no operation.
    let in_name = |word: usize| {
        mentions
            .iter()
            .any(|mention| mention.words > 1 && mention.covers(word))
    };
    for (operation, phrases) in WORDS {
        let mut found = phrases.split('|').filter_map(|phrase| prompt.find(phrase));
        if let Some(word) = found.find(|word| !in_name(*word)) {
            return (operation, Some(word));
        }
    }
    (Operation::Lookup, None)
}

/// The word of a prompt that asks for an end of an order beside another operation (`highest average`), and whether for the
/// largest.
pub(super) fn superlative(prompt: &Prompt) -> Option<(usize, bool)> {
    let ends = [(Operation::Largest, true), (Operation::Smallest, false)];
    ends.into_iter().find_map(|(end, largest)| {
        let (_, phrases) = WORDS.iter().find(|(operation, _)| *operation == end)?;
        let at = prompt.find_any(phrases)?;
        Some((at, largest))
    })
}

/// Whether a word is part of the name of an operation.
pub(super) fn is_operation(word: &str) -> bool {
    let in_phrase = |phrase: &str| phrase.split(' ').any(|part| part == word);
    let named = WORDS
        .iter()
        .any(|(_, phrases)| phrases.split('|').any(in_phrase));
    named || !ranked_by(word).is_empty()
}

/// What an adjective says about the column it ranks by: parts of column names. Behind some of them the order is turned
/// round, which a minus says (`@date` is any column of dates): the oldest person has the largest age and the smallest date of birth.
pub(super) fn ranked_by(adjective: &str) -> &'static str {
    match adjective {
        "oldest" | "youngest" => "age birth- born- built- founded- year- date- @date-",
        "latest" | "newest" | "last" | "recent" | "earliest" | "first" => {
            "date year time created @date"
        }
        "longest" | "shortest" => "length duration height distance minutes",
        "tallest" | "highest" | "lowest" => "height elevation",
        "heaviest" | "lightest" => "weight mass",
        "cheapest" | "priciest" | "expensive" => "price cost amount fee",
        "fastest" | "slowest" => "speed time- duration-",
        "richest" | "poorest" => "gdp income wealth salary",
        "hottest" | "warmest" | "coldest" => "temperature temp",
        "best" | "worst" => "score rating grade points",
        "largest" | "biggest" | "smallest" | "grosste" | "kleinste" => {
            "size area population amount"
        }
        "populous" => "population",
        "paid" => "salary wage pay income",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_operations() {
        for (prompt, expected) in [
            ("What is the average population?", Operation::Mean),
            ("how many rows are there", Operation::RowCount),
            ("how many different countries", Operation::Distinct),
            ("Which columns are there?", Operation::ColumnNames),
            ("how many columns", Operation::ColumnCount),
            (
                "which country has the highest population",
                Operation::Largest,
            ),
            ("Wie viele Zeilen hat die Tabelle?", Operation::RowCount),
            ("most common city", Operation::TopValues),
            ("What is the capital of France?", Operation::Lookup),
            ("total sales", Operation::Sum),
        ] {
            assert_eq!(operation(&Prompt::new(prompt), &[]).0, expected, "{prompt}");
        }
    }
}
