//! Chat templates: messages to the text that a model was trained on.
//!
//! A template is a program in the model's file, so it runs in a sandbox: bounded size, bounded steps, no access to anything. It sees
//! placeholders instead of the messages' texts; those are put in afterwards as [`Part::Data`], so that neither a template nor a text
//! can turn a document's words into control tokens. A template that does not work is replaced by the family's own, with a warning.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind, context};

use crate::error::ModelError;
use crate::ground::{Message, Role};

use super::text::Part;

/// Longest template; published ones are below 10 KB.
const MAX_TEMPLATE_BYTES: usize = 64 << 10;
/// Instructions that one rendering may take; published templates take some hundred a message.
const FUEL: u64 = 200_000;
/// Longest result, placeholders in place of texts.
const MAX_RESULT_BYTES: usize = 64 << 10;
/// Encloses a placeholder's number. A private-use character, which no published template contains.
const FENCE: char = '\u{F8FF}';
/// Name under which the template is known to its environment.
const NAME: &str = "chat";

/// A template that has been tried.
pub(super) struct Template {
    environment: Environment<'static>,
    begin: String,
    end: String,
}

/// A rendered template, cut at the placeholders.
pub(super) struct Rendered<'a> {
    text: String,
    messages: &'a [Message],
}

impl Template {
    /// The template of a file, or the family's own when the file has none that works.
    pub(super) fn new(own: Option<&str>, family: &'static str, borders: (&str, &str)) -> Self {
        if let Some(own) = own {
            match Self::try_new(own, borders) {
                Ok(template) => return template,
                Err(error) => tracing::warn!(
                    %error,
                    "the chat template of this model does not work; its family's is used"
                ),
            }
        }
        Self::try_new(family, borders).expect("the template of a family works, as its test shows")
    }

    fn try_new(source: &str, (begin, end): (&str, &str)) -> Result<Self, Error> {
        if source.len() > MAX_TEMPLATE_BYTES {
            return Err(fault("is too long"));
        }
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_syntax(spacing()?);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |text: String| {
            Err::<Value, _>(Error::new(ErrorKind::InvalidOperation, text))
        });
        environment.add_template_owned(NAME, source.to_owned())?;
        let template = Self {
            environment,
            begin: begin.to_owned(),
            end: end.to_owned(),
        };
        let trial = [Message::system(""), Message::user("")];
        template.run(&trial)?;
        Ok(template)
    }

    /// Renders a conversation up to where the model's turn begins. Thinking is switched off where a model can think.
    pub(super) fn render<'a>(&self, messages: &'a [Message]) -> Result<Rendered<'a>, ModelError> {
        let text = self.run(messages);
        let text =
            text.map_err(|error| ModelError::Inference(format!("chat template: {error}")))?;
        Ok(Rendered { text, messages })
    }

    fn run(&self, messages: &[Message]) -> Result<String, Error> {
        let listed = messages.iter().enumerate().map(|(index, message)| {
            context! { role => name(message.role), content => format!("{FENCE}{index}{FENCE}") }
        });
        let text = self.environment.get_template(NAME)?.render(context! {
            messages => listed.collect::<Vec<_>>(),
            add_generation_prompt => true,
            enable_thinking => false,
            bos_token => &self.begin,
            eos_token => &self.end,
        })?;
        if text.len() > MAX_RESULT_BYTES {
            return Err(fault("writes too much"));
        }
        let shown = |index: usize| text.contains(&format!("{FENCE}{index}{FENCE}"));
        let dropped = (0..messages.len()).any(|index| !shown(index));
        if dropped {
            return Err(fault("drops a message"));
        }
        Ok(text)
    }
}

/// As templates have it.
fn name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// Line ends and indents around blocks are no text, as in the library for which chat templates are written.
fn spacing() -> Result<SyntaxConfig, Error> {
    SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
}

fn fault(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

impl Rendered<'_> {
    /// The pieces in order. Texts lose the space around them, as templates take it off themselves.
    pub(super) fn parts(&self) -> Vec<Part<'_>> {
        let mut parts = Vec::new();
        for (index, piece) in self.text.split(FENCE).enumerate() {
            let placeholder = index % 2 == 1;
            let message = piece
                .parse()
                .ok()
                .and_then(|at: usize| self.messages.get(at));
            match message.filter(|_| placeholder) {
                Some(message) => parts.push(Part::Data(message.content.trim())),
                None => parts.push(Part::Template(piece)),
            }
        }
        parts
    }
}

#[cfg(test)]
mod tests;
