//! Files with keys in them, as keys leak, and files with what only looks like a key.

use std::collections::BTreeSet;

use shared::key::PartnerKey;
use tempfile::TempDir;

/// Found keys: the file's name, and the key.
pub(super) type Findings = BTreeSet<(String, String)>;

/// A folder of files, some of which have keys in them.
pub(super) struct Samples {
    pub(super) dir: TempDir,
    /// The keys, in plain text.
    pub(super) keys: Findings,
}

impl Samples {
    pub(super) fn new() -> Self {
        let (dir, keys) = (tests::scratch(), Findings::new());
        let mut samples = Self { dir, keys };
        samples.write_keys();
        samples.write_others();
        samples
    }

    /// Writes a file, in which `KEY` stands for a new key.
    fn with_keys(&mut self, name: &str, template: &str) {
        let mut pieces = template.split("KEY");
        let mut text = pieces.next().unwrap().to_owned();
        for piece in pieces {
            let key = new_key();
            text += &key;
            text += piece;
            self.keys.insert((name.to_owned(), key));
        }
        self.without_keys(name, &text);
    }

    pub(super) fn without_keys(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn write_keys(&mut self) {
        self.with_keys("settings.env", "PORT=8080\nPARTNER=KEY\nDEBUG=0\n");
        self.with_keys("settings.yaml", "partner: KEY # live\n");
        self.with_keys("client.py", "client = Client(\"KEY\")\n");
        self.with_keys("client.ts", "const client = new Client('KEY');\n");
        self.with_keys("url.txt", "https://a.example/?token=KEY&page=2\n");
        self.with_keys("encoded.txt", "/search?q=Bearer%20KEY%0A&page=2\n");
        self.with_keys("data.json", r#"{"partner":{"auth":"KEY"}}"#);
        self.with_keys("escaped.json", r#"{"text":"first\nKEY\nlast"}"#);
        self.with_keys("service.log", "INFO request: Bearer KEY status=200\n");
        self.with_keys("request.sh", "curl -H 'Authorization: Bearer KEY' $URL\n");
        self.with_keys("no-line-break.txt", "KEY");
        self.with_keys("two.csv", "KEY,KEY\r\n");
        self.with_keys("emphasis.md", "The key is _KEY_, or `KEY`.\n");
        self.with_keys("crowded.txt", &"KEY\n".repeat(20));
    }

    fn write_others(&self) {
        let key = new_key();
        let (prefix, hex) = (&key[..24], &key[PartnerKey::PREFIX.len()..]);
        let others = [
            ("prefix.log", prefix.to_owned()),
            (
                "capital-letters.txt",
                format!("pk_live_{}", hex.to_uppercase()),
            ),
            ("a-capital-letter.txt", format!("{}F", &key[..71])),
            ("63-digits.txt", key[..71].to_owned()),
            ("65-digits.txt", format!("{key}0")),
            ("128-digits.txt", format!("{key}{hex}")),
            ("a-letter-behind.txt", format!("{key}z")),
            ("digits.txt", hex.to_owned()),
            ("test-key.txt", format!("pk_test_{hex}")),
            (
                "another-vendor.js",
                format!("pk_live_51H{}", "aZ7kQ".repeat(20)),
            ),
            ("zeros.md", format!("pk_live_{}", "0".repeat(64))),
            ("word.md", format!("pk_live_{}", "deadbeef".repeat(8))),
            (
                "counting.md",
                format!("pk_live_{}", "0123456789abcdef".repeat(4)),
            ),
            ("dots.md", "Authorization: Bearer pk_live_…".to_owned()),
        ];
        for (name, text) in others {
            self.without_keys(name, &format!("value = \"{text}\"\n"));
        }
    }
}

/// Returns a new key, so that no key has to be committed.
pub(super) fn new_key() -> String {
    PartnerKey::generate().unwrap().expose().to_owned()
}
