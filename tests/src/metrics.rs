//! The metrics of a process, as Prometheus reads them.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{Process, eventually};

/// What a process showed at one scrape.
#[derive(Debug)]
pub struct Metrics(String);

impl Metrics {
    /// Scrapes a process that runs with `ADMIN_ADDR`.
    pub async fn of(process: &mut Process) -> Self {
        Self::at(&process.admin_url().await).await
    }

    /// Scrapes the admin listener at this URL.
    pub async fn at(url: &str) -> Self {
        let answer = crate::http::get(format!("{url}/metrics")).await.unwrap();
        assert_eq!(answer.status(), 200);
        let kind = answer.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        Self(answer.text().await.unwrap())
    }

    /// Scrapes the listener at this URL until `holds`. Returns what it showed last.
    pub async fn eventually(what: &str, url: &str, holds: impl Fn(&Self) -> bool) -> Self {
        let scrape = || Self::at(url);
        eventually(what, Duration::from_secs(10), scrape, holds).await
    }

    /// Returns the whole text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Returns the names of all series, with their labels.
    pub fn series(&self) -> BTreeSet<&str> {
        let samples = self.0.lines().filter(|line| !line.starts_with('#'));
        samples
            .map(|line| line.rsplit_once(' ').unwrap().0)
            .collect()
    }

    /// Returns the names of the metrics.
    pub fn names(&self) -> BTreeSet<&str> {
        let types = self
            .0
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "));
        types.map(|line| line.split(' ').next().unwrap()).collect()
    }

    /// Returns the sum of the samples with this name and these labels, among others. `None`
    /// if there is none. An empty value stands for a label that is not there.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let samples = self.0.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (its_name, its_labels) = series.split_once('{').unwrap_or((series, ""));
            let has = |(label, value): &(&str, &str)| {
                let text = format!("{label}=\"{value}\"");
                its_labels.split([',', '}']).any(|label| label == text)
            };
            let is_meant = its_name == name && labels.iter().all(has);
            is_meant.then(|| value.parse::<f64>().unwrap())
        });
        samples.reduce(|sum, value| sum + value)
    }

    /// Returns the same as a whole number. Panics if there is no such sample.
    #[track_caller]
    pub fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let value = self.get(name, labels);
        let value = value.unwrap_or_else(|| panic!("no {name} {labels:?} in\n{}", self.0));
        assert!(value >= 0.0 && value.fract() == 0.0, "{name}: {value}");
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole and not negative"
        )]
        let whole = value as u64;
        whole
    }
}
