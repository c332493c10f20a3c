//! What the generated clients check in a response. The guide has a table of it.

/// What a client does with a value that the document does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// The response is an error.
    Rejects,
    /// The program gets the value, or what the client has made of it.
    Accepts,
}
use Reaction::{Accepts, Rejects};

/// What some clients check. They have one row in the guide.
pub struct Checks {
    /// The name of the row.
    pub row: &'static str,
    /// The folders of the clients.
    pub clients: &'static [&'static str],
    /// What they do with a text in place of a boolean.
    pub other_type: Reaction,
    /// What they do with a new value of an enumeration.
    pub new_value: Reaction,
}

const fn row(
    row: &'static str,
    clients: &'static [&'static str],
    other_type: Reaction,
    new_value: Reaction,
) -> Checks {
    Checks {
        row,
        clients,
        other_type,
        new_value,
    }
}

/// The rows of the table.
#[rustfmt::skip]
pub static CHECKS: [Checks; 10] = [
    row("openapi-typescript, hey-api", &["typescript-openapi-fetch", "typescript-hey-api"], Accepts, Accepts),
    row("typescript-fetch", &["typescript-fetch"], Accepts, Accepts),
    row("typescript-axios", &["typescript-axios"], Accepts, Accepts),
    row("openapi-python-client", &["python"], Accepts, Rejects),
    row("openapi-generator, Python", &["python-openapi-generator"], Rejects, Rejects),
    row("progenitor", &["rust"], Rejects, Rejects),
    row("Java", &["java"], Rejects, Rejects),
    row("Go", &["go"], Rejects, Rejects),
    row("Ruby", &["ruby"], Accepts, Rejects),
    row("PHP", &["php"], Accepts, Rejects),
];

/// Returns what this client checks.
pub fn of(client: &str) -> &'static Checks {
    let row = CHECKS.iter().find(|row| row.clients.contains(&client));
    row.unwrap_or_else(|| panic!("CHECKS has no row for {client}"))
}
