use rand::{TryRng, rngs::SysRng};
use secrecy::SecretString;
use zeroize::Zeroizing;

/// The number of random bytes in a generated secret: 256 bits, the length of the
/// SHA-256 that is stored of it.
pub const RANDOM_BYTES: usize = 32;

/// Generates a secret: `prefix` and [`RANDOM_BYTES`] bytes from the operating
/// system's random generator, in lowercase hex.
///
/// Fails only if the operating system cannot provide random bytes.
pub fn generate(prefix: &str) -> Result<SecretString, rand::rngs::SysError> {
    let mut random = Zeroizing::new([0_u8; RANDOM_BYTES]);
    SysRng.try_fill_bytes(random.as_mut())?;
    let hex = Zeroizing::new(hex::encode(random.as_ref()));

    // With the exact capacity the text is never moved, so no copy is left behind.
    let mut text = String::with_capacity(prefix.len() + hex.len());
    text.push_str(prefix);
    text.push_str(&hex);
    Ok(SecretString::from(text))
}
