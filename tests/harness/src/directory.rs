//! Directories for the files of a server or a test, gone when both have ended.

use crate::parting;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A directory of its own, which is removed when this is dropped, unless `GRIPWIRE_TEST_KEEP` is set.
pub struct Directory(PathBuf);

impl Directory {
    /// A new one. Its path is short, as those of Unix sockets must be, and `name` is a part of it.
    pub fn new(name: &str) -> Directory {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gripwire-{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        parting::note_directory(&path);
        Directory(path)
    }

    /// The same with a file.
    pub fn with(self, name: &str, text: &str) -> Directory {
        self.write(name, text);
        self
    }

    /// Writes a file, or writes it anew.
    pub fn write(&self, name: &str, text: &str) {
        write(&self.0.join(name), text);
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        parting::remove_directory(&self.0);
    }
}

/// Writes a file.
pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
