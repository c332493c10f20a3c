//! A file that appears under its name once it is complete.

use std::fs::{self, File};
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
        let mut name = place.as_os_str().to_owned();
        name.push(format!(".{}.new", std::process::id()));
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
