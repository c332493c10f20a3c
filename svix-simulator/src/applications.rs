//! The applications: one for each uid, for good.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{fs, io};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::lock;

/// The longest uid that Svix takes, in bytes.
const MAX_UID: usize = 256;

/// An application as Svix keeps it and answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// `app_` and 27 letters and digits, chosen by Svix.
    pub id: String,
    /// The name chosen by the caller that stands for the id in every path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// For people to read.
    pub name: String,
    /// Messages a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle_rate: Option<u16>,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
    /// What the caller attached.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// The body of a create.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApplicationIn {
    name: String,
    uid: Option<String>,
    throttle_rate: Option<u16>,
    metadata: Option<BTreeMap<String, String>>,
}

impl ApplicationIn {
    /// The field that Svix would refuse, and why.
    pub(super) fn invalid_field(&self) -> Option<(&'static str, &'static str)> {
        if self.name.is_empty() {
            return Some(("name", "Application names must be at least one character"));
        }
        if self.throttle_rate == Some(0) {
            return Some(("throttleRate", "Application rate limits must be at least 1"));
        }
        let uid = self.uid.as_deref()?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if uid.is_empty() || !uid.bytes().all(allowed) {
            return Some((
                "uid",
                "String must match the following pattern: [a-zA-Z0-9\\-_.]+.",
            ));
        }
        if uid.len() > MAX_UID {
            return Some(("uid", "String too long. Max 256 characters."));
        }
        if uid.starts_with("app_") {
            return Some(("uid", "IDs are not allowed to have a prefix of \"app_\"."));
        }
        None
    }
}

/// What a create found.
pub(super) enum Created {
    New(Application),
    Existing(Application),
}

#[derive(Default)]
struct Kept {
    list: Vec<Application>,
    /// Positions in `list` by id and by uid: no uid begins as ids do.
    index: HashMap<String, usize>,
}

impl Kept {
    fn push(&mut self, application: Application) {
        let position = self.list.len();
        self.index.insert(application.id.clone(), position);
        if let Some(uid) = application.uid.clone() {
            self.index.insert(uid, position);
        }
        self.list.push(application);
    }

    fn find(&self, id_or_uid: &str) -> Option<&Application> {
        self.index.get(id_or_uid).map(|&at| &self.list[at])
    }
}

/// The applications, in memory and perhaps in a file.
pub(super) struct Applications {
    /// Held while the file is written, and the write never yields: a client
    /// that goes away cannot leave an application in one place and not the other.
    kept: Mutex<Kept>,
    file: Option<PathBuf>,
}

impl Applications {
    pub(super) fn in_memory() -> Self {
        Self {
            kept: Mutex::default(),
            file: None,
        }
    }

    /// Reads the file, if it is there; makes its folder, if that is not.
    pub(super) fn open(file: PathBuf) -> io::Result<Self> {
        let list: Vec<Application> = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut kept = Kept::default();
        for application in list {
            kept.push(application);
        }
        Ok(Self {
            kept: Mutex::new(kept),
            file: Some(file),
        })
    }

    /// Creates the application, or gives the one that has its uid already.
    /// An error is the file's: then nothing was created.
    pub(super) fn create(&self, input: ApplicationIn) -> io::Result<Created> {
        let mut kept = lock(&self.kept);
        if let Some(existing) = input.uid.as_deref().and_then(|uid| kept.find(uid)) {
            return Ok(Created::Existing(existing.clone()));
        }
        let now = now_rfc3339();
        let application = Application {
            id: format!("app_{}", alphanumeric::<27>()),
            uid: input.uid,
            name: input.name,
            throttle_rate: input.throttle_rate,
            created_at: now.clone(),
            updated_at: now,
            metadata: input.metadata.unwrap_or_default(),
        };
        if let Some(file) = &self.file {
            let all: Vec<_> = kept.list.iter().chain([&application]).collect();
            replace(file, &serde_json::to_vec_pretty(&all)?)?;
        }
        kept.push(application.clone());
        Ok(Created::New(application))
    }

    pub(super) fn find(&self, id_or_uid: &str) -> Option<Application> {
        lock(&self.kept).find(id_or_uid).cloned()
    }

    pub(super) fn all(&self) -> Vec<Application> {
        lock(&self.kept).list.clone()
    }
}

/// Writes beside the file and renames: a reader, or a crash, meets the old
/// content or the new, never a part.
fn replace(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, content)?;
    fs::rename(&beside, file)
}

/// `N` random letters and digits, 32 at most. Random enough for a stand-in:
/// nothing here keeps a secret.
pub(super) fn alphanumeric<const N: usize>() -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let random = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()];
    let bytes = random.as_flattened().iter().take(N);
    bytes
        .map(|&byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]))
        .collect()
}
/// Returns the time now as RFC 3339, as the Svix server writes it.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulator stands outside the service and has no clock to inject"
)]
fn now_rfc3339() -> String {
    OffsetDateTime::now_utc()
        .format(&Rfc3339)
        .unwrap_or_default()
}
