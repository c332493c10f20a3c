//! `standalone backup` and `standalone restore`.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, bail};
use clap::Args;
use shared::clock::Clock;
use shared::outln;
use shared::store::sqlite_file;

use crate::data_dir::DataArgs;
use crate::new_file::NewFile;

/// The flags of `standalone backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// File to write, which only you can read
    file: PathBuf,
    /// Replaces the file if it exists
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// The flags of `standalone restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// File that `standalone backup` has written
    file: PathBuf,
    /// Replaces the database that is there, and keeps it under another name
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// Writes a copy of the database, also while the service runs.
pub async fn backup(args: &BackupArgs) -> anyhow::Result<()> {
    let database = args.data.database();
    if !database.exists() {
        bail!("DATA_DIR: there is no database at {}", database.display());
    }
    let (file, name) = (&args.file, args.file.display());
    if args.data.is_ours(file) {
        bail!("{name} has the name of a file that the service uses; choose another one");
    }
    if file.exists() && !args.replace {
        bail!("{name} exists; choose another name, or use --replace");
    }
    let keys = copy(&database, file, args.replace, |_| Ok(()))
        .await
        .with_context(|| format!("{name} was not written"))?;
    let bytes = fs::metadata(file)?.len();
    outln!("{name}: {keys} keys, {bytes} bytes");
    Ok(())
}

/// Puts a backup in the place of the database. The service must not run.
pub async fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let name = args.file.display();
    let _lock = args.data.lock()?;
    let refused = || format!("{name} cannot be restored");
    sqlite_file::inspect(&args.file)
        .await
        .with_context(refused)?;
    let database = args.data.database();
    if database.exists() {
        if !args.replace {
            bail!(
                "there is a database at {}; use --replace, which keeps it under another name",
                database.display()
            );
        }
        let kept = keep(&database).await?;
        outln!("the database that was there is {}", kept.display());
    } else {
        refuse_left_log(&database)?;
    }
    let keys = copy(&args.file, &database, true, |new| {
        args.data.give_to_owner(new)
    })
    .await
    .with_context(refused)?;
    outln!("restored {keys} keys from {name}; the service can start");
    Ok(())
}

/// Writes a checked copy of the database `from` to `to`, and prepares it before it gets its
/// name. Returns the number of keys in it.
async fn copy(
    from: &Path,
    to: &Path,
    replace: bool,
    prepare: impl FnOnce(&Path) -> io::Result<()>,
) -> anyhow::Result<i64> {
    let new = NewFile::at(to);
    sqlite_file::copy(from, &new.path).await?;
    let keys = sqlite_file::inspect(&new.path).await?;
    prepare(&new.path)?;
    new.put(replace)?;
    Ok(keys)
}

/// Refuses to go on if the log of an earlier database is where the restored one will be: SQLite
/// would apply it to the restored one.
fn refuse_left_log(database: &Path) -> anyhow::Result<()> {
    for end in ["-wal", "-journal"] {
        let mut log = database.as_os_str().to_owned();
        log.push(end);
        let log = PathBuf::from(log);
        // SQLite ignores an empty one.
        if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            bail!(
                "{} is the log of a database that is gone, and would be applied to the restored \
                 one; move it away and try again",
                log.display()
            );
        }
    }
    Ok(())
}

/// Gives the database a second name, under which it stays. Its log must not stay: it would be
/// applied to the file that comes in its place.
async fn keep(database: &Path) -> anyhow::Result<PathBuf> {
    let cannot = || {
        let database = database.display();
        format!("the database that is there cannot be read; move {database}* away and try again")
    };
    sqlite_file::close_log(database)
        .await
        .with_context(cannot)?;
    let mut kept = database.as_os_str().to_owned();
    kept.push(format!(".before-{}", Clock::system().now()));
    let kept = PathBuf::from(kept);
    fs::hard_link(database, &kept)?;
    Ok(kept)
}
