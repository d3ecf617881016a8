//! The password of an encrypted file, which nothing may print.

use std::fmt;

use crate::text::clean;

/// A password on its way from the upload to the parser. It has no `Display`, and its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes a password over. An empty one opens nothing that is not open anyway: `None`.
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(clean(text).into_owned()))
    }

    /// The password itself, for the parser and the database only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let password = Password::new("s3cret").unwrap();
        assert!(!format!("{password:?} {password:#?}").contains("s3cret"));
        assert_eq!(password.expose(), "s3cret");
        assert_eq!(Password::new(""), None);
    }
}
