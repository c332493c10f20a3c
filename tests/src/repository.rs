//! Files of this repository, and the tools that the tests install in it.

use std::path::{Path, PathBuf};

/// Returns the path of a file of this repository.
pub fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Returns the text of a file of this repository.
pub fn read(path: &str) -> String {
    let file = file(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Returns the directory into which the Python packages are installed that
/// `tests/{folder}/requirements.txt` names. Panics if they are not.
pub fn python_packages(folder: &str) -> PathBuf {
    let environment = file("tests").join(folder).join(".venv");
    let is_installed = environment.join(".installed").exists();
    assert!(
        is_installed,
        "tests/{folder} is not installed; run `make test`"
    );
    environment
}
