//! The steps of a sequence.

use proptest::prelude::*;

/// A step. The numbers `job` and `claim` choose among the existing ones, the newest first.
#[derive(Debug, Clone)]
pub enum Step {
    /// An account creates a key. If `nudged`, the nudge reaches the queue.
    Create { account: u8, nudged: bool },
    /// An account revokes its keys.
    Revoke { account: u8 },
    /// An account replaces its key, which still works for some seconds.
    StartRotation { account: u8, overlap: u64 },
    /// An account ends the key that was replaced.
    FinishRotation { account: u8 },
    /// An account goes back to the key that was replaced.
    CancelRotation { account: u8 },
    /// The portal is asked for with a key that was replaced before it was provisioned.
    Adopt { account: u8 },
    /// A portal link is handed out for the key that was replaced.
    OpenPortal { account: u8 },
    /// The nudge for the account's newest key arrives late.
    Nudge { account: u8 },
    /// Redis delivers a job twice.
    Duplicate { job: u8 },
    /// A worker takes a job.
    Claim { job: u8 },
    /// Somebody plants the job of the next attempt for the account's newest key, due or
    /// not, and a worker takes it at once.
    Plant { account: u8 },
    /// A worker writes a success. It may be late, or the second completion of its claim.
    Succeed { claim: u8 },
    /// A worker whose claim was overtaken by a newer one writes a success.
    SucceedLate,
    /// A worker writes a failure that will be retried.
    Retry { claim: u8, delay: u64 },
    /// A worker writes a permanent failure.
    DeadLetter { claim: u8 },
    /// The database crashes before a claim is on disk. The worker does not know that.
    LoseClaim { claim: u8 },
    /// A worker crashes and never completes its claim.
    Crash { claim: u8 },
    /// Time passes. A lease lasts 60 seconds.
    PassTime { seconds: u64 },
    /// A sweep sends the due rows to the queue.
    Sweep,
    /// Redis loses all its data.
    LoseRedis,
    /// The account's application was deleted from Svix, as a request with its key, or with
    /// the `previous` one, finds. So it is provisioned again.
    Reprovision {
        account: u8,
        previous: bool,
        nudged: bool,
    },
    /// An operator retries the account's key.
    RetryOne { account: u8, nudged: bool },
    /// An operator retries all dead letters.
    RetryDeadLetters { nudged: bool },
    /// An operator retries all waiting rows.
    RetryWaiting { nudged: bool },
}

/// Returns sequences whose events are too rare among random ones to happen in every run.
pub fn rare_sequences() -> [Vec<Step>; 3] {
    use Step::{
        Adopt, CancelRotation, Claim, Create, LoseClaim, PassTime, StartRotation, Succeed,
        SucceedLate, Sweep,
    };
    let create = Create {
        account: 0,
        nudged: true,
    };
    let start = StartRotation {
        account: 0,
        overlap: 60,
    };
    let (claim, succeed) = (Claim { job: 0 }, Succeed { claim: 0 });
    let (over, cancel) = (PassTime { seconds: 61 }, CancelRotation { account: 0 });
    [
        vec![
            create.clone(),
            start.clone(),
            claim.clone(),
            succeed,
            Adopt { account: 0 },
        ],
        vec![
            create.clone(),
            claim.clone(),
            LoseClaim { claim: 0 },
            Sweep,
            claim,
            SucceedLate,
        ],
        vec![create, start, over, cancel],
    ]
}

/// Returns a strategy that generates any step.
pub fn any() -> impl Strategy<Value = Step> {
    use Step::{
        Adopt, CancelRotation, Claim, Crash, Create, DeadLetter, Duplicate, FinishRotation,
        LoseClaim, LoseRedis, Nudge, OpenPortal, PassTime, Plant, Reprovision, Retry,
        RetryDeadLetters, RetryOne, RetryWaiting, Revoke, StartRotation, Succeed, SucceedLate,
        Sweep,
    };
    let account = || 0..3_u8;
    let which = || 0..4_u8;
    let nudged = proptest::bool::weighted(0.7);
    prop_oneof![
        8 => (account(), nudged).prop_map(|(account, nudged)| Create { account, nudged }),
        5 => account().prop_map(|account| Revoke { account }),
        6 => (account(), 0..=300_u64).prop_map(|(account, overlap)| StartRotation { account, overlap }),
        2 => account().prop_map(|account| FinishRotation { account }),
        3 => account().prop_map(|account| CancelRotation { account }),
        4 => account().prop_map(|account| Adopt { account }),
        2 => account().prop_map(|account| OpenPortal { account }),
        2 => account().prop_map(|account| Nudge { account }),
        4 => which().prop_map(|job| Duplicate { job }),
        16 => which().prop_map(|job| Claim { job }),
        6 => account().prop_map(|account| Plant { account }),
        8 => which().prop_map(|claim| Succeed { claim }),
        6 => Just(SucceedLate),
        6 => (which(), 0..=3600_u64).prop_map(|(claim, delay)| Retry { claim, delay }),
        3 => which().prop_map(|claim| DeadLetter { claim }),
        3 => which().prop_map(|claim| LoseClaim { claim }),
        3 => which().prop_map(|claim| Crash { claim }),
        8 => (1..=90_u64).prop_map(|seconds| PassTime { seconds }),
        2 => (600..=3600_u64).prop_map(|seconds| PassTime { seconds }),
        10 => Just(Sweep),
        2 => Just(LoseRedis),
        3 => (account(), proptest::bool::ANY, nudged).prop_map(|(account, previous, nudged)| Reprovision {
            account,
            previous,
            nudged,
        }),
        3 => (account(), nudged).prop_map(|(account, nudged)| RetryOne { account, nudged }),
        1 => nudged.prop_map(|nudged| RetryDeadLetters { nudged }),
        1 => nudged.prop_map(|nudged| RetryWaiting { nudged }),
    ]
}
