//! The directory of the data: `DATA_DIR`.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::Args;
use shared::store::{SqliteStore, Store, StoreError};

use crate::new_file::folder_of;

/// The beginnings of the names of our files in `DATA_DIR`.
const OUR_FILES: [&str; 3] = ["partner-keys.db", "svix-simulator.json", "lock"];

/// The flag of the directory.
#[derive(Debug, Args)]
pub struct DataArgs {
    /// Directory of the database, created if it does not exist
    #[arg(long, env = "DATA_DIR", value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
}

impl DataArgs {
    /// Returns the path of the database.
    pub fn database(&self) -> PathBuf {
        self.data.join("partner-keys.db")
    }

    /// Returns the path of the simulator's applications. They are beside the database, because
    /// each refers to what is in the other.
    pub fn simulator(&self) -> PathBuf {
        self.data.join("svix-simulator.json")
    }

    /// Returns whether a file at this path would be one of ours, whatever is there now.
    pub fn is_ours(&self, path: &Path) -> bool {
        let folders = (folder_of(path).canonicalize(), self.data.canonicalize());
        let is_here = matches!(folders, (Ok(folder), Ok(data)) if folder == data);
        is_here && path.file_name().is_some_and(is_our_name)
    }

    /// Locks the directory for this process, until the file is dropped. Creates it if it does
    /// not exist.
    pub fn lock(&self) -> anyhow::Result<File> {
        let data = self.data.display();
        let refused = || format!("DATA_DIR: cannot keep the database in {data}");
        create_private_directory(&self.data).with_context(refused)?;
        let file = self.data.join("lock");
        let lock = File::create(&file).with_context(refused)?;
        self.give_to_owner(&file).with_context(refused)?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(anyhow!(
                "DATA_DIR: another standalone uses {data}; stop it first"
            )),
            Err(TryLockError::Error(error)) => Err(error).with_context(refused),
        }
    }

    /// Gives a file to the directory's owner: root may run a command on the data of a service
    /// that has a user of its own.
    pub fn give_to_owner(&self, file: &Path) -> io::Result<()> {
        let owner = std::fs::metadata(&self.data)?;
        if std::fs::metadata(file)?.uid() == owner.uid() {
            return Ok(());
        }
        chown(file, Some(owner.uid()), Some(owner.gid()))
    }

    /// Opens the database and locks its directory for this process.
    pub async fn open_store(&self) -> anyhow::Result<(SqliteStore, File)> {
        let lock = self.lock()?;
        let store = async {
            let store = SqliteStore::open(&self.database()).await?;
            store.migrate().await?;
            Ok::<_, StoreError>(store)
        };
        let store = store.await.map_err(|error| {
            let hint = if error.is_damage() {
                "; the file is damaged: move it away with its -wal and -shm, and run \
                 `standalone restore` with a backup"
            } else {
                ""
            };
            let data = self.data.display();
            let refused = format!("DATA_DIR: cannot keep the database in {data}{hint}");
            anyhow::Error::new(error).context(refused)
        })?;
        Ok((store, lock))
    }
}

fn is_our_name(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    OUR_FILES.iter().any(|ours| name.starts_with(ours))
}

/// Creates the directory, if it does not exist, for this user alone, and takes our files
/// in it from other users. SQLite gives its further files the permissions of the database.
fn create_private_directory(data: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(data)?;
    // An older version, or somebody else, may have created them.
    if std::fs::metadata(data)?.permissions().mode() & 0o077 != 0 {
        let data = data.display();
        tracing::warn!(%data, "other users can enter DATA_DIR; chmod 700 shuts them out");
    }
    for file in std::fs::read_dir(data)? {
        let file = file?;
        if is_our_name(&file.file_name()) {
            std::fs::set_permissions(file.path(), Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}
