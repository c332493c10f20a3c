//! Malformed jobs in Redis do not stop the queue permanently.

use std::time::Duration;

use super::queue_test::{ACTIVE, DATA, META, QueueTest};

/// The deadline for the valid jobs of a round.
const SOON: Duration = Duration::from_secs(20);

/// Puts malformed jobs before and among valid ones. Checks that the valid jobs are done and
/// that no malformed job stays in Redis.
async fn check_queue_continues(test: &QueueTest, malformed: &[&str]) {
    let worker = test.start_worker();
    test.workers(1).await;
    let sweep = test.start_sweep();
    for _ in 0..3 {
        let jobs = test.due_rows(30).await;
        for (i, jobs) in jobs.chunks(10).enumerate() {
            let () = test
                .run_command(&["RPUSH", ACTIVE, malformed[i % malformed.len()]])
                .await;
            test.push(jobs).await;
        }
        test.all_done(SOON).await;
    }
    sweep.stop().await;
    test.holds_only(1).await;
    worker.stop().await;
    test.holds_only(0).await;
}

#[tokio::test]
async fn an_id_without_a_job_does_not_stop_the_queue() {
    let test = QueueTest::start().await;
    check_queue_continues(&test, &["no-such-job", "", "né"]).await;
}

#[tokio::test]
async fn a_job_without_metadata_does_not_stop_the_queue() {
    let test = QueueTest::start().await;
    let () = test.run_command(&["HSET", DATA, "bare", "{}"]).await;
    check_queue_continues(&test, &["bare"]).await;
}

#[tokio::test]
async fn a_job_of_another_shape_does_not_stop_the_queue() {
    let test = QueueTest::start().await;
    let meta = ["attempts", "0", "max_attempts", "1", "status", "Pending"];
    for (id, data) in [("text", "not JSON"), ("number", "7"), ("empty", "{}")] {
        let () = test.run_command(&["HSET", DATA, id, data]).await;
        let key = format!("{META}:{id}");
        let () = test
            .run_command(&[&["HSET", &*key], &meta[..]].concat())
            .await;
    }
    check_queue_continues(&test, &["text", "number", "empty"]).await;
}
