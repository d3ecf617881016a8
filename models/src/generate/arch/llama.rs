//! Llama 3 and the many models of its shape, with a byte-level vocabulary.

use super::{Family, Pairs};

/// See the module.
pub(super) const FAMILY: Family = Family {
    name: "llama",
    pairs: Pairs::Neighbours,
    biased: false,
    normed_heads: false,
    template: "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n\
        {{ message.content | trim }}<|eot_id|>{% endfor %}\
        {% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}",
    ends: &["<|eot_id|>", "<|end_of_text|>", "<|eom_id|>"],
};
