//! The commands of the `worker` binary, one file each.

mod doctor;
mod retry;
mod status;
mod work;

pub use doctor::{DoctorArgs, doctor};
pub use retry::{RetryArgs, retry};
pub use status::{StatusArgs, status};
pub use work::{WorkArgs, work};
