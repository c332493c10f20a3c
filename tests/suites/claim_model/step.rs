//! What may happen.

use proptest::prelude::*;

/// One thing that happens. Numbers choose among what is there, the newest first.
#[derive(Debug, Clone)]
pub enum Step {
    /// An account mints a key; the nudge gets through, or not.
    Mint { account: u8, nudged: bool },
    /// An account revokes its key.
    Revoke { account: u8 },
    /// A nudge comes late: that of the account's newest key.
    Nudge { account: u8 },
    /// Redis delivers a job twice.
    Duplicate { job: u8 },
    /// A worker takes a job.
    Claim { job: u8 },
    /// A worker writes a success. Perhaps late, perhaps once more.
    Succeed { claim: u8 },
    /// A worker writes a failure that may pass.
    Fail { claim: u8, delay: u64 },
    /// A worker writes a failure for good.
    GiveUp { claim: u8 },
    /// A worker dies with its claim.
    Crash { claim: u8 },
    /// Time passes, in seconds: a lease is 60.
    Pass { seconds: u64 },
    /// What is due goes to the queue.
    Sweep,
    /// Redis loses everything.
    LoseRedis,
    /// The account's application is gone from Svix.
    Reprovision { account: u8, nudged: bool },
    /// An operator retries the account's key.
    RetryOne { account: u8, nudged: bool },
    /// An operator retries all dead letters.
    RetryFailed { nudged: bool },
    /// An operator retries all that waits.
    RetryWaiting { nudged: bool },
}

pub fn any() -> impl Strategy<Value = Step> {
    use Step::{
        Claim, Crash, Duplicate, Fail, GiveUp, LoseRedis, Mint, Nudge, Pass, Reprovision,
        RetryFailed, RetryOne, RetryWaiting, Revoke, Succeed, Sweep,
    };
    let account = || 0..3_u8;
    let which = || 0..4_u8;
    let nudged = proptest::bool::weighted(0.7);
    prop_oneof![
        8 => (account(), nudged).prop_map(|(account, nudged)| Mint { account, nudged }),
        3 => account().prop_map(|account| Revoke { account }),
        2 => account().prop_map(|account| Nudge { account }),
        4 => which().prop_map(|job| Duplicate { job }),
        16 => which().prop_map(|job| Claim { job }),
        5 => which().prop_map(|claim| Succeed { claim }),
        6 => (which(), 0..=3600_u64).prop_map(|(claim, delay)| Fail { claim, delay }),
        3 => which().prop_map(|claim| GiveUp { claim }),
        3 => which().prop_map(|claim| Crash { claim }),
        8 => (1..=90_u64).prop_map(|seconds| Pass { seconds }),
        2 => (600..=3600_u64).prop_map(|seconds| Pass { seconds }),
        10 => Just(Sweep),
        2 => Just(LoseRedis),
        3 => (account(), nudged).prop_map(|(account, nudged)| Reprovision { account, nudged }),
        3 => (account(), nudged).prop_map(|(account, nudged)| RetryOne { account, nudged }),
        1 => nudged.prop_map(|nudged| RetryFailed { nudged }),
        1 => nudged.prop_map(|nudged| RetryWaiting { nudged }),
    ]
}
