//! Writes the fields of a log line. Each value is written on one line, in at most [`VALUE_BYTES`] bytes, because many
//! values come from clients.

use std::fmt::{self, Debug, Write};
use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

/// Most bytes of one value. A longer value is cut and ends in an ellipsis.
const VALUE_BYTES: usize = 1024;

/// Writes the message as it is, and other fields as `name=value`. All values are cut.
pub(super) fn cut() -> impl for<'w> FormatFields<'w> + 'static {
    debug_fn(|writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
        if field.name() != "message" {
            write!(writer, "{}=", field.name())?;
        }
        write_cut(writer, value)
    })
    .delimited(" ")
}

fn write_cut(writer: &mut dyn Write, value: &dyn Debug) -> fmt::Result {
    let mut cut = Cut { writer, left: VALUE_BYTES, outcome: Ok(()) };
    // `Cut` returns an error at its limit, so that formatting stops there.
    let is_whole = write!(cut, "{value:?}").is_ok();
    let Cut { outcome, .. } = cut;
    outcome?;
    if is_whole { Ok(()) } else { writer.write_char('…') }
}

/// Writes text up to a limit. Control characters are escaped, so a value cannot end its line or control a terminal.
struct Cut<'w> {
    writer: &'w mut dyn Write,
    left: usize,
    outcome: fmt::Result,
}

impl Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let Some(left) = self.left.checked_sub(character.len_utf8()) else { return Err(fmt::Error) };
            self.left = left;
            self.outcome = match character.is_control() {
                true => write!(self.writer, "{}", character.escape_default()),
                false => self.writer.write_char(character),
            };
            self.outcome?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &str) -> String {
        let mut text = String::new();
        write_cut(&mut text, &format_args!("{value}")).expect("a string takes everything");
        text
    }

    #[test]
    fn a_value_is_cut_between_characters() {
        assert_eq!(written("short"), "short");
        assert_eq!(written(&"x".repeat(VALUE_BYTES)), "x".repeat(VALUE_BYTES));
        let odd = format!("x{}", "é".repeat(VALUE_BYTES));
        let cut = written(&odd);
        assert_eq!(cut, format!("x{}…", "é".repeat(VALUE_BYTES / 2 - 1)));
    }

    #[test]
    fn a_value_stays_in_its_line() {
        assert_eq!(written("a\r\nb\u{1b}[2J\u{9b}c"), "a\\r\\nb\\u{1b}[2J\\u{9b}c");
    }
}
