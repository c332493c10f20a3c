//! A core file would hold all that is in memory.

use std::os::unix::process::ExitStatusExt;

use tests::Process;
use tests::process::binary;
use tokio::process::Command;

#[tokio::test]
async fn a_process_leaves_no_core_file_even_where_that_is_allowed() {
    for (name, ready) in [
        ("api", "listening"),
        ("worker", "working"),
        ("standalone", "listening"),
    ] {
        let dir = tests::scratch();
        let mut command = Command::new("sh");
        command.args(["-c", r#"ulimit -c unlimited; exec "$0""#]);
        command.arg(binary(name)).current_dir(dir.path());
        command.env_clear().envs([
            ("DATABASE_URL", "postgres://127.0.0.1:1/none"),
            ("REDIS_URL", "redis://127.0.0.1:1/"),
            ("SVIX_TOKEN", "testsk_none"),
            ("SVIX_SERVER_URL", "http://127.0.0.1:1"),
            ("LISTEN_ADDR", "127.0.0.1:0"),
        ]);
        let mut process = Process::spawn(dir.path(), name, command);
        process.logged(ready).await;
        if cfg!(target_os = "linux") {
            let pid = process.id().unwrap();
            let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            let is_core = |line: &&str| line.starts_with("Max core file size");
            let core = limits.lines().find(is_core).unwrap();
            let core: Vec<&str> = core.split_whitespace().skip(4).collect();
            assert_eq!(core[..2], ["0", "0"], "soft and hard: {limits}");
        }
        process.signal("ABRT");
        let ended = process.ended().await;
        assert_eq!(ended.signal(), Some(6), "{name}: {ended:?}");
        assert!(!ended.core_dumped(), "{name}: {ended:?}");
    }
}
