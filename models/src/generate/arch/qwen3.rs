//! Qwen3, the dense models.

use super::{Family, Pairs};

/// See the module.
pub(super) const FAMILY: Family = Family {
    name: "qwen3",
    pairs: Pairs::Halves,
    biased: false,
    normed_heads: true,
    template: "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}\
        {% if add_generation_prompt %}<|im_start|>assistant\n\
        {% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}",
    ends: &["<|im_end|>", "<|endoftext|>"],
};
