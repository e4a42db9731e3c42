//! Reads the files that contain settings or that settings name, and resolves relative paths.

use crate::proto::byte_order_mark::without_bom;
use std::io;
use std::path::Path;

/// Reads a text file, without the byte order mark that some editors put at its start.
///
/// # Errors
/// The system's error, also if the file is not UTF-8.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = std::fs::read_to_string(path)?;
    let marked = text.len() - without_bom(text.as_bytes()).len();
    text.drain(..marked);
    Ok(text)
}

/// The directory against which relative paths in `file` are resolved.
pub(super) fn directory(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// Resolves the path of a `file:` key against `directory`. Keys in the other forms of `sig_key` stay as they are.
pub fn resolve_key(key: &str, directory: &Path) -> String {
    match key_file(key) {
        Some(path) => format!("file:{}", directory.join(path).display()),
        None => key.to_owned(),
    }
}

/// The path of a `file:` key; `None` for the other forms of `sig_key`.
pub fn key_file(key: &str) -> Option<&Path> {
    key.strip_prefix("file:").map(Path::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_key_files_are_resolved() {
        let directory = Path::new("/etc/gripwire");
        assert_eq!(resolve_key("changeme", directory), "changeme");
        assert_eq!(resolve_key("base64:AAAA", directory), "base64:AAAA");
        assert_eq!(resolve_key("file:key.pem", directory), "file:/etc/gripwire/key.pem");
        assert_eq!(resolve_key("file:/key.pem", directory), "file:/key.pem");
    }
}
