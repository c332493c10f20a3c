//! The applications. There is at most one for each uid, and none is ever deleted.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::{fs, io};

use rand::distr::{Alphanumeric, SampleString};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::state::lock;

/// The maximum length of a uid in Svix, in bytes.
const MAX_UID: usize = 256;

/// An application, in the JSON format of Svix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Application {
    /// The id that Svix generates: `app_` and 27 letters and digits.
    pub id: String,
    /// The id that the caller chose. It can replace the id in every path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The display name.
    pub name: String,
    /// The maximum number of messages per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle_rate: Option<u16>,
    /// The time of creation: RFC 3339, UTC.
    pub created_at: String,
    /// The time of the last change: RFC 3339, UTC.
    pub updated_at: String,
    /// The metadata that the caller set.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// The request body that creates an application.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApplicationIn {
    name: String,
    uid: Option<String>,
    throttle_rate: Option<u16>,
    metadata: Option<BTreeMap<String, String>>,
}

impl ApplicationIn {
    /// Returns the first field that Svix would refuse, and the error message of Svix.
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

/// The result of creating an application.
pub(super) enum CreateOutcome {
    Created(Application),
    /// An application with the same uid existed. It was not changed.
    Existed(Application),
}

#[derive(Default)]
struct Table {
    list: Vec<Application>,
    /// The positions in `list` by id and by uid. They cannot collide: a uid must not
    /// start with `app_`.
    positions: HashMap<String, usize>,
}

impl Table {
    fn push(&mut self, application: Application) {
        let position = self.list.len();
        self.positions.insert(application.id.clone(), position);
        if let Some(uid) = application.uid.clone() {
            self.positions.insert(uid, position);
        }
        self.list.push(application);
    }

    fn find(&self, id_or_uid: &str) -> Option<&Application> {
        let position = *self.positions.get(id_or_uid)?;
        self.list.get(position)
    }
}

/// The applications in memory, and in the data file if there is one.
pub(super) struct Applications {
    /// The lock is held while the file is written. Writing does not await, so a
    /// client that disconnects cannot make memory and file differ.
    table: Mutex<Table>,
    file: Option<PathBuf>,
}

impl Applications {
    pub(super) fn in_memory() -> Self {
        Self {
            table: Mutex::default(),
            file: None,
        }
    }

    /// Reads the data file if it exists. Creates its directory if necessary.
    pub(super) fn open(file: PathBuf) -> io::Result<Self> {
        let list: Vec<Application> = match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut table = Table::default();
        for application in list {
            table.push(application);
        }
        Ok(Self {
            table: Mutex::new(table),
            file: Some(file),
        })
    }

    /// Creates an application, or returns the existing one with the same uid.
    /// Fails if the data file cannot be written; then nothing was created.
    pub(super) fn create(&self, input: ApplicationIn) -> io::Result<CreateOutcome> {
        let mut table = lock(&self.table);
        if let Some(existing) = input.uid.as_deref().and_then(|uid| table.find(uid)) {
            return Ok(CreateOutcome::Existed(existing.clone()));
        }
        let now = now_rfc3339();
        let random = Alphanumeric.sample_string(&mut rand::rng(), 27);
        let application = Application {
            id: format!("app_{random}"),
            uid: input.uid,
            name: input.name,
            throttle_rate: input.throttle_rate,
            created_at: now.clone(),
            updated_at: now,
            metadata: input.metadata.unwrap_or_default(),
        };
        if let Some(file) = &self.file {
            let all: Vec<_> = table.list.iter().chain([&application]).collect();
            write_atomically(file, &serde_json::to_vec_pretty(&all)?)?;
        }
        table.push(application.clone());
        Ok(CreateOutcome::Created(application))
    }

    pub(super) fn find(&self, id_or_uid: &str) -> Option<Application> {
        lock(&self.table).find(id_or_uid).cloned()
    }

    pub(super) fn all(&self) -> Vec<Application> {
        lock(&self.table).list.clone()
    }
}

/// Writes a temporary file and renames it. Readers, and a restart after a crash of the
/// process, see either the old content or the new content, never a part.
fn write_atomically(file: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = file.as_os_str().to_owned();
    temporary.push(".new");
    fs::write(&temporary, content)?;
    fs::rename(&temporary, file)
}

/// Returns the current time in RFC 3339 format, as in the responses of Svix.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulator is not part of the service and has no injected clock"
)]
pub(super) fn now_rfc3339() -> String {
    OffsetDateTime::now_utc()
        .format(&Rfc3339)
        .unwrap_or_default()
}
