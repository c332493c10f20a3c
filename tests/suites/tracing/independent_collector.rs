//! An OpenTelemetry collector that others have written, between the service and ours.

use tests::client::KEY_PATH;
use tests::collector::{self, Mood};
use tests::process::{free_port, listening};
use tests::repository::python_packages;
use tests::{Collector, Deployment, Plan, Process, eventually, scratch};
use tokio::process::Command;

use super::exported_metrics::{creations, provisioned};
use super::{SOON, nudging, span_of};

/// Returns the path of the collector's program, which is beside the code of its package.
fn program() -> std::path::PathBuf {
    let versions = std::fs::read_dir(python_packages("otlp").join("lib")).unwrap();
    let mut programs = versions.map(|version| {
        let packages = version.unwrap().path().join("site-packages");
        packages.join("rotel/rotel-agent")
    });
    programs.find(|program| program.exists()).unwrap()
}

#[tokio::test]
async fn it_takes_all_traces_and_metrics_and_passes_them_on() {
    let ours = Collector::start(Mood::Taking).await;
    let (dir, port, grpc) = (scratch(), free_port(), free_port());
    let mut command = Command::new(program());
    command.env_clear().current_dir(dir.path()).arg("start");
    let address = |port| format!("127.0.0.1:{port}");
    for (option, value) in [
        ("--otlp-http-endpoint", address(port)),
        ("--otlp-grpc-endpoint", address(grpc)),
        ("--exporter", "otlp".to_owned()),
        ("--otlp-exporter-endpoint", ours.url().to_owned()),
        ("--otlp-exporter-protocol", "http".to_owned()),
        ("--pid-file", "collector.pid".to_owned()),
        ("--log-file", "collector.log".to_owned()),
    ] {
        command.args([option, &value]);
    }
    let _collector = Process::spawn(dir.path(), "rotel", command);
    listening(port).await;

    let deployment = Deployment::planned(Plan {
        workers: 1,
        env: collector::env(&format!("http://{}", address(port))),
        ..Plan::default()
    })
    .await;
    let session = deployment.session().await;
    let created = nudging(&deployment, deployment.client.create(&session)).await;
    assert_eq!(created.status, 201);

    let request = span_of(&created, &ours).await;
    let job = ours.span_of(&request.trace, "process job").await;
    let svix = ours
        .span_of(&request.trace, "svix create_application")
        .await;
    assert_eq!(request.name, format!("POST {KEY_PATH}"));
    assert_eq!((&job.parent, &svix.parent), (&request.id, &job.id));
    let counted = || async {
        (
            creations(&ours.metrics("partner-keys-api")),
            provisioned(&ours.metrics("partner-keys-worker")),
        )
    };
    let both = |counted: &(u64, f64)| *counted == (1, 1.0);
    eventually("the metrics are passed on", SOON, counted, both).await;
}
