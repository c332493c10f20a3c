//! A disk that is full or only reads, and a damaged file.

use std::fs;
use std::path::Path;

use serde_json::Value;
use shared::store::sqlite_file::close_log;
use tests::process::binary;
use tests::{Client, Process, eventually, scratch};
use tokio::process::Command;

use super::{SOON, Standalone};

/// A small file system in a directory. Only the process that is started in it sees it, and it
/// is gone with that process.
const TMPFS: &str = "mount -t tmpfs -o size=1m,mode=700 none data";

/// Returns whether this test may mount file systems, as root may in most places.
fn may_mount(dir: &Path) -> bool {
    let mut unshare = std::process::Command::new("unshare");
    unshare
        .args(["--mount", "sh", "-c", TMPFS])
        .current_dir(dir);
    unshare.output().is_ok_and(|output| output.status.success())
}

/// Runs `script` and then `standalone` in `dir`, in which there is a directory `data`.
fn start(dir: &Path, may_mount: bool, script: &str) -> Process {
    let mut command = if may_mount {
        let mut unshare = Command::new("unshare");
        unshare.arg("--mount");
        unshare.arg("sh");
        unshare
    } else {
        Command::new("sh")
    };
    let script = format!("{script} && exec \"$0\" --listen 127.0.0.1:0 --data data");
    command.arg("-c").arg(script).arg(binary("standalone"));
    command
        .current_dir(dir)
        .env_clear()
        .env("LOG_FORMAT", "json");
    command.env("PATH", std::env::var_os("PATH").unwrap());
    command.env("RATE_LIMIT_CREATE", "off");
    Process::spawn(dir, "standalone", command)
}

/// Runs a tool on the process.
async fn change(tool: &str, args: &[&str]) {
    let output = Command::new(tool).args(args).output().await.unwrap();
    assert!(output.status.success(), "{tool} {args:?}: {output:?}");
}

/// The token of the demo account, as the process prints it.
fn demo_session(process: &Process) -> String {
    let output = process.output();
    let (_, token) = output.split_once("Session token  ").unwrap();
    token.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_the_service_goes_on_once_there_is_room() {
    let dir = scratch();
    fs::create_dir(dir.path().join("data")).unwrap();
    let may_mount = may_mount(dir.path());
    // Without a file system of its own, no file of the process may be larger than 1 MiB. Then a
    // write fails with EFBIG in place of ENOSPC, because the signal is ignored.
    let limit = "trap '' XFSZ && ulimit -S -f $((1024 * 1024 / 512))";
    tests::report(if may_mount {
        "the disk is a tmpfs of 1 MiB"
    } else {
        "no file system could be mounted, so the size of files is limited"
    });
    let mut process = start(dir.path(), may_mount, if may_mount { TMPFS } else { limit });
    let client = Client::new(&process.url().await).await;
    let session = demo_session(&process);

    // Creates and revokes until nothing more can be written.
    let mut created = 0;
    let last = loop {
        let answer = client.create(&session).await;
        if answer.status != 201 {
            break answer;
        }
        created += 1;
        let revoked = client.revoke(&session).await;
        if revoked.status != 200 {
            break revoked;
        }
        assert!(created < 2000, "the disk does not get full");
    };
    last.is_error(503, "unavailable");
    assert!(created > 5, "{created}");
    let shown = client.show(&session).await;
    assert_eq!(shown.status, 200, "reading needs no room: {shown:?}");
    client.create(&session).await;
    assert!(process.is_running());

    let pid = process.id().unwrap().to_string();
    if may_mount {
        let remount = ["-t", &pid, "-m", "mount", "-o", "remount,size=64m"];
        let data = dir.path().join("data");
        change(
            "nsenter",
            &[&remount[..], &[data.to_str().unwrap()]].concat(),
        )
        .await;
    } else {
        change("prlimit", &["--pid", &pid, "--fsize=unlimited"]).await;
    }
    // The key that was answered with 201 is still there, and no other.
    let again = client.show(&session).await;
    assert_eq!(again.body["prefix"], shown.body["prefix"]);
    // Revoking what is not there rolls back, on each connection to the file.
    for _ in 0..12 {
        assert_eq!(client.revoke(&session).await.status, 200);
    }
    let key = client.create(&session).await.text("api_key");
    let shown = || async { client.show(&session).await.body };
    let ready = |shown: &Value| shown["has_webhook"] == true;
    eventually("the webhooks are ready", SOON, shown, ready).await;
    assert_eq!(client.portal(&key).await.status, 200);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named_at_the_start() {
    let dir = scratch();
    fs::create_dir(dir.path().join("data")).unwrap();
    let may_mount = may_mount(dir.path());
    // Root may write wherever the file system lets it.
    let script = if may_mount {
        format!("{TMPFS} && mount -o remount,ro data")
    } else {
        "chmod 500 data".to_owned()
    };
    let (status, output, log) = start(dir.path(), may_mount, &script).run().await;
    assert_eq!((status.code(), &*output), (Some(1), ""), "{log}");
    assert!(
        log.contains("DATA_DIR: cannot keep the database in data"),
        "{log}"
    );
    let reason = log.contains("Read-only file system") || log.contains("Permission denied");
    assert!(reason, "{log}");
}

#[tokio::test]
async fn a_damaged_file_is_named_at_the_start_with_what_to_do() {
    let dir = scratch();
    let standalone = Standalone::start(dir.path()).await;
    let jo = standalone.session("jo").await;
    assert_eq!(standalone.client.create(&jo).await.status, 201);
    standalone.stop().await;
    let file = dir.path().join("data/partner-keys.db");
    // All data is in the file once nobody uses it.
    let close = || close_log(&file);
    eventually("the log is closed", SOON, close, Result::is_ok)
        .await
        .unwrap();
    let whole = fs::read(&file).unwrap();
    let mut holed = whole.clone();
    holed[4096..].fill(0xa5);
    let mut text = whole.clone();
    text[..4096].fill(b'x');
    for damaged in [&holed, &text] {
        let _ = fs::remove_file(format!("{}-wal", file.display()));
        fs::write(&file, damaged).unwrap();
        let data = dir.path().join("data").to_str().unwrap().to_owned();
        let args = ["--listen", "127.0.0.1:0", "--data", &data];
        let start = Process::start(dir.path(), "standalone", &args, &[]);
        let (status, output, log) = start.run().await;
        assert_eq!((status.code(), &*output), (Some(1), ""), "{log}");
        assert!(log.contains("the file is damaged: move it away"), "{log}");
        assert!(log.contains(&data) && !log.contains("panicked"), "{log}");
    }
}
