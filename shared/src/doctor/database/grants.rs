//! The privileges that each part of the service needs: those of `deploy/postgres/roles.sql`,
//! with which all suites run.

const ROLES: &str = include_str!("../../../../deploy/postgres/roles.sql");

/// A privilege on a table or on one of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) table: String,
    /// Empty: the whole table.
    pub(super) column: String,
    /// `SELECT`, `INSERT`, `UPDATE` or `DELETE`.
    pub(super) privilege: String,
}

/// Returns the privileges on tables that the script grants to the role.
pub(super) fn of(role: &str) -> Vec<Grant> {
    parse(ROLES, role)
}

fn parse(script: &str, role: &str) -> Vec<Grant> {
    let code = script
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"));
    let code = code.collect::<Vec<_>>().join(" ");
    let statements = code.split(';').map(|statement| {
        let words: Vec<&str> = statement.split_whitespace().collect();
        words.join(" ")
    });
    statements
        .flat_map(|statement| grants(&statement, role).unwrap_or_default())
        .collect()
}

/// Reads one statement. Returns `None` if it is no grant of this role on tables.
fn grants(statement: &str, role: &str) -> Option<Vec<Grant>> {
    let (what, to) = statement.strip_prefix("GRANT ")?.split_once(" TO ")?;
    let (privileges, tables) = what.split_once(" ON ")?;
    if tables.starts_with("SCHEMA ") || !to.split(',').any(|one| one.trim() == role) {
        return None;
    }
    let tables: Vec<&str> = tables.split(',').map(str::trim).collect();
    let mut found = Vec::new();
    for (privilege, columns) in with_columns(privileges) {
        for table in &tables {
            found.extend(columns.iter().map(|column| Grant {
                table: (*table).to_owned(),
                column: (*column).to_owned(),
                privilege: privilege.to_owned(),
            }));
        }
    }
    Some(found)
}

/// Splits `SELECT (a, b), INSERT` into each privilege and its columns, one empty one for the
/// whole table.
fn with_columns(privileges: &str) -> Vec<(&str, Vec<&str>)> {
    let mut found = Vec::new();
    let mut rest = privileges;
    while !rest.is_empty() {
        let end = rest.find([',', '(']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let columns = after
            .strip_prefix('(')
            .and_then(|after| after.split_once(')'));
        let (columns, after) = match columns {
            Some((columns, after)) => (columns.split(',').map(str::trim).collect(), after),
            None => (vec![""], after),
        };
        found.push((name.trim(), columns));
        rest = after.trim_start_matches([',', ' ']);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grants_of_a_role_are_read_from_the_script() {
        let script = "
            -- GRANT DELETE ON a TO x;
            GRANT USAGE ON SCHEMA public TO x, y;
            GRANT SELECT (c, d),
                  UPDATE
                ON a TO x;
            GRANT INSERT ON a, b TO y, x;
            GRANT DELETE ON b TO y;
            REVOKE ALL ON a FROM x;";
        let shown: Vec<String> = parse(script, "x")
            .iter()
            .map(|grant| format!("{} {}.{}", grant.privilege, grant.table, grant.column))
            .collect();
        let expected = [
            "SELECT a.c",
            "SELECT a.d",
            "UPDATE a.",
            "INSERT a.",
            "INSERT b.",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn the_script_grants_each_program_what_it_needs() {
        for role in ["partner_keys_api", "partner_keys_worker"] {
            let grants = of(role);
            assert!(grants.iter().any(|grant| grant.table == "api_partners"));
            assert!(grants.iter().any(|grant| grant.table == "api_key_events"));
            let verbs = ["SELECT", "INSERT", "UPDATE", "DELETE"];
            for grant in grants {
                assert!(verbs.contains(&&*grant.privilege), "{grant:?}");
                let is_name =
                    |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                assert!(is_name(&grant.table) && is_name(&grant.column), "{grant:?}");
            }
        }
        assert_eq!(of("nobody"), []);
    }
}
