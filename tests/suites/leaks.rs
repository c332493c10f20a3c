//! Leaked keys: how they are found.

mod scanners;
