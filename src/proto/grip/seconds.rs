//! Numbers of seconds in the headers of an instruction: the timeouts of holds, keep-alives and links.

use super::instruct_error::InstructError;

/// Reads seconds in a header. Errors name `subject` if the number cannot be parsed, and `name` if it is out of range.
///
/// # Errors
/// The text is no number, or the number is out of range.
pub(super) fn seconds(
    digits: &[u8],
    subject: &'static str,
    name: &'static str,
) -> Result<u64, InstructError> {
    let digits = std::str::from_utf8(digits).unwrap_or_default().trim();
    let number: i32 = digits.parse().map_err(|_| InstructError::Unreadable(subject))?;
    u64::try_from(number).map_err(|_| InstructError::OutOfRange(name))
}
