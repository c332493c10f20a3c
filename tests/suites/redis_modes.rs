//! The ways to run Redis. Whatever it does, no creation fails or waits for it, and every key
//! is provisioned.

mod prefixes;

use std::time::Duration;

/// The deadline for steps whose duration is not tested.
const SOON: Duration = Duration::from_secs(20);
