use std::io::ErrorKind;
use std::net::IpAddr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, PgConnection};
use tokio::time::timeout;

use super::{CONNECTION, TLS};
use crate::config::Pooler;
use crate::doctor::Finding;
use crate::doctor::server_name::judge_exposed;
use crate::doctor::steps::LIMIT;

/// Connects and signs in. An error is the finding.
pub(super) async fn open(options: &PgConnectOptions) -> Result<(PgConnection, Finding), Finding> {
    let server = format!("{}:{}", options.get_host(), options.get_port());
    let user = options.get_username();
    // Without a name, PostgreSQL takes the user's.
    let database = options.get_database().unwrap_or(user);
    match timeout(LIMIT, options.connect()).await {
        Ok(Ok(connection)) => {
            let message = format!("signed in at {server} as {user}, to the database {database}");
            Ok((connection, Finding::ok(CONNECTION, message)))
        }
        Ok(Err(error)) => {
            let message = format!("could not connect to {server} as {user}: {error}");
            Err(Finding::error(CONNECTION, message, remedy(&error)))
        }
        Err(_) => {
            let message = format!("{server} did not answer within {LIMIT:?}");
            let fix = "allow connections from this machine (firewall, NetworkPolicy), or correct \
                       host and port in DATABASE_URL";
            Err(Finding::error(CONNECTION, message, fix))
        }
    }
}

fn remedy(error: &sqlx::Error) -> &'static str {
    let code = match error {
        sqlx::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            return "start PostgreSQL, or correct host and port in DATABASE_URL";
        }
        sqlx::Error::Tls(_) => {
            return "let the server offer TLS with a certificate for this host, and give its CA with \
                    ?sslmode=verify-full&sslrootcert=FILE in DATABASE_URL";
        }
        sqlx::Error::Database(error) => error.code(),
        _ => None,
    };
    match code.as_deref() {
        Some("28P01" | "28000") => {
            "correct user and password in DATABASE_URL, or let pg_hba.conf admit the user from \
             this machine (docs/OPERATIONS.md#privileges)"
        }
        Some("3D000") => "correct the database's name in DATABASE_URL, or create the database",
        Some("42501") => "GRANT CONNECT ON DATABASE to the user",
        Some("53300") => {
            "raise max_connections of the server, or lower DATABASE_MAX_CONNECTIONS of the processes"
        }
        Some("55000" | "57P03") => "wait until the server accepts connections, and look at its log",
        _ => "look at the server's log, and at host and port in DATABASE_URL",
    }
}

/// Looks whether others can read or change what goes over the connection. Behind a pooler, the
/// server knows only of the pooler's connection, so that the setting alone counts.
pub(super) async fn check_tls(
    db: &mut PgConnection,
    pooler: Pooler,
    mode: PgSslMode,
    addresses: &[IpAddr],
) -> Result<Finding, sqlx::Error> {
    let is_verified = matches!(mode, PgSslMode::VerifyCa | PgSslMode::VerifyFull);
    let is_encrypted = match pooler {
        Pooler::None => {
            let question = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            let question = sqlx::query_scalar(question).persistent(false);
            question.fetch_optional(db).await? == Some(true)
        }
        Pooler::Transaction => is_verified || matches!(mode, PgSslMode::Require),
    };
    let fix = "put ?sslmode=verify-full&sslrootcert=FILE into DATABASE_URL";
    Ok(match (is_encrypted, is_verified) {
        (true, true) => Finding::ok(TLS, "encrypted, and the server is verified"),
        (true, false) => judge_exposed(
            TLS,
            "encrypted, but the server is not verified",
            addresses,
            fix,
        ),
        (false, _) => judge_exposed(TLS, "not encrypted", addresses, fix),
    })
}
