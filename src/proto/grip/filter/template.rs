//! Templates: text with directives, `%X` or `%(argument)X` with a letter X, and `%%` for a percent sign. Within the
//! argument a backslash quotes the next character. The caller decides which text replaces a directive. A template may
//! come in parts, cut anywhere; positions in errors count from its beginning.

use std::borrow::Cow;

/// The most bytes of an incomplete directive; more are an error.
const DIRECTIVE_BYTES: usize = 16 * 1024;
/// By how many bytes the result may exceed its template, or a part of the template: a variable of 64 KiB fits,
/// though a directive names it in a few bytes.
const GROWTH_BYTES: usize = 1024 * 1024;

/// Why a template cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // The texts describe the variants.
pub enum TemplateError {
    #[error("Expected directive after '%' at position {0}")]
    NoDirective(usize),
    #[error("Expected character after '(' at position {0}")]
    NoField(usize),
    #[error("Expected character after '\\' at position {0}")]
    NoCharacter(usize),
    #[error("Unterminated field starting at position {0}")]
    Unterminated(usize),
    #[error("Expected directive after ')' at position {0}")]
    NoDirectiveAfterField(usize),
    #[error("Unknown directive '{0}' at position {1}")]
    Unknown(char, usize),
    #[error("Result too large at position {0}")]
    TooLarge(usize),
    #[error("{0} at position {1}")]
    Directive(DirectiveError, usize),
}

/// Why a directive has no replacement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // The texts describe the variants.
pub enum DirectiveError {
    #[error("Unknown directive '{0}'")]
    Unknown(char),
    #[error("Directive 's' requires argument")]
    NoArgument,
    #[error("No such variable '{0}'")]
    NoVariable(String),
    #[error("No ID specified and no default ID in context")]
    NoId,
}

/// Replaces a directive, given its letter and its argument.
pub(super) trait Directives {
    fn fill_in<'a>(&'a self, letter: u8, argument: Option<&'a [u8]>)
    -> Result<Cow<'a, [u8]>, DirectiveError>;
}

/// Fills in a whole template.
///
/// # Errors
/// A directive is invalid or has no replacement.
pub(super) fn fill_in(template: &[u8], directives: &impl Directives) -> Result<Vec<u8>, TemplateError> {
    let mut partial = Partial::default();
    let mut out = Vec::with_capacity(template.len());
    partial.push(template, directives, &mut out)?;
    partial.finish()?;
    Ok(out)
}

/// Replaces `%(name)s` by the variable of that name.
pub(super) struct Variables<'v>(pub &'v dyn Fn(&str) -> Option<&'v str>);

impl Directives for Variables<'_> {
    fn fill_in<'a>(
        &'a self,
        letter: u8,
        argument: Option<&'a [u8]>,
    ) -> Result<Cow<'a, [u8]>, DirectiveError> {
        if letter != b's' {
            return Err(DirectiveError::Unknown(char::from(letter)));
        }
        let name = String::from_utf8_lossy(argument.ok_or(DirectiveError::NoArgument)?);
        match (self.0)(&name) {
            Some(value) => Ok(Cow::Borrowed(value.as_bytes())),
            None => Err(DirectiveError::NoVariable(name.into_owned())),
        }
    }
}

/// A template that comes in parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Partial {
    /// The beginning of an incomplete directive.
    carry: Vec<u8>,
    /// The position of that beginning in the whole template.
    position: usize,
}

impl Partial {
    /// Fills in one more part, as far as directives are complete.
    ///
    /// # Errors
    /// A directive is invalid or has no replacement.
    pub fn push(
        &mut self,
        part: &[u8],
        directives: &impl Directives,
        out: &mut Vec<u8>,
    ) -> Result<(), TemplateError> {
        let joined;
        let input = match self.carry.is_empty() {
            true => part,
            false => {
                self.carry.extend_from_slice(part);
                joined = std::mem::take(&mut self.carry);
                &joined
            }
        };
        let most = out.len() + input.len() + GROWTH_BYTES;
        let mut rest = input;
        while let Some(percent) = memchr::memchr(b'%', rest) {
            let (text, directive) = rest.split_at(percent);
            out.extend_from_slice(text);
            self.position += percent;
            match read(directive, self.position)? {
                Read::Whole { letter: b'%', argument: None, length } => {
                    out.push(b'%');
                    rest = self.go_on(directive, length);
                }
                Read::Whole { letter, argument, length } => {
                    let argument = argument.filter(|argument| !argument.is_empty());
                    let at = self.position + length - 1;
                    if argument.is_none() && !letter.is_ascii_alphabetic() {
                        return Err(TemplateError::Unknown(char::from(letter), at));
                    }
                    let value = directives.fill_in(letter, argument.as_deref());
                    let value = value.map_err(|error| TemplateError::Directive(error, at))?;
                    if out.len() + value.len() > most {
                        return Err(TemplateError::TooLarge(at));
                    }
                    out.extend_from_slice(&value);
                    rest = self.go_on(directive, length);
                }
                Read::Lacks(error) if directive.len() > DIRECTIVE_BYTES => return Err(error),
                Read::Lacks(_) => {
                    self.carry = directive.to_vec();
                    return Ok(());
                }
            }
        }
        out.extend_from_slice(rest);
        self.position += rest.len();
        Ok(())
    }

    /// Ends the template.
    ///
    /// # Errors
    /// The template ends within a directive.
    pub fn finish(&self) -> Result<(), TemplateError> {
        if self.carry.is_empty() {
            return Ok(());
        }
        match read(&self.carry, self.position)? {
            Read::Lacks(error) => Err(error),
            // A complete directive would have been filled in already.
            Read::Whole { .. } => Ok(()),
        }
    }

    fn go_on<'a>(&mut self, directive: &'a [u8], length: usize) -> &'a [u8] {
        self.position += length;
        directive.get(length..).unwrap_or_default()
    }
}

/// A directive, or what an incomplete one lacks.
enum Read {
    Whole { letter: u8, argument: Option<Vec<u8>>, length: usize },
    Lacks(TemplateError),
}

/// Reads the directive at the start of `input`, whose percent sign is at `position`.
fn read(input: &[u8], position: usize) -> Result<Read, TemplateError> {
    let letter = match input.get(1) {
        None => return Ok(Read::Lacks(TemplateError::NoDirective(position))),
        Some(b'(') => return Ok(read_argument(input, position)),
        Some(letter) => *letter,
    };
    Ok(Read::Whole { letter, argument: None, length: 2 })
}

fn read_argument(input: &[u8], position: usize) -> Read {
    let mut argument = Vec::new();
    let mut at = 2;
    if input.len() == at {
        return Read::Lacks(TemplateError::NoField(position + 1));
    }
    loop {
        match input.get(at) {
            None => return Read::Lacks(TemplateError::Unterminated(position + 1)),
            Some(b')') => break,
            Some(b'\\') => match input.get(at + 1) {
                None => return Read::Lacks(TemplateError::NoCharacter(position + at)),
                Some(escaped) => {
                    argument.push(*escaped);
                    at += 2;
                }
            },
            Some(plain) => {
                argument.push(*plain);
                at += 1;
            }
        }
    }
    match input.get(at + 1) {
        None => Read::Lacks(TemplateError::NoDirectiveAfterField(position + at)),
        Some(letter) => Read::Whole { letter: *letter, argument: Some(argument), length: at + 2 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill(template: &str) -> Result<String, String> {
        let variables = Variables(&|name| match name {
            "user" => Some("alice"),
            "a)b" => Some("odd"),
            "none" => Some(""),
            _ => None,
        });
        let filled = fill_in(template.as_bytes(), &variables).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(filled).unwrap())
    }

    #[test]
    fn variables_are_filled_in() {
        let table = [
            ("", ""),
            ("plain", "plain"),
            ("hi %(user)s!", "hi alice!"),
            ("100%% of %(user)s%(user)s", "100% of alicealice"),
            (r"%(a\)b)s %(\u\ser)s", "odd alice"),
            ("[%(none)s]", "[]"),
        ];
        for (template, filled) in table {
            assert_eq!(fill(template), Ok(filled.to_owned()));
        }
    }

    #[test]
    fn errors_say_what_and_where() {
        let table = [
            ("a%", "Expected directive after '%' at position 1"),
            ("a%(", "Expected character after '(' at position 2"),
            (r"%(a\", r"Expected character after '\' at position 3"),
            ("%(user", "Unterminated field starting at position 1"),
            ("%(user)", "Expected directive after ')' at position 6"),
            ("%5", "Unknown directive '5' at position 1"),
            ("%%%x", "Unknown directive 'x' at position 3"),
            ("%(user)d", "Unknown directive 'd' at position 7"),
            ("%s", "Directive 's' requires argument at position 1"),
            ("%()s", "Directive 's' requires argument at position 3"),
            ("%(nobody)s", "No such variable 'nobody' at position 9"),
        ];
        for (template, error) in table {
            assert_eq!(fill(template), Err(error.to_owned()), "{template}");
        }
    }

    #[test]
    fn a_directive_that_never_ends_is_not_kept_for_ever() {
        let mut partial = Partial::default();
        let part = [b"%(".as_slice(), &[b'x'; DIRECTIVE_BYTES]].concat();
        let variables = Variables(&|_| None);
        assert_eq!(partial.push(&part, &variables, &mut Vec::new()), Err(TemplateError::Unterminated(1)));
    }

    #[test]
    fn a_large_variable_does_not_make_a_small_template_huge() {
        let value = "x".repeat(64 * 1024);
        let variables = Variables(&|_| Some(&value));
        let fits = GROWTH_BYTES / value.len();
        let filled = fill_in("%(v)s".repeat(fits).as_bytes(), &variables);
        assert_eq!(filled.map(|filled| filled.len()), Ok(fits * value.len()));
        let refused = fill_in("%(v)s".repeat(fits + 1).as_bytes(), &variables);
        assert_eq!(refused, Err(TemplateError::TooLarge(5 * fits + 4)));
    }

    fn template() -> impl Strategy<Value = String> {
        let piece =
            prop::sample::select(vec!["%", "(", ")", "s", "user", "\\", "%(user)s", "%%", "x", "5", "é"]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn a_template_in_parts_is_the_same_as_whole(
            template in template(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let variables = Variables(&|name| (name == "user").then_some("alice"));
            let bytes = template.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let (mut partial, mut out) = (Partial::default(), Vec::new());
            let mut parts = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
            let outcome = parts.try_for_each(|part| partial.push(part, &variables, &mut out));
            let outcome = outcome.and_then(|()| partial.finish()).map(|()| out);
            prop_assert_eq!(outcome, fill_in(bytes, &variables));
        }

        #[test]
        fn text_with_its_percent_signs_doubled_comes_back(text in ".{0,40}") {
            let variables = Variables(&|_| None);
            let filled = fill_in(text.replace('%', "%%").as_bytes(), &variables);
            prop_assert_eq!(filled, Ok(text.into_bytes()));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = fill_in(&bytes, &Variables(&|_| Some("x")));
        }
    }
}
