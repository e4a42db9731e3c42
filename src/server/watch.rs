//! Notices changed files, whether they are rewritten or replaced. inotify reports changes in the files' directories, and
//! comparing the files' metadata shows whether one of the watched files changed.

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

/// The metadata that changes with a file: device, inode, size, and change time in seconds and nanoseconds.
type Stamp = (u64, u64, u64, i64, i64);

impl FileWatch {
    /// Starts a thread that calls `happened` when a watched file may have changed, until `happened` returns false. No file
    /// is watched yet.
    ///
    /// # Errors
    /// The kernel gave no inotify instance.
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

    /// Watches `files`, which may include directories, and records their current state.
    pub fn look_at(&mut self, files: Vec<PathBuf>) {
        for file in &files {
            // For a symbolic link, the target's directory has to be watched too.
            let target = file.canonicalize().ok();
            for file in std::iter::once(file).chain(&target) {
                let directory = match file.is_dir() {
                    true => Some(file.as_path()),
                    false => file.parent().filter(|parent| !parent.as_os_str().is_empty()),
                };
                if let Err(error) = self.inotify.add_watch(directory.unwrap_or(Path::new(".")), EVENTS) {
                    tracing::warn!(
                        file = %file.display(),
                        %error,
                        "a changed file will not be noticed: send SIGHUP after a change"
                    );
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

    /// Whether any file differs from its recorded state.
    pub fn has_changed(&self) -> bool {
        self.files.iter().any(|(file, before)| stamp(file) != *before)
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let data = std::fs::metadata(file).ok()?;
    Some((data.dev(), data.ino(), data.size(), data.ctime(), data.ctime_nsec()))
}

/// Events for a file that was closed after writing, and for files that were created, moved or deleted. Writes alone are
/// not watched, because a log in the same directory would cause an event for each line.
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
