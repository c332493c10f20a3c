//! What the `worker` binary can be asked to do, one file a command.

mod retry;
mod status;
mod work;

pub use retry::{RetryArgs, retry};
pub use status::{StatusArgs, status};
pub use work::{WorkArgs, work};
