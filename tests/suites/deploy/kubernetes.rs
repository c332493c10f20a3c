//! The manifests of `deploy/kubernetes`. kustomize renders them, and they are checked
//! against the schemas of Kubernetes and KEDA. There is no cluster here: the programs run on
//! this machine, with the variables of their pods.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tests::backlog::insert_due_rows;
use tests::repository::{file, read};
use tests::tool::{fails, succeeds};
use tests::{Role, TestDatabase};

use super::{Command, Env, Servers, TIMEOUT, are_settings, tool};

/// The versions of Kubernetes that the manifests are for: the oldest, and the newest whose
/// schemas are there.
const VERSIONS: [&str; 2] = ["1.30", "1.37"];

/// Where the secrets are in a container.
const SECRETS: &str = "/run/secrets/partner-keys";

async fn rendered(folder: &str) -> String {
    let mut kubectl = tool("kubectl");
    kubectl.arg("kustomize").arg(file(folder));
    succeeds("kustomize", &mut kubectl, TIMEOUT).await
}

/// Returns the command that checks these manifests, and prints them as JSON.
fn check(manifests: &str, dir: &Path) -> Command {
    let input = dir.join("manifests.yaml");
    std::fs::write(&input, manifests).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-euc", "exec \"$@\" <\"$0\""]).arg(input);
    shell.arg(file("tests/deploy/.venv/bin/python"));
    shell.arg(file("tests/deploy/manifests.py")).args(VERSIONS);
    shell.stdin(Stdio::null());
    shell
}

/// The objects of a rendered folder, which are valid.
struct Objects(Vec<Value>);

impl Objects {
    async fn of(folder: &str) -> Self {
        let (manifests, dir) = (rendered(folder).await, tests::scratch());
        let mut check = check(&manifests, dir.path());
        let json = succeeds(folder, &mut check, TIMEOUT).await;
        Self(serde_json::from_str(&json).unwrap())
    }

    async fn production() -> Self {
        Self::of("deploy/kubernetes/production").await
    }

    fn kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    fn named(&self, kind: &str, name: &str) -> &Value {
        let mut objects = self.kind(kind);
        let object = objects.find(|object| object["metadata"]["name"] == name);
        object.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    }

    /// Returns the pods of the Deployments and of the Job, by the part of the service.
    fn pods(&self) -> impl Iterator<Item = (&str, &Value)> {
        let owners = self.kind("Deployment").chain(self.kind("Job"));
        owners.map(|owner| {
            let labels = &owner["metadata"]["labels"];
            let part = labels["app.kubernetes.io/component"].as_str().unwrap();
            (part, &owner["spec"]["template"])
        })
    }

    /// Returns the variables of the container of this pod.
    fn env(&self, pod: &Value) -> Env {
        let container = &pod["spec"]["containers"][0];
        let mut env = Env::new();
        for source in container["envFrom"].as_array().unwrap() {
            let map = source["configMapRef"]["name"].as_str().unwrap();
            let data = self.named("ConfigMap", map)["data"].as_object().unwrap();
            env.extend(data.iter().map(|(name, value)| {
                let value = value.as_str().unwrap();
                (name.clone(), value.to_owned())
            }));
        }
        for variable in container["env"].as_array().unwrap() {
            let text = |field: &str| variable[field].as_str().unwrap().to_owned();
            env.insert(text("name"), text("value"));
        }
        env
    }
}

#[tokio::test]
async fn kustomize_renders_objects_that_kubernetes_and_keda_know() {
    for folder in ["deploy/kubernetes/base", "deploy/kubernetes/production"] {
        let objects = Objects::of(folder).await;
        assert_eq!(objects.kind("Deployment").count(), 2, "{folder}");
    }
    let production = rendered("deploy/kubernetes/production").await;
    let mistakes = [
        (
            "readOnlyRootFilesystem: true",
            "readOnlyRootFileSystem: true",
        ),
        ("averageUtilization: 60", "averageUtilization: sixty"),
        ("maxUnavailable: 1", "maxUnavailable: true"),
        ("kind: NetworkPolicy", "kind: NetPolicy"),
        ("minReplicaCount: 2", "minReplicaCount: 0"),
        ("targetQueryValue: \"1000\"", "targetQueryValue: 1000"),
        ("parameter: sslmode", "parameter: sslMode"),
        ("kind: TriggerAuthentication", "kind: TriggerAuth"),
    ];
    for (right, wrong) in mistakes {
        assert!(production.contains(right), "{right}");
        let dir = tests::scratch();
        let mut check = check(&production.replacen(right, wrong, 1), dir.path());
        fails(wrong, &mut check, TIMEOUT).await;
    }
}

/// The command is that of docs/DEPLOY.md.
#[tokio::test]
async fn prometheus_finds_the_pods_and_gets_the_alerts() {
    let monitoring = Objects::of("deploy/kubernetes/monitoring").await;
    let endpoint = &monitoring.named("PodMonitor", "partner-keys")["spec"];
    let objects = Objects::production().await;
    for (part, pod) in objects.pods().filter(|(part, _)| *part != "migrate") {
        let labels = &pod["metadata"]["labels"];
        assert!(
            selects(&endpoint["selector"]["matchLabels"], labels),
            "{part}"
        );
        let ports = pod["spec"]["containers"][0]["ports"].as_array().unwrap();
        let port = &endpoint["podMetricsEndpoints"][0]["port"];
        assert!(ports.iter().any(|it| it["name"] == *port), "{part}");
    }

    let page = read("docs/DEPLOY.md");
    let (_, command) = page.split_once("(printf 'apiVersion: monitoring").unwrap();
    let (command, _) = command.split_once(" | kubectl").unwrap();
    let mut shell = Command::new("bash");
    let command = format!("(printf 'apiVersion: monitoring{command}");
    shell
        .args(["-euo", "pipefail", "-c", &command])
        .current_dir(file("."));
    let rules = succeeds("the command of DEPLOY.md", &mut shell, TIMEOUT).await;
    let dir = tests::scratch();
    let json = succeeds("the rules", &mut check(&rules, dir.path()), TIMEOUT).await;
    let rules: Value = serde_json::from_str(&json).unwrap();
    let groups = rules[0]["spec"]["groups"].as_array().unwrap();
    assert!(groups.len() > 3, "{json}");
}

#[tokio::test]
async fn the_pods_meet_the_restricted_standard_and_name_settings_that_exist() {
    for folder in ["deploy/kubernetes/base", "deploy/kubernetes/production"] {
        let objects = Objects::of(folder).await;
        assert_eq!(objects.pods().count(), 3);
        for (part, pod) in objects.pods() {
            let pod_context = &pod["spec"]["securityContext"];
            assert_eq!(pod_context["runAsNonRoot"], true, "{part}");
            assert_eq!(pod_context["seccompProfile"]["type"], "RuntimeDefault");
            assert_eq!(pod["spec"]["automountServiceAccountToken"], false, "{part}");
            // Otherwise a Service whose name fits would set our variables.
            assert_eq!(pod["spec"]["enableServiceLinks"], false, "{part}");
            let container = &pod["spec"]["containers"][0];
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false, "{part}");
            assert_eq!(context["readOnlyRootFilesystem"], true, "{part}");
            let all = serde_json::json!(["ALL"]);
            assert_eq!(context["capabilities"]["drop"], all, "{part}");
            assert_eq!(container["volumeMounts"][0]["mountPath"], SECRETS, "{part}");
            let secret = &pod["spec"]["volumes"][0]["secret"];
            assert_eq!(secret["defaultMode"], 0o440, "{part}");

            let env = objects.env(pod);
            are_settings(container["args"][0].as_str().unwrap(), &env);
            let secrets = env.iter().filter(|(name, _)| name.ends_with("_FILE"));
            for (name, path) in secrets {
                let (folder, file) = path.rsplit_once('/').unwrap();
                let expected = name.trim_end_matches("_FILE").to_lowercase();
                assert_eq!((folder, file.replace('-', "_")), (SECRETS, expected));
            }
        }
    }
}

/// Returns whether the labels have all that a selector wants.
fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().unwrap();
    !wanted.is_empty() && wanted.iter().all(|(name, value)| labels[name] == *value)
}

#[tokio::test]
async fn the_parts_of_production_fit_together() {
    let objects = Objects::production().await;
    let autoscalers = objects
        .kind("HorizontalPodAutoscaler")
        .chain(objects.kind("ScaledObject"));
    let mut most_connections = 0;
    let mut scaled = 0;
    for autoscaler in autoscalers {
        let spec = &autoscaler["spec"];
        let name = spec["scaleTargetRef"]["name"].as_str().unwrap();
        let deployment = &objects.named("Deployment", name)["spec"];
        assert_eq!(deployment.get("replicas"), None, "{name}");
        scaled += 1;
        let most = spec.get("maxReplicas").or(spec.get("maxReplicaCount"));
        let surge = &deployment["strategy"]["rollingUpdate"]["maxSurge"];
        let processes = most.unwrap().as_i64().unwrap() + surge.as_i64().unwrap();
        let env = objects.env(&deployment["template"]);
        most_connections += processes * env["DATABASE_MAX_CONNECTIONS"].parse::<i64>().unwrap();
    }
    assert_eq!(scaled, objects.kind("Deployment").count());
    // max_connections less superuser_reserved_connections, both by default.
    assert!(most_connections <= 97, "{most_connections} connections");
    let overlay = read("deploy/kubernetes/production/kustomization.yaml");
    assert!(overlay.contains(&format!("at most {most_connections} connections")));

    for (part, pod) in objects.pods() {
        let labels = &pod["metadata"]["labels"];
        if part != "migrate" {
            let name = format!("partner-keys-{part}");
            let budget = objects.named("PodDisruptionBudget", &name);
            assert!(selects(&budget["spec"]["selector"]["matchLabels"], labels));
            let grace = pod["spec"]["terminationGracePeriodSeconds"]
                .as_i64()
                .unwrap();
            // docs/OPERATIONS.md: an api needs 10 s, after its preStop, and a worker 25 s.
            assert!(grace >= if part == "api" { 5 + 10 } else { 25 }, "{part}");
            let pod_ports = pod["spec"]["containers"][0]["ports"].as_array().unwrap();
            let env = objects.env(pod);
            for port in pod_ports {
                let variable = if port["name"] == "http" {
                    "LISTEN_ADDR"
                } else {
                    "ADMIN_ADDR"
                };
                let address = format!("0.0.0.0:{}", port["containerPort"]);
                assert_eq!(env[variable], address, "{part}");
            }
        }
        let tag = format!(
            "registry.example.com/partner-keys:{}",
            env!("CARGO_PKG_VERSION")
        );
        let image = &pod["spec"]["containers"][0]["image"];
        assert_eq!(
            *image, tag,
            "newTag of the overlay is the version of the crates"
        );
    }
    let service = objects.named("Service", "partner-keys-api");
    let (_, api) = objects.pods().find(|(part, _)| *part == "api").unwrap();
    assert!(selects(
        &service["spec"]["selector"],
        &api["metadata"]["labels"]
    ));
}

#[tokio::test]
async fn the_programs_start_and_stop_with_the_settings_of_their_pods() {
    let (servers, objects) = (Servers::start().await, Objects::production().await);
    for (part, role) in [("api", Role::Api), ("worker", Role::Worker)] {
        let (_, pod) = objects.pods().find(|(it, _)| *it == part).unwrap();
        let secrets = servers.secrets(role, "-").display().to_string();
        let env = objects.env(pod).into_iter();
        let env = env.map(|(name, value)| (name, value.replace(SECRETS, &secrets)));
        let running = servers.start_program(part, env.collect()).await;
        let container = &pod["spec"]["containers"][0];
        for probe in ["livenessProbe", "readinessProbe"] {
            let get = &container[probe]["httpGet"];
            let mut ports = container["ports"].as_array().unwrap().iter();
            let port = ports.find(|port| port["name"] == get["port"]).unwrap();
            let port = port["containerPort"].as_u64().unwrap().try_into().unwrap();
            running.answers(port, get["path"].as_str().unwrap()).await;
        }
        let grace = pod["spec"]["terminationGracePeriodSeconds"]
            .as_u64()
            .unwrap();
        running.stops_within(part, Duration::from_secs(grace)).await;
    }
}

#[tokio::test]
async fn keda_counts_what_is_due_with_a_user_who_can_do_nothing_else() {
    let database = TestDatabase::migrated().await;
    let mut psql = Command::new("psql");
    psql.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]);
    psql.arg(database.url()).arg("--file");
    psql.arg(file("deploy/postgres/scaler.sql"));
    succeeds("psql", &mut psql, TIMEOUT).await;

    let objects = Objects::production().await;
    let scaled = objects.named("ScaledObject", "partner-keys-worker");
    let query = &scaled["spec"]["triggers"][0]["metadata"]["query"];
    let query = query.as_str().unwrap().to_owned();
    let url = database.url().replacen("postgres@", "keys_scaler@", 1);
    let mut keda = PgConnection::connect(&url).await.unwrap();
    let mut count = async || -> i64 {
        let query = sqlx::query_scalar(AssertSqlSafe(query.clone()));
        query.fetch_one(&mut keda).await.unwrap()
    };
    assert_eq!(count().await, 0);
    let pool = database.pool().await;
    insert_due_rows(&pool, 7).await;
    assert_eq!(count().await, 7);
    for (delay, expected) in [("50 seconds", 7), ("70 seconds", 0)] {
        let delay = format!("UPDATE api_partners SET next_attempt_at = now() + interval '{delay}'");
        sqlx::query(AssertSqlSafe(delay))
            .execute(&pool)
            .await
            .unwrap();
        assert_eq!(count().await, expected);
    }

    for refused in [
        "SELECT account_id FROM api_partners",
        "DELETE FROM api_partners",
    ] {
        let refused = sqlx::query(refused).execute(&mut keda).await.unwrap_err();
        assert!(
            refused.to_string().contains("permission denied"),
            "{refused}"
        );
    }
}
