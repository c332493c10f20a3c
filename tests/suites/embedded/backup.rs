//! Backups, which are made while the service runs, and come back.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tests::process::binary;
use tests::scratch;
use tokio::process::Command;

use super::Standalone;

/// A directory with data, and the commands on it.
struct Machine {
    dir: tempfile::TempDir,
}

/// How a command ended: whether it succeeded, and its output.
type Ended = (bool, String);

impl Machine {
    fn new() -> Self {
        Self { dir: scratch() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn command(&self, args: &[&str]) -> Ended {
        let mut command = Command::new(binary("standalone"));
        command
            .args(args)
            .env_clear()
            .env("DATA_DIR", self.file("data"));
        command.current_dir(self.dir.path()).kill_on_drop(true);
        let ended = tokio::time::timeout(Duration::from_mins(1), command.output());
        let ended = ended.await.expect("it ends").unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            ended.status.success(),
            text(&ended.stdout) + &text(&ended.stderr),
        )
    }

    async fn succeeds(&self, args: &[&str]) -> String {
        let (succeeded, output) = self.command(args).await;
        assert!(succeeded, "{args:?}: {output}");
        output
    }

    async fn refuses(&self, args: &[&str], reason: &str) {
        let (succeeded, output) = self.command(args).await;
        assert!(!succeeded, "{args:?}: {output}");
        assert!(output.contains(reason), "{reason}: {output}");
    }

    /// Changes a copy of a file by SQL.
    async fn changed(&self, from: &str, to: &str, sql: &'static str) {
        fs::copy(self.file(from), self.file(to)).unwrap();
        let url = format!("sqlite://{}", self.file(to).display());
        let mut db = SqliteConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut db)
            .await
            .unwrap();
        db.close().await.unwrap();
    }

    /// Returns the names of the files in a directory.
    fn names(&self, dir: &str) -> Vec<String> {
        let files = fs::read_dir(self.file(dir)).unwrap();
        let name = |file: std::io::Result<fs::DirEntry>| file.unwrap().file_name();
        files
            .map(|file| name(file).to_string_lossy().into_owned())
            .collect()
    }
}

#[tokio::test]
async fn a_backup_is_made_while_keys_are_created_and_comes_back() {
    let machine = Machine::new();
    machine
        .refuses(&["backup", "b.db"], "there is no database at")
        .await;
    let standalone = Standalone::start(machine.dir.path()).await;
    let jo = standalone.session("jo").await;
    let key = standalone.client.create(&jo).await.text("api_key");
    standalone.provisioned(&jo).await;

    // Others create keys meanwhile.
    let mut sessions = Vec::new();
    for i in 0..20 {
        sessions.push(standalone.session(&format!("other-{i}")).await);
    }
    let client = standalone.client.clone();
    let creating = tokio::spawn(async move {
        for session in sessions {
            assert_eq!(client.create(&session).await.status, 201);
        }
    });
    let printed = machine.succeeds(&["backup", "b.db"]).await;
    creating.await.unwrap();
    assert!(printed.starts_with("b.db: "), "{printed}");
    let mode = fs::metadata(machine.file("b.db"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    let before = fs::read(machine.file("b.db")).unwrap();
    machine.refuses(&["backup", "b.db"], "b.db exists").await;
    assert_eq!(fs::read(machine.file("b.db")).unwrap(), before);
    machine.succeeds(&["backup", "--replace", "b.db"]).await;
    machine
        .refuses(&["backup", "missing/b.db"], "missing/b.db was not written")
        .await;
    machine
        .refuses(&["restore", "b.db"], "another standalone uses")
        .await;

    // What happens after the backup is not in it.
    let late = standalone.session("late").await;
    assert_eq!(standalone.client.create(&late).await.status, 201);
    standalone.stop().await;
    machine
        .refuses(&["restore", "b.db"], "there is a database at")
        .await;
    let printed = machine.succeeds(&["restore", "--replace", "b.db"]).await;
    assert!(printed.contains("restored 21 keys"), "{printed}");
    let standalone = Standalone::start(machine.dir.path()).await;
    assert_eq!(standalone.client.show(&jo).await.body["has_key"], true);
    assert_eq!(standalone.client.portal(&key).await.status, 200);
    assert_eq!(standalone.client.show(&late).await.status, 401);
    standalone.stop().await;

    // The replaced database is there, complete, and can come back too.
    let is_kept = |name: &&String| name.contains(".before-");
    let names = machine.names("data");
    let kept: Vec<&String> = names.iter().filter(is_kept).collect();
    let [kept] = kept[..] else {
        panic!("{names:?}")
    };
    let printed = machine
        .succeeds(&["restore", "--replace", &format!("data/{kept}")])
        .await;
    assert!(printed.contains("restored 22 keys"), "{printed}");
    let left = [machine.names("."), machine.names("data")].concat();
    assert!(!left.iter().any(|name| name.contains(".new")), "{left:?}");
}

/// The running service would go on writing into what is no longer there.
#[tokio::test]
async fn a_backup_never_replaces_a_file_that_the_service_uses() {
    let machine = Machine::new();
    let standalone = Standalone::start(machine.dir.path()).await;
    let jo = standalone.session("jo").await;
    let link = machine.file("other-name");
    std::os::unix::fs::symlink(machine.file("data"), link).unwrap();
    for name in [
        "data/partner-keys.db",
        "data/partner-keys.db-wal",
        "data/partner-keys.db-shm",
        "data/lock",
        "data/svix-simulator.json",
        "data/../data/partner-keys.db",
        "other-name/partner-keys.db",
    ] {
        let reason = "a file that the service uses; choose another one";
        machine
            .refuses(&["backup", "--replace", name], reason)
            .await;
    }
    machine.succeeds(&["backup", "data/a-backup.db"]).await;
    assert_eq!(standalone.client.create(&jo).await.status, 201);
    standalone.stop().await;
    let standalone = Standalone::start(machine.dir.path()).await;
    assert_eq!(standalone.client.show(&jo).await.body["has_key"], true);
}

#[tokio::test]
async fn only_a_whole_database_of_ours_is_restored() {
    let machine = Machine::new();
    let standalone = Standalone::start(machine.dir.path()).await;
    let jo = standalone.session("jo").await;
    assert_eq!(standalone.client.create(&jo).await.status, 201);
    machine.succeeds(&["backup", "good.db"]).await;
    standalone.stop().await;
    fs::rename(machine.file("data"), machine.file("gone")).unwrap();

    let good = fs::read(machine.file("good.db")).unwrap();
    let mut holed = good.clone();
    holed[8192..].fill(0xa5);
    fs::write(machine.file("holed.db"), holed).unwrap();
    fs::write(machine.file("cut.db"), &good[..good.len() / 2]).unwrap();
    fs::write(
        machine.file("text.db"),
        "not a database, and long enough".repeat(9),
    )
    .unwrap();
    fs::write(machine.file("empty.db"), "").unwrap();
    let later =
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'of a later version', TRUE, '', 0)";
    machine.changed("good.db", "newer.db", later).await;
    machine
        .changed("empty.db", "other.db", "CREATE TABLE theirs (a)")
        .await;
    for (file, reason) in [
        ("holed.db", "damaged"),
        ("cut.db", "damaged"),
        (
            "text.db",
            "damaged: error returned from database: (code: 26)",
        ),
        ("empty.db", "not a database of partner-keys"),
        ("other.db", "not a database of partner-keys"),
        ("newer.db", "its schema is newer than this program"),
        ("missing.db", "unable to open database file"),
    ] {
        machine.refuses(&["restore", file], reason).await;
        let names = machine.names("data");
        assert_eq!(names, ["lock"], "{file} left something");
    }
    // Root may restore what belongs to the user of the service.
    let service = 65534;
    let is_root = chown(machine.file("data"), Some(service), Some(service)).is_ok();
    machine.succeeds(&["restore", "good.db"]).await;
    for file in ["data/partner-keys.db", "data/lock"] {
        let owner = fs::metadata(machine.file(file)).unwrap().uid();
        assert!(!is_root || owner == service, "{file}: {owner}");
    }
    let standalone = Standalone::start(machine.dir.path()).await;
    assert_eq!(standalone.client.show(&jo).await.body["has_key"], true);
}

#[tokio::test]
async fn the_log_of_a_database_that_is_gone_is_not_applied_to_a_restored_one() {
    let machine = Machine::new();
    let standalone = Standalone::start(machine.dir.path()).await;
    let jo = standalone.session("jo").await;
    assert_eq!(standalone.client.create(&jo).await.status, 201);
    machine.succeeds(&["backup", "good.db"]).await;
    // A connection of the test that is closed later would remove the log.
    standalone.store.close().await;
    standalone.stop().await;
    fs::rename(machine.file("data"), machine.file("gone")).unwrap();
    fs::create_dir(machine.file("data")).unwrap();
    for log in ["partner-keys.db-wal", "partner-keys.db-journal"] {
        let file = machine.file("data").join(log);
        fs::write(&file, "what was written last").unwrap();
        let reason = format!("{} is the log of", file.display());
        machine.refuses(&["restore", "good.db"], &reason).await;
        let mut names = machine.names("data");
        names.sort();
        assert_eq!(names, ["lock", log]);
        fs::rename(&file, machine.file(log)).unwrap();
    }
    let printed = machine.succeeds(&["restore", "good.db"]).await;
    assert!(printed.contains("restored 1 keys"), "{printed}");
}

#[tokio::test]
async fn the_file_alone_is_the_database_after_a_clean_stop() {
    let machine = Machine::new();
    let standalone = Standalone::start(machine.dir.path()).await;
    let jo = standalone.session("jo").await;
    assert_eq!(standalone.client.create(&jo).await.status, 201);
    // The last connection moves the log into the file. It must be one of the service.
    standalone.store.close().await;
    let log = machine.file("data/partner-keys.db-wal");
    let has_log = || fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    assert!(has_log(), "while it runs");
    standalone.stop().await;
    assert!(!has_log(), "after it has stopped");

    let copy = machine.file("copy.db");
    fs::copy(machine.file("data/partner-keys.db"), &copy).unwrap();
    let url = format!("sqlite://{}", copy.display());
    let mut db = SqliteConnection::connect(&url).await.unwrap();
    let keys = sqlx::query_scalar("SELECT count(*) FROM api_partners");
    let keys: i64 = keys.fetch_one(&mut db).await.unwrap();
    assert_eq!(keys, 1);
}
