//! Request coalescing: one statement for all that is asked at the same time.
//!
//! A task takes whatever has arrived, runs one statement for all of it, and hands out the
//! results. While it is busy, the next batch gathers. A lone request waits for nobody,
//! and nothing is cached: a statement starts only after the requests in it have arrived.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::metrics::{Failure, Operation};
use crate::trace;

/// The number of requests in one batch.
const MAX_BATCH: usize = 256;

/// The number of requests that wait for the next batch. More have to wait for room.
const MAX_WAITING: usize = 4 * MAX_BATCH;

/// The time for which a caller waits for its answer. It is that of a statement, also for what
/// is asked of Redis.
const DEADLINE: Duration = crate::store::DEADLINE;

/// The work of a batch.
#[async_trait]
pub trait Batch: Send + Sync + 'static {
    /// What a batch does, for the metrics.
    const OPERATION: Operation;
    /// What is asked.
    type Question: Clone + Send + Sync + 'static;
    /// What is answered.
    type Answer: Send + 'static;
    /// The reason why there is no answer.
    type Error: BatchError;

    /// Gets ready to answer. It may take time, in which some callers may give up: their
    /// questions are dropped then.
    async fn prepare(&self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Answers all questions, in their order.
    async fn run(&self, questions: &[Self::Question]) -> Result<Vec<Self::Answer>, Self::Error>;
}

/// The error of a batch, which all who are in the batch get.
pub trait BatchError: Failure + Clone + Send + 'static {
    /// Returns the error of a caller who has waited too long.
    fn timed_out() -> Self;

    /// Returns whether one of the questions may have caused it. Then each is asked alone.
    fn may_be_a_questions_fault(&self) -> bool;
}

type Asked<B> = (
    <B as Batch>::Question,
    oneshot::Sender<Result<<B as Batch>::Answer, <B as Batch>::Error>>,
);

/// Collects requests into batches. Its task ends when it is dropped.
pub struct Coalescer<B: Batch> {
    asked: mpsc::Sender<Asked<B>>,
}

impl<B: Batch> Clone for Coalescer<B> {
    fn clone(&self) -> Self {
        Self {
            asked: self.asked.clone(),
        }
    }
}

impl<B: Batch> Coalescer<B> {
    /// Starts the task that runs the batches.
    pub fn start(batch: B) -> Self {
        let (asked, questions) = mpsc::channel(MAX_WAITING);
        tokio::spawn(answer_all(Arc::new(batch), questions));
        Self { asked }
    }

    /// Returns the answer to a question. Fails with [`BatchError::timed_out`] if it does
    /// not come in time.
    pub async fn ask(&self, question: B::Question) -> Result<B::Answer, B::Error> {
        let span = trace::query(B::OPERATION);
        let (reply, answer) = oneshot::channel();
        let answered = async {
            // The task ends only by a panic, which is a defect and was logged.
            self.asked.send((question, reply)).await.ok()?;
            answer.await.ok()
        };
        let answer = match timeout(DEADLINE, answered).await {
            Ok(Some(answer)) => answer,
            Ok(None) | Err(_) => Err(BatchError::timed_out()),
        };
        if let Err(error) = &answer {
            trace::failed(&span, error.error_type());
        }
        answer
    }
}

async fn run<B: Batch>(batch: &B, questions: &[B::Question]) -> Result<Vec<B::Answer>, B::Error> {
    B::OPERATION.has_size(questions.len());
    B::OPERATION.measure(batch.run(questions)).await
}

async fn answer_all<B: Batch>(batch: Arc<B>, mut asked: mpsc::Receiver<Asked<B>>) {
    let mut taken = Vec::with_capacity(MAX_BATCH);
    while asked.recv_many(&mut taken, MAX_BATCH).await > 0 {
        let ready = batch.prepare().await;
        // Those who have given up need no answer.
        taken.retain(|(_, reply)| !reply.is_closed());
        if let Err(error) = ready {
            for (_, reply) in taken.drain(..) {
                let _ = reply.send(Err(error.clone()));
            }
        }
        let (questions, replies): (Vec<_>, Vec<_>) = taken.drain(..).unzip();
        if questions.is_empty() {
            continue;
        }
        match run(&*batch, &questions).await {
            Ok(answers) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    let _ = reply.send(Ok(answer));
                }
            }
            // One question may be at fault, so that each is asked alone.
            Err(error) if error.may_be_a_questions_fault() && questions.len() > 1 => {
                for (question, reply) in questions.into_iter().zip(replies) {
                    if reply.is_closed() {
                        continue;
                    }
                    let alone = run(&*batch, std::slice::from_ref(&question)).await;
                    let answer = alone.map(|answers| answers.into_iter().next());
                    if let Some(answer) = answer.transpose() {
                        let _ = reply.send(answer);
                    }
                }
            }
            Err(error) => {
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    use super::*;
    use crate::store::StoreError;

    /// Doubles numbers, one batch for each permit. Refuses batches with a 13, and fails
    /// while there is a 7.
    #[derive(Clone)]
    struct Doubler {
        permits: Arc<Semaphore>,
        batches: Arc<Mutex<Vec<usize>>>,
        /// While this is locked, no batch can get ready.
        unready: Arc<tokio::sync::Mutex<()>>,
    }

    #[async_trait]
    impl Batch for Doubler {
        const OPERATION: Operation = Operation {
            system: "none",
            summary: "BATCH double",
        };
        type Question = u32;
        type Answer = u32;
        type Error = StoreError;

        async fn prepare(&self) -> Result<(), StoreError> {
            drop(self.unready.lock().await);
            Ok(())
        }

        async fn run(&self, questions: &[u32]) -> Result<Vec<u32>, StoreError> {
            self.permits.acquire().await.unwrap().forget();
            self.batches.lock().unwrap().push(questions.len());
            if questions.contains(&13) {
                return Err(sqlx::Error::RowNotFound.into());
            }
            if questions.contains(&7) {
                return Err(sqlx::Error::PoolTimedOut.into());
            }
            Ok(questions.iter().map(|n| n * 2).collect())
        }
    }

    fn doubler(permits: usize) -> (Doubler, Coalescer<Doubler>) {
        let doubler = Doubler {
            permits: Arc::new(Semaphore::new(permits)),
            batches: Arc::default(),
            unready: Arc::default(),
        };
        (doubler.clone(), Coalescer::start(doubler))
    }

    /// Asks all at once, while the first batch waits for its permit.
    async fn ask_all(
        doubler: &Doubler,
        coalescer: &Coalescer<Doubler>,
        questions: impl IntoIterator<Item = u32>,
    ) -> Vec<(u32, Result<u32, StoreError>)> {
        let mut asked = JoinSet::new();
        for question in questions {
            let coalescer = coalescer.clone();
            asked.spawn(async move { (question, coalescer.ask(question).await) });
        }
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await; // paused time: all have asked
        doubler.permits.add_permits(1000);
        let mut answers = asked.join_all().await;
        answers.sort_by_key(|(question, _)| *question);
        answers
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_arrive_while_a_batch_runs_are_the_next_one() {
        let (doubler, coalescer) = doubler(0);
        let answers = ask_all(&doubler, &coalescer, 100..400).await;
        for (question, answer) in answers {
            assert_eq!(answer.unwrap(), 2 * question);
        }
        let batches = doubler.batches.lock().unwrap().clone();
        assert_eq!(batches.iter().sum::<usize>(), 300);
        assert!(batches.len() <= 4, "{batches:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_request_waits_for_nobody() {
        let (doubler, coalescer) = doubler(1);
        let started = tokio::time::Instant::now();
        assert_eq!(coalescer.ask(4).await.unwrap(), 8);
        assert_eq!(started.elapsed(), Duration::ZERO);
        assert_eq!(*doubler.batches.lock().unwrap(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_callers_fault_is_no_others() {
        let (doubler, coalescer) = doubler(0);
        for (question, answer) in ask_all(&doubler, &coalescer, 10..20).await {
            assert_eq!(answer.is_ok(), question != 13, "{question}: {answer:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_told_to_all_of_its_batch_at_once() {
        let (doubler, coalescer) = doubler(1);
        assert!(coalescer.ask(7).await.unwrap_err().is_transient());
        doubler.permits.add_permits(1);
        assert_eq!(
            coalescer.ask(8).await.unwrap(),
            16,
            "the next batch is another"
        );
    }

    /// Otherwise a key could be created after its creation was answered with an error.
    #[tokio::test(start_paused = true)]
    async fn nothing_is_run_for_a_caller_who_gave_up_before_it_began() {
        let (doubler, coalescer) = doubler(2);
        let unready = doubler.unready.lock().await;
        let answer = coalescer.ask(1).await;
        assert!(matches!(answer, Err(StoreError::TimedOut)), "{answer:?}");
        drop(unready);
        assert_eq!(coalescer.ask(2).await.unwrap(), 4);
        assert_eq!(*doubler.batches.lock().unwrap(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_the_deadline() {
        let (doubler, coalescer) = doubler(0);
        let started = tokio::time::Instant::now();
        let answer = coalescer.ask(1).await;
        assert!(matches!(answer, Err(StoreError::TimedOut)), "{answer:?}");
        assert_eq!(started.elapsed(), DEADLINE);
        // Nobody wants that answer any more, and the next is not delayed by it.
        doubler.permits.add_permits(2);
        assert_eq!(coalescer.ask(2).await.unwrap(), 4);
    }
}
