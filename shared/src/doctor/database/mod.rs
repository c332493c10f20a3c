//! What a program needs of PostgreSQL.

mod connection;
mod grants;
mod limits;
mod pooler;
mod privileges;
mod schema;
mod server;

use std::net::IpAddr;

use sqlx::Connection;

use self::grants::Grant;
use self::pooler::in_transaction;
use super::steps::{Steps, skip};
use super::{Finding, look_up};
use crate::clock::Clock;
use crate::config::DatabaseConfig;

const NAME: &str = "database.name";
const CONNECTION: &str = "database.connection";
const TLS: &str = "database.tls";
const VERSION: &str = "database.version";
const WRITABLE: &str = "database.writable";
const CLOCK: &str = "database.clock";
const CONNECTIONS: &str = "database.connections";
const SCHEMA: &str = "database.schema";
const USER: &str = "database.user";
const PRIVILEGES: &str = "database.privileges";
const POOLER: &str = "database.pooler";

/// The checks that need a connection.
const QUESTIONS: [&str; 9] = [
    TLS,
    VERSION,
    WRITABLE,
    CLOCK,
    CONNECTIONS,
    SCHEMA,
    USER,
    PRIVILEGES,
    POOLER,
];

/// Checks the database, for the program whose role has these privileges.
pub(super) async fn check(
    config: Option<&DatabaseConfig>,
    program: &str,
    clock: &Clock,
) -> Vec<Finding> {
    let Some(config) = config else {
        let why = "a setting for the database is invalid";
        return [skip(&[NAME, CONNECTION], why), skip(&QUESTIONS, why)].concat();
    };
    let options = &config.options;
    let (name, addresses): (Finding, Vec<IpAddr>) = match options.get_socket() {
        Some(socket) => {
            let message = format!("a socket of this machine in {}", socket.display());
            (Finding::ok(NAME, message), vec![[127, 0, 0, 1].into()])
        }
        None => look_up(NAME, options.get_host()).await,
    };
    let mut findings = vec![name];
    if addresses.is_empty() {
        findings.extend(skip(&[CONNECTION], "the server's name was not found"));
        findings.extend(skip(&QUESTIONS, "there is no connection"));
        return findings;
    }
    let mut connection = match connection::open(options).await {
        Ok((connection, finding)) => {
            findings.push(finding);
            connection
        }
        Err(finding) => {
            findings.push(finding);
            findings.extend(skip(&QUESTIONS, "there is no connection"));
            return findings;
        }
    };

    let role = format!("partner_keys_{program}");
    let grants: Vec<Grant> = grants::of(&role);
    let db = &mut connection;
    let mut steps = Steps::default();
    let pooler = config.pooler;
    let mode = options.get_ssl_mode();
    let tls = async |db: &mut _| connection::check_tls(db, pooler, mode, &addresses).await;
    steps.run(TLS, in_transaction(db, tls)).await;
    steps
        .run(VERSION, in_transaction(db, server::check_version))
        .await;
    steps
        .run(WRITABLE, in_transaction(db, server::check_writable))
        .await;
    let server_clock = async |db: &mut _| server::check_clock(db, clock).await;
    steps.run(CLOCK, in_transaction(db, server_clock)).await;
    let limits = async |db: &mut _| limits::check(db, config).await;
    steps.run(CONNECTIONS, in_transaction(db, limits)).await;
    let schema = async |db: &mut _| schema::check(db, &grants).await;
    steps.run(SCHEMA, in_transaction(db, schema)).await;
    let user = async |db: &mut _| privileges::check_user(db, &role).await;
    steps.run(USER, in_transaction(db, user)).await;
    let privileges = async |db: &mut _| privileges::check(db, &role, &grants).await;
    steps.run(PRIVILEGES, in_transaction(db, privileges)).await;
    // Last, because a pooler with one session left lets its second connection wait.
    steps.run(POOLER, pooler::check(db, options, pooler)).await;
    findings.extend(steps.findings);
    // A server that does not answer would hold up the end.
    let _ = tokio::time::timeout(std::time::Duration::from_millis(200), connection.close()).await;
    findings
}
