//! Document text made harmless as a part of a prompt.
//!
//! Two things must not come out of a document: a control sequence that a server's chat template would read as a change of
//! roles (`<|im_start|>system`), and a marker that would pass for the label of another source (`[p. 1]`). Both are
//! defused by one changed character, so that the text stays readable. What the text *says* cannot be defused; see
//! `docs/prompt-injection.md` for what that means.

/// Beginnings of control sequences of the common chat templates. Compared without case.
const CONTROLS: [&str; 14] = [
    "<|",
    "</s>",
    "<s>",
    "<bos>",
    "<eos>",
    "<pad>",
    "<unk>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<think>",
    "</think>",
    "<<sys>>",
    "<</sys>>",
    "<tool_call>",
];
/// The same for sequences in square brackets, and labels of sources.
const LABELS: [&str; 12] = [
    "[inst]",
    "[/inst]",
    "[system",
    "[user",
    "[assistant",
    "[p.",
    "[p ",
    "[pp",
    "[page",
    "[row",
    "[image]",
    "[question]",
];

/// The text with every control sequence and label spoiled.
pub(super) fn quarantine(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '[', '|', '｜']) {
        let (before, sign) = rest.split_at(at);
        out.push_str(before);
        let c = sign.chars().next().unwrap_or('<');
        let replacement = match c {
            '<' if begins_any(sign, &CONTROLS) || sign[1..].starts_with('｜') => '‹',
            '[' if begins_any(sign, &LABELS) => '(',
            // The other end of `<|…|>`, whatever its beginning was.
            '|' | '｜' if sign[c.len_utf8()..].starts_with('>') => '¦',
            c => c,
        };
        out.push(replacement);
        rest = &sign[c.len_utf8()..];
    }
    out.push_str(rest);
    out
}

fn begins_any(text: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| {
        text.get(..beginning.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(beginning))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Special tokens of the families that local servers run: Llama 2 and 3, Qwen, Gemma, Mistral, Phi, `DeepSeek`.
    const SPECIALS: [&str; 16] = [
        "<|im_start|>",
        "<|im_end|>",
        "<|endoftext|>",
        "<|begin_of_text|>",
        "<|eot_id|>",
        "<|start_header_id|>system<|end_header_id|>",
        "<s>",
        "</s>",
        "[INST]",
        "[/INST]",
        "<<SYS>>",
        "<start_of_turn>user",
        "<end_of_turn>",
        "<|system|>",
        "<｜begin▁of▁sentence｜>",
        "<think>",
    ];

    #[test]
    fn no_special_token_survives() {
        for token in SPECIALS {
            let seen = quarantine(&format!("before {token} after"));
            assert!(!seen.contains(token), "{token} in {seen}");
            assert!(seen.starts_with("before ") && seen.ends_with(" after"));
        }
    }

    #[test]
    fn labels_of_sources_are_spoiled_and_other_text_is_not() {
        assert_eq!(
            quarantine("see [p. 3] and [ROW 4]"),
            "see (p. 3] and (ROW 4]"
        );
        let plain = "if a < b || c[0] > 2 { x <- [1] } <b>bold</b> [sic]";
        assert_eq!(quarantine(plain), plain);
    }

    proptest! {
        #[test]
        fn spoiling_twice_changes_nothing_more(text in "[<|>\\[\\]psINT/. ｜]{0,40}") {
            let once = quarantine(&text);
            prop_assert_eq!(quarantine(&once), once.clone());
            prop_assert_eq!(once.chars().count(), text.chars().count());
        }
    }
}
