//! The commands of docs/INCIDENTS.md.

use tests::Role;
use tests::deployment::SVIX_TOKEN;
use tests::process::binary;
use tests::repository::read;
use tokio::process::Command;
use tokio::time::Instant;

use super::scraped::Service;
use super::{TIMEOUT, alerts};

/// The parts of a section, in their order.
const PARTS: [&str; 5] = [
    "**What it means.**",
    "**What users see.**",
    "**Find the cause.**",
    "**Fix it.**",
    "**It is over** when",
];

/// A command of the page, with what it prints.
struct Example {
    section: String,
    command: String,
    printed: Vec<String>,
}

/// Returns the commands of the page: in its code blocks, the lines after `$ `.
fn examples() -> Vec<Example> {
    let (mut examples, mut section, mut is_code) = (Vec::<Example>::new(), String::new(), false);
    for line in read("docs/INCIDENTS.md").lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if let Some(heading) = line.strip_prefix("## ") {
            heading.clone_into(&mut section);
        } else if let (true, Some(command)) = (is_code, line.strip_prefix("$ ")) {
            examples.push(Example {
                section: section.clone(),
                command: command.to_owned(),
                printed: Vec::new(),
            });
        } else if let (true, Some(example)) = (is_code, examples.last_mut())
            && example.section == section
        {
            example.printed.push(line.to_owned());
        }
    }
    examples
}

/// Returns what is left of a line without its values: numbers, ids, and what is quoted in a
/// message. A worker's name begins with that of its host.
fn shape(line: &str) -> String {
    if line.contains(" last heartbeat ") {
        return "a worker".to_owned();
    }
    let unquoted: Vec<&str> = line.split("\\\"").step_by(2).collect();
    let mut shape = String::new();
    let is_part = |c: char| c.is_alphanumeric() || "-+_.".contains(c);
    for word in unquoted.concat().split_inclusive(|c| !is_part(c)) {
        let end = word.find(|c| !is_part(c)).unwrap_or(word.len());
        let (word, separator) = word.split_at(end);
        let is_a_rule = !word.is_empty() && word.chars().all(|c| "-+".contains(c));
        let is_a_value = word.contains(|c: char| c.is_ascii_digit());
        shape.push_str(match word {
            _ if is_a_rule => "-",
            "NaN" | "+Inf" => "0",
            _ if is_a_value => "0",
            word => word,
        });
        shape.push_str(separator);
    }
    shape.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn each_section_says_what_it_means_what_users_see_the_cause_the_fix_and_the_end() {
    let page = read("docs/INCIDENTS.md");
    for alert in alerts::alerts() {
        let heading = format!("\n## {}\n", super::text(&alert["alert"]));
        let (_, section) = page.split_once(&heading).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let mut rest = section;
        for part in PARTS {
            let found = rest.split_once(part);
            let missing = || panic!("{heading} has no {part} in its place");
            rest = found.unwrap_or_else(missing).1;
        }
        assert!(section.contains("\n$ "), "{heading} has no command");
    }
}

/// Runs all commands of the page, in their order, and compares their output with the page's.
///
/// A scrape that was too late, or a connection that is busy, hides something for a moment. So a
/// command runs again until its output is right, until the time for all of them is over. The
/// commands that change something have nothing left to do then.
pub(super) async fn every_command_does_what_the_page_says(service: &Service) {
    let (mut problems, began) = (Vec::new(), Instant::now());
    let examples = examples();
    assert!(examples.len() > 40, "{}", examples.len());
    for example in &examples {
        let mut problem = example.problem(service).await;
        while problem.is_some() && began.elapsed() < TIMEOUT {
            service.is_used().await;
            problem = example.problem(service).await;
        }
        problems.extend(problem);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

impl Example {
    /// Runs the command. Returns how its output differs from the page.
    async fn problem(&self, service: &Service) -> Option<String> {
        // The page has the users of a real installation.
        let output = match run(service, &self.command).await {
            Ok(output) => output
                .replace("test_api", "keys_api")
                .replace("test_worker", "keys_worker"),
            Err(output) => format!("FAILED\n{output}"),
        };
        let shapes: Vec<String> = output.lines().map(shape).collect();
        // Lines that are left out.
        let is_printed = |line: &String| line == "…" || shapes.contains(&shape(line));
        let is_right = !self.printed.is_empty() && self.printed.iter().all(is_printed);
        if is_right && !output.starts_with("FAILED") {
            return None;
        }
        let (section, command, printed) = (&self.section, &self.command, self.printed.join("\n"));
        Some(format!(
            "## {section}\n$ {command}\n{output}\nnot as on the page:\n{printed}"
        ))
    }
}

/// Runs a command as an operator does. Returns its output; an error if it fails.
async fn run(service: &Service, command: &str) -> Result<String, String> {
    let (deployment, production) = (&service.deployment, service.deployment.in_production());
    let worker = &production.workers[0];
    let programs = binary("worker").parent().unwrap().to_owned();
    let logs = format!(
        r#"logs() {{ case $1 in api) cat "{}" ;; worker) cat "{}" ;; esac; }}"#,
        deployment.server.stderr.display(),
        worker.stderr.display()
    );
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &format!("{logs}\n{command}")]);
    let path = std::env::var("PATH").unwrap();
    shell.env("PATH", format!("{}:{path}", programs.display()));
    let [api_admin, worker_admin] = &service.admin;
    // The doctor judges the settings of the program. Everything else is for operators.
    let database = match command {
        "api doctor" => production.database.url_for(Role::Api),
        "worker doctor" => production.database.url_for(Role::Worker),
        _ => production.database.url(),
    };
    let listen = deployment.client.base().trim_start_matches("http://");
    shell
        .env("LISTEN_ADDR", listen)
        .env("MAX_CONNECTIONS", "100")
        .env("API", deployment.client.base())
        .env("API_ADMIN", api_admin)
        .env("WORKER_ADMIN", worker_admin)
        .env("PROMETHEUS", &service.prometheus.url)
        .env("DATABASE_URL", database)
        .env("REDIS_URL", production.redis.service_url())
        .env("SVIX_TOKEN", SVIX_TOKEN)
        .env("SVIX_SERVER_URL", deployment.svix.url());
    shell.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(TIMEOUT, shell.output());
    let output = output.await.expect("the command ends").unwrap();
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() {
        Ok(said)
    } else {
        Err(said)
    }
}
