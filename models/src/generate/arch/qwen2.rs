//! Qwen2 and Qwen2.5.

use super::{Family, Pairs};

/// See the module.
pub(super) const FAMILY: Family = Family {
    name: "qwen2",
    pairs: Pairs::Halves,
    biased: true,
    normed_heads: false,
    template: "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}\
        {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    ends: &["<|im_end|>", "<|endoftext|>"],
};
