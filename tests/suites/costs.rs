//! What each operation costs, counted and not timed: the statements and round trips of a
//! request in PostgreSQL, the connections of an api, and the commands and bytes of a job in
//! Redis. The counts do not depend on the machine.

mod connections;
mod jobs;
mod plans;
mod requests;

use std::time::Duration;

/// The deadline for steps whose duration is not tested.
const SOON: Duration = Duration::from_secs(20);

/// The token of the internal listener.
const TOKEN: &str = "internal_token_of_the_suite_costs";
