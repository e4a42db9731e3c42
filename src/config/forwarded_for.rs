//! The words of `x_forwarded_for`, which both config formats share: `truncate:N` and `append`. A wrong word is
//! an error in both, because what an application believes about a client's address hangs on it.

/// A word of `x_forwarded_for` that has no meaning.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` means nothing in `x_forwarded_for`: use `truncate:N` (keep the last N values) and `append`")]
pub struct UnknownWord(String);

/// What happens to the X-Forwarded-For header of a request on its way to the origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ForwardedFor {
    /// How many values to keep, from the end.
    pub truncate: Option<usize>,
    /// Whether the client's address is appended.
    pub append: bool,
}

impl ForwardedFor {
    /// Takes in one word of the list.
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
