//! A file that appears under its name once it is complete.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

/// Returns the directory of a file.
pub fn folder_of(file: &Path) -> &Path {
    let folder = file.parent().filter(|path| !path.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// A file under a temporary name in the directory of its place. It is removed if it is
/// dropped before it is put there.
#[derive(Debug)]
pub struct NewFile {
    place: PathBuf,
    /// The temporary name, at which there is no file yet.
    pub path: PathBuf,
}

impl NewFile {
    /// Chooses a temporary name for a file that will be at `place`.
    pub fn at(place: &Path) -> Self {
        // The process id alone is not enough: in a container it is always the same, and a
        // process that was killed leaves its file. The hash is random, as its keys are.
        let random = RandomState::new().hash_one(std::process::id());
        let mut name = place.as_os_str().to_owned();
        name.push(format!(".{random:016x}.new"));
        Self {
            place: place.to_owned(),
            path: name.into(),
        }
    }

    /// Writes the file to the disk, and gives it its name. What is there is replaced only if
    /// `replace` says so. After a power cut there is the old file or the new one.
    pub fn put(self, replace: bool) -> io::Result<()> {
        File::open(&self.path)?.sync_all()?;
        if replace {
            fs::rename(&self.path, &self.place)?;
        } else {
            // Fails if there is a file, also one that was created since anybody looked.
            fs::hard_link(&self.path, &self.place)?;
        }
        File::open(folder_of(&self.place))?.sync_all()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        for end in ["", "-journal"] {
            let mut path = self.path.as_os_str().to_owned();
            path.push(end);
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_a_killed_process_left_is_not_in_the_way_of_the_next() {
        let place = Path::new("backups/b.db");
        let (left, next) = (NewFile::at(place), NewFile::at(place));
        assert_ne!(left.path, next.path);
        assert_eq!(folder_of(&next.path), folder_of(place));
    }
}
