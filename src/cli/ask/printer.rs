//! Decides what of a streamed answer is still to be printed, when printed text cannot be taken back.
//!
//! After a resume some text comes twice, and after a restart the answer begins again, most likely with the same words. As
//! long as the new text agrees with what stands on the screen nothing is printed; when it goes beyond, only the rest
//! is; when it differs, all of it is printed anew.

/// What to print.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Nothing new.
    Nothing,
    /// It continues what was printed.
    More(&'a str),
    /// It replaces what was printed.
    Anew(&'a str),
}

/// The answer as it was printed and as it is.
#[derive(Debug, Default)]
pub(super) struct Printer {
    /// What stands on the screen.
    shown: String,
    /// The answer of the present run so far.
    text: String,
}

impl Printer {
    /// The answer begins again.
    pub(super) fn restart(&mut self) {
        self.text.clear();
    }

    /// A part that belongs at `offset`.
    pub(super) fn add(&mut self, offset: u64, part: &str) -> Piece<'_> {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        if self.text.is_char_boundary(offset) {
            self.text.truncate(offset);
        }
        self.text.push_str(part);
        if self.shown.starts_with(&self.text) {
            return Piece::Nothing;
        }
        self.show()
    }

    /// The whole answer.
    pub(super) fn finish(&mut self, answer: &str) -> Piece<'_> {
        answer.clone_into(&mut self.text);
        if self.shown == self.text {
            return Piece::Nothing;
        }
        self.show()
    }

    fn show(&mut self) -> Piece<'_> {
        let kept = self
            .text
            .starts_with(&self.shown)
            .then_some(self.shown.len());
        self.shown.clone_from(&self.text);
        match kept {
            Some(kept) => Piece::More(&self.shown[kept..]),
            None => Piece::Anew(&self.shown),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A screen that applies pieces.
    fn apply(screen: &mut String, piece: &Piece<'_>) {
        match piece {
            Piece::Nothing => {}
            Piece::More(text) => screen.push_str(text),
            Piece::Anew(text) => *screen = (*text).to_owned(),
        }
    }

    proptest! {
        #[test]
        fn the_screen_ends_with_the_answer(
            runs in proptest::collection::vec(proptest::collection::vec("[ab€]{0,3}", 0..6), 1..4),
            again in 0_usize..4,
        ) {
            let (mut printer, mut screen) = (Printer::default(), String::new());
            let mut answer = String::new();
            for run in &runs {
                printer.restart();
                answer.clear();
                for part in run {
                    apply(&mut screen, &printer.add(answer.len() as u64, part));
                    answer.push_str(part);
                    // A resume: the last part comes again.
                    if again == part.len() {
                        apply(&mut screen, &printer.add((answer.len() - part.len()) as u64, part));
                    }
                    prop_assert!(screen.starts_with(&answer));
                }
            }
            apply(&mut screen, &printer.finish(&answer));
            prop_assert_eq!(screen, answer);
        }
    }

    #[test]
    fn a_restart_with_the_same_words_prints_nothing_twice() {
        let mut printer = Printer::default();
        assert_eq!(printer.add(0, "It is "), Piece::More("It is "));
        printer.restart();
        assert_eq!(printer.add(0, "It"), Piece::Nothing);
        assert_eq!(printer.add(2, " is 42"), Piece::More("42"));
        assert_eq!(printer.finish("It is 42"), Piece::Nothing);
    }

    #[test]
    fn a_different_answer_is_printed_anew() {
        let mut printer = Printer::default();
        printer.add(0, "It is 41");
        printer.restart();
        assert_eq!(printer.add(0, "It is 42"), Piece::Anew("It is 42"));
        assert_eq!(printer.finish("It"), Piece::Anew("It"));
    }
}
