//! What apalis-redis does to a queue out of the box, and that ours does not: the
//! rows of docs/decisions/0002, against a private Redis, the real store and the
//! Svix simulator, with the worker's own loop in this process.

mod delivery;
mod depth;
mod garbage;
mod memory;
mod names;
mod rig;
