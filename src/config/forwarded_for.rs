//! The words of `x_forwarded_for` in both config formats: `truncate:N` and `append`. An unknown word is an error in
//! both formats, because applications rely on X-Forwarded-For for the client's address.

/// An unknown word in `x_forwarded_for`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown word `{0}` in `x_forwarded_for`: use `truncate:N` (keep the last N values) and `append`")]
pub struct UnknownWord(String);

/// How a request's X-Forwarded-For header is changed before the request goes to the origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForwardedFor {
    /// How many values, counted from the end, are kept; `None` keeps all.
    pub truncate: Option<usize>,
    /// Whether the client's address is appended.
    pub append: bool,
}

impl ForwardedFor {
    /// Adds one word of the list.
    ///
    /// # Errors
    /// The word, if it is unknown.
    pub fn add(&mut self, word: &str) -> Result<(), UnknownWord> {
        let unknown = || UnknownWord(word.to_owned());
        match word.trim().split_once(':') {
            None if word.trim() == "append" => self.append = true,
            Some(("truncate", count)) => self.truncate = Some(count.trim().parse().map_err(|_| unknown())?),
            _ => return Err(unknown()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_words_are_taken_in_any_order() {
        let mut both = ForwardedFor::default();
        both.add("append").unwrap();
        both.add(" truncate:2").unwrap();
        assert_eq!(both, ForwardedFor { truncate: Some(2), append: true });
    }

    #[test]
    fn other_words_are_refused() {
        for word in ["", "truncate", "truncate:", "truncate:-1", "apend", "append:1"] {
            assert_eq!(ForwardedFor::default().add(word), Err(UnknownWord(word.to_owned())));
        }
    }
}
