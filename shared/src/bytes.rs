//! Checks of all bytes of a text.

/// Returns whether the condition holds for all bytes of a text.
///
/// Unlike [`Iterator::all`] it does not stop at the first byte for which it does not hold.
/// Without a branch for each byte, the compiler tests many of them at once.
pub fn all(text: &str, condition: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & condition(byte))
}
