//! What apalis-redis does to a queue out of the box, and that ours does not: the
//! rows of docs/decisions/0002, against a private Redis, the real store and the
//! Svix simulator, with the worker's own loop in this process.
#![allow(missing_docs)]

#[path = "queue/delivery.rs"]
mod delivery;
#[path = "queue/depth.rs"]
mod depth;
#[path = "queue/garbage.rs"]
mod garbage;
#[path = "queue/memory.rs"]
mod memory;
#[path = "queue/names.rs"]
mod names;
#[path = "queue/rig.rs"]
mod rig;
