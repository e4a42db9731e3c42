//! Notices that files change, whoever replaces or rewrites them, and however: the kernel tells that something happened
//! in their directories (inotify), and a look at the files whether that was about them.

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that are watched.
pub(super) struct FileWatch {
    inotify: Arc<Inotify>,
    files: Vec<(PathBuf, Option<Stamp>)>,
}

/// What changes when a file does: device, inode, size, and time of the change, in seconds and nanoseconds.
type Stamp = (u64, u64, u64, i64, i64);

impl FileWatch {
    /// Watches nothing yet. `happened` is called, by a thread of its own, when something may have changed; it returns
    /// whether anyone still wants to know.
    pub fn new(happened: impl Fn() -> bool + Send + 'static) -> Result<FileWatch, Errno> {
        let inotify = Arc::new(Inotify::init(InitFlags::IN_CLOEXEC)?);
        let events = inotify.clone();
        std::thread::spawn(move || {
            while !matches!(events.read_events(), Err(error) if error != Errno::EINTR) {
                if !happened() {
                    return;
                }
            }
        });
        Ok(FileWatch { inotify, files: Vec::new() })
    }

    /// Watches `files` from now on, of which some may be directories, and takes them to be as they are now.
    pub fn look_at(&mut self, files: Vec<PathBuf>) {
        for file in &files {
            // A link's target changes in its own directory.
            let target = file.canonicalize().ok();
            for file in std::iter::once(file).chain(&target) {
                let directory = match file.is_dir() {
                    true => Some(file.as_path()),
                    false => file.parent().filter(|parent| !parent.as_os_str().is_empty()),
                };
                if let Err(error) = self.inotify.add_watch(directory.unwrap_or(Path::new(".")), EVENTS) {
                    tracing::warn!(file = %file.display(), %error, "changes of a file will not be noticed");
                }
            }
        }
        self.files = files
            .into_iter()
            .map(|file| {
                let stamp = stamp(&file);
                (file, stamp)
            })
            .collect();
    }

    /// Whether any of the files is not as it was.
    pub fn has_changed(&self) -> bool {
        self.files.iter().any(|(file, before)| stamp(file) != *before)
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let data = std::fs::metadata(file).ok()?;
    Some((data.dev(), data.ino(), data.size(), data.ctime(), data.ctime_nsec()))
}

/// A file was written to its end, or one took the place of another. Logs in the same directory, which are written
/// without end, wake nobody.
const EVENTS: AddWatchFlags = AddWatchFlags::IN_CLOSE_WRITE
    .union(AddWatchFlags::IN_CREATE)
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_MOVED_FROM)
    .union(AddWatchFlags::IN_DELETE);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn a_file_that_is_written_replaced_or_removed_has_changed() {
        let directory = std::env::temp_dir().join(format!("gripwire-watch-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (file, other) = (directory.join("file"), directory.join("other"));
        std::fs::write(&file, "1").unwrap();
        let (tell, told) = channel();
        let mut watch = FileWatch::new(move || tell.send(()).is_ok()).unwrap();
        watch.look_at(vec![file.clone()]);
        let mut changes = |change: &dyn Fn()| {
            assert!(!watch.has_changed());
            change();
            while !watch.has_changed() {
                told.recv_timeout(Duration::from_secs(10)).unwrap();
            }
            watch.look_at(vec![file.clone()]);
        };
        changes(&|| std::fs::write(&file, "22").unwrap());
        std::fs::write(&other, "333").unwrap();
        changes(&|| std::fs::rename(&other, &file).unwrap());
        changes(&|| std::fs::remove_file(&file).unwrap());
        changes(&|| std::fs::write(&file, "1").unwrap());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
