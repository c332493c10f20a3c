use std::net::SocketAddr;

use clap::Args;

use super::secret::read_secret;
use super::{Checker, Invalid};
use crate::secret_hash::SecretHash;

/// The part of `--help` about the internal listener's secret.
pub const INTERNAL_HELP: &str = "\
  INTERNAL_TOKEN  Token of the services that may introspect keys, at INTERNAL_ADDR: at least 32 characters; two, separated by a comma, while it is rotated; or its file: INTERNAL_TOKEN_FILE";

/// The shortest token, in characters. 16 random bytes in hex are as long.
const MIN_TOKEN: usize = 32;

/// The flags of the listener for the platform's other services.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Key checks for other services")]
pub struct InternalArgs {
    /// Address for introspection and forward auth, which must not be reachable from
    /// outside [default: none]
    #[arg(long, env = "INTERNAL_ADDR", value_name = "ADDR")]
    pub internal_addr: Option<String>,
}

/// The settings of the internal listener.
#[derive(Debug, Clone)]
pub struct InternalConfig {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The hashes of the tokens that services authenticate with: one, or two while the
    /// token is rotated.
    pub tokens: Vec<SecretHash>,
}

impl InternalArgs {
    /// Returns the number of listeners for clients: the public one, and the internal one if there
    /// is one.
    pub fn listeners(&self) -> usize {
        let address = self.internal_addr.as_deref().unwrap_or_default();
        if address.is_empty() { 1 } else { 2 }
    }

    /// Checks the settings. Returns `None` without an address.
    pub fn check(&self, checker: &mut Checker) -> Result<Option<InternalConfig>, Invalid> {
        let expected = "an address and a port, for instance 10.0.0.5:8090";
        let listen = checker
            .setting("INTERNAL_ADDR", self.internal_addr.as_deref(), expected)
            .optional(|text| text.parse().ok());
        let tokens = read_secret(checker, "INTERNAL_TOKEN").and_then(|tokens| {
            let expected = "one token of at least 32 printable characters, or two separated by a \
                            comma, because INTERNAL_ADDR is set";
            let tokens = checker.secret("INTERNAL_TOKEN", tokens.as_ref(), expected);
            match listen {
                Ok(Some(_)) => tokens.required(hashes),
                Ok(None) | Err(Invalid) => Ok(Vec::new()),
            }
        });
        let (listen, tokens) = (listen?, tokens?);
        Ok(listen.map(|listen| InternalConfig { listen, tokens }))
    }
}

/// Returns the hashes of one or two tokens.
fn hashes(text: &str) -> Option<Vec<SecretHash>> {
    let is_valid = |token: &str| {
        token.len() >= MIN_TOKEN && token.bytes().all(|b| b.is_ascii_graphic() && b != b',')
    };
    let tokens: Vec<&str> = text.split(',').collect();
    let all_valid = tokens.len() <= 2 && tokens.iter().all(|token| is_valid(token));
    let hash = |token: &&str| SecretHash::of(token.as_bytes());
    all_valid.then(|| tokens.iter().map(hash).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_two_long_tokens_are_valid() {
        let (one, two) = ("a".repeat(32), "b".repeat(40));
        assert_eq!(hashes(&one), Some(vec![SecretHash::of(one.as_bytes())]));
        assert_eq!(hashes(&format!("{one},{two}")).unwrap().len(), 2);
        for invalid in [
            String::new(),
            "a".repeat(31),
            format!("{one},"),
            format!("{one}, {two}"),
            format!("{one},{two},{one}"),
            format!("{one}\n"),
        ] {
            assert_eq!(hashes(&invalid), None, "{invalid}");
        }
    }
}
