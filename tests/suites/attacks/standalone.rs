//! `standalone` on a machine with other users.

use std::os::unix::fs::PermissionsExt;

use tests::{Deployment, Process};

#[tokio::test]
async fn other_users_read_nothing_of_the_data() {
    let deployment = Deployment::embedded(&[]).await;
    let session = deployment.session().await;
    assert_eq!(deployment.client.create(&session).await.status, 201);
    let data = deployment.dir().join("data");
    let mode = |path: &std::path::Path| {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        mode & 0o777
    };
    assert_eq!(mode(&data), 0o700);
    let files = std::fs::read_dir(&data).unwrap();
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

/// An older version created them for all.
#[tokio::test]
async fn files_of_an_older_version_are_taken_from_other_users() {
    let dir = tests::scratch();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, PermissionsExt::from_mode(0o755)).unwrap();
    let old = data.join("partner-keys.db");
    std::fs::write(&old, "").unwrap();
    std::fs::set_permissions(&old, PermissionsExt::from_mode(0o644)).unwrap();
    let args = ["--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()];
    let mut standalone = Process::start(dir.path(), "standalone", &args, &[]);
    standalone.url().await;
    let mode = std::fs::metadata(&old).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(standalone.log().contains("other users can enter DATA_DIR"));
}

#[tokio::test]
async fn the_documentation_page_can_be_left_out() {
    let deployment = Deployment::embedded(&[("DOCS", "off".to_owned())]).await;
    assert_eq!(deployment.probe("/docs").await.0, 404);
    let with = Deployment::embedded(&[]).await;
    let docs = tests::http::get(format!("{}/docs", with.client.base())).await;
    assert_eq!(docs.unwrap().status(), 200);
}
