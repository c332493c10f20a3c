//! The secrets of a run, and looking for them.

/// Characters of a secret that are looked for together: few enough to find one
/// that was cut, too many to be there by chance.
const PIECE: usize = 16;

/// The secrets that were in use.
#[derive(Default)]
pub struct Secrets {
    known: Vec<(String, String)>,
    sessions: Vec<String>,
}

impl Secrets {
    /// Notes one.
    pub fn add(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= PIECE, "too short to look for: {name}");
        self.known.push((name.to_owned(), secret.to_owned()));
    }

    /// Notes a partner key; its prefix is no secret.
    pub fn add_key(&mut self, key: &str) {
        self.add("a partner key", &key[24..]);
    }

    /// Notes a session token; what all begin with is no secret.
    pub fn add_session(&mut self, token: &str) {
        self.add("a session token", token.strip_prefix("session_").unwrap());
        self.sessions.push(token.to_owned());
    }

    /// The session tokens noted.
    pub fn sessions(&self) -> &[String] {
        &self.sessions
    }

    /// Checks that no piece of any is there, plain or as libraries print bytes,
    /// nor any other partner key.
    #[track_caller]
    pub fn absent_from(&self, place: &str, bytes: &[u8]) {
        assert!(!self.known.is_empty());
        for (name, secret) in &self.known {
            for piece in secret.as_bytes().chunks_exact(PIECE) {
                let plain = String::from_utf8(piece.to_vec()).unwrap();
                let listed = format!("{piece:?}");
                let listed = listed.trim_matches(['[', ']']).to_owned();
                for form in [plain, hex::encode(piece), listed] {
                    let found = around(bytes, form.as_bytes());
                    assert!(found.is_none(), "{name} is in {place}: {}", found.unwrap());
                }
            }
        }
        // What follows a prefix in a database's file may look like a digit or two.
        let prefix = b"pk_live_";
        let keys = bytes.windows(prefix.len() + PIECE + 8);
        let mut keys = keys.filter(|text| text.starts_with(prefix));
        let more = keys.find(|text| text[prefix.len()..].iter().all(u8::is_ascii_hexdigit));
        let more = more.map(String::from_utf8_lossy);
        assert!(more.is_none(), "more than a prefix is in {place}: {more:?}");
    }
}

/// Whether the bytes have these in them.
pub fn contains(bytes: &[u8], part: &[u8]) -> bool {
    around(bytes, part).is_some()
}

/// Where they are, with what is around them.
fn around(bytes: &[u8], part: &[u8]) -> Option<String> {
    let first = part[0];
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        let at = from + at;
        if bytes[at..].starts_with(part) {
            let shown = &bytes[at.saturating_sub(300)..bytes.len().min(at + 100)];
            return Some(String::from_utf8_lossy(shown).into_owned());
        }
        from = at + 1;
    }
    None
}

#[test]
#[should_panic = "a partner key is in a log"]
fn a_piece_of_a_secret_is_found() {
    let key = format!("pk_live_{}", "0123456789abcdef".repeat(4));
    let mut secrets = Secrets::default();
    secrets.add_key(&key);
    secrets.absent_from("a log", &key.as_bytes()[..24]);
    secrets.absent_from("a log", format!("...{}...", &key[24..45]).as_bytes());
}

#[test]
#[should_panic = "more than a prefix is in a log"]
fn a_key_that_nobody_noted_is_found() {
    let mut secrets = Secrets::default();
    secrets.add("another", "something else altogether");
    secrets.absent_from("a log", b"pk_live_0123456789abcdef 0123456789abcdef");
    secrets.absent_from("a log", b"pk_live_ffff456789abcdef0123456789abcdef");
}
