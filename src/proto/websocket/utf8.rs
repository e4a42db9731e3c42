//! Checks UTF-8 that comes in pieces, as text messages do: a character may be cut anywhere.

use serde::{Deserialize, Serialize};

/// Checks the pieces of one text.
#[derive(Clone, Copy, Default, Debug, Serialize, Deserialize)]
pub struct Utf8 {
    /// The beginning of a character whose rest has not come.
    begun: [u8; 4],
    length: u8,
}

/// The text is not UTF-8, whatever follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotUtf8;

impl Utf8 {
    /// Checks the next piece.
    ///
    /// # Errors
    /// A byte makes the text invalid; the first such byte is reported at once.
    pub fn check(&mut self, mut piece: &[u8]) -> Result<(), NotUtf8> {
        while self.length > 0 {
            let Some((&byte, rest)) = piece.split_first() else { return Ok(()) };
            self.push(byte);
            piece = rest;
            self.settle()?;
        }
        match std::str::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(NotUtf8),
            Err(error) => {
                piece.get(error.valid_up_to()..).unwrap_or_default().iter().for_each(|byte| self.push(*byte));
                Ok(())
            }
        }
    }

    /// Whether the text may end here.
    pub fn is_whole(&self) -> bool {
        self.length == 0
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.begun.get_mut(self.length as usize) {
            *place = byte;
            self.length += 1;
        }
    }

    /// Checks whether the incomplete character is complete now.
    fn settle(&mut self) -> Result<(), NotUtf8> {
        let begun = self.begun.get(..self.length as usize).unwrap_or_default();
        match std::str::from_utf8(begun) {
            Ok(_) => self.length = 0,
            Err(error) if error.error_len().is_some() => return Err(NotUtf8),
            Err(_) => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_error_is_told_at_its_first_byte() {
        for (good, bad) in
            [(&b"\xe2\x82"[..], 0x41), (b"\xf0", 0x80), (b"\xed", 0xa0), (b"a", 0xc0), (b"", 0xff)]
        {
            let mut text = Utf8::default();
            assert_eq!(text.check(good), Ok(()), "{good:x?}");
            assert_eq!(text.check(&[bad]), Err(NotUtf8), "{good:x?} {bad:x}");
        }
    }

    #[test]
    fn a_text_does_not_end_within_a_character() {
        let mut text = Utf8::default();
        assert!(text.check("a\u{20ac}".as_bytes().split_last().unwrap().1).is_ok() && !text.is_whole());
        assert!(text.check(b"\xac").is_ok() && text.is_whole());
    }

    proptest! {
        #[test]
        fn cuts_make_no_difference(
            text in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xe2), Just(0x82), Just(0xac), Just(0xf0), Just(0x9f)], 0..40),
            cuts in prop::collection::vec(0usize..40, 0..6),
        ) {
            let mut checked = Utf8::default();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let outcome = cuts.windows(2).try_for_each(|pair| checked.check(&text[pair[0]..pair[1]]));
            let whole = outcome.is_ok() && checked.is_whole();
            prop_assert_eq!(whole, std::str::from_utf8(&text).is_ok());
        }
    }
}
