//! What nobody should have put into Redis does not stop the queue for good.

use std::time::Duration;

use super::rig::{ACTIVE, DATA, META, Rig};

/// How soon the queue must work again.
const SOON: Duration = Duration::from_secs(20);

/// Puts rubbish before and among jobs; these are done, and nothing of it stays.
async fn does_not_stop_the_queue(rig: &Rig, rubbish: &[&str]) {
    let worker = rig.work();
    rig.workers(1).await;
    let sweep = rig.keep_sweeping();
    for _ in 0..3 {
        let jobs = rig.due_rows(30).await;
        for (i, jobs) in jobs.chunks(10).enumerate() {
            let () = rig
                .ask(&["RPUSH", ACTIVE, rubbish[i % rubbish.len()]])
                .await;
            rig.push(jobs).await;
        }
        rig.all_done(SOON).await;
    }
    sweep.stop().await;
    rig.holds_only(1).await;
    worker.stop().await;
    rig.holds_only(0).await;
}

#[tokio::test]
async fn an_id_without_a_job_does_not_stop_the_queue() {
    let rig = Rig::start().await;
    does_not_stop_the_queue(&rig, &["no-such-job", "", "né"]).await;
}

#[tokio::test]
async fn a_job_without_metadata_does_not_stop_the_queue() {
    let rig = Rig::start().await;
    let () = rig.ask(&["HSET", DATA, "bare", "{}"]).await;
    does_not_stop_the_queue(&rig, &["bare"]).await;
}

#[tokio::test]
async fn a_job_of_another_shape_does_not_stop_the_queue() {
    let rig = Rig::start().await;
    let meta = ["attempts", "0", "max_attempts", "1", "status", "Pending"];
    for (id, data) in [("text", "not JSON"), ("number", "7"), ("empty", "{}")] {
        let () = rig.ask(&["HSET", DATA, id, data]).await;
        let key = format!("{META}:{id}");
        let () = rig.ask(&[&["HSET", &*key], &meta[..]].concat()).await;
    }
    does_not_stop_the_queue(&rig, &["text", "number", "empty"]).await;
}
