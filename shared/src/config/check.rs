use std::fmt;

use super::Secret;

/// Said of a value that may be a secret, or hold one.
const NOT_SHOWN: &str = "has a value that does not fit (not shown)";

/// What is wrong with one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Problem {
    variable: &'static str,
    what: String,
    expected: &'static str,
}

/// The settings are wrong; one line for each problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<Problem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings are wrong:")?;
        for Problem {
            variable,
            what,
            expected,
        } in &self.0
        {
            write!(f, "\n  {variable} {what}; expected {expected}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Collects the problems of all settings.
///
/// Each check gives `None` where there was a problem. An empty value counts as
/// not set: `FOO=` in a file means that.
#[derive(Debug, Default)]
pub struct Checker(Vec<Problem>);

impl Checker {
    /// A setting that must be there.
    pub fn required<T>(
        &mut self,
        variable: &'static str,
        given: Option<&str>,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.optional(variable, given, expected, parse)?;
        if value.is_none() {
            self.report(variable, "is not set".into(), expected);
        }
        value
    }

    /// A setting that may be missing: `Some(None)` then.
    #[allow(clippy::option_option)] // a problem, or a setting that may be missing
    pub fn optional<T>(
        &mut self,
        variable: &'static str,
        given: Option<&str>,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Option<T>> {
        let what = || format!("is {:?}", given.unwrap_or_default());
        self.maybe(variable, given, expected, parse, what)
    }

    /// The same, never shown: a URL in which a password may stand by mistake.
    #[allow(clippy::option_option)] // as above
    pub fn optional_hidden<T>(
        &mut self,
        variable: &'static str,
        given: Option<&str>,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Option<T>> {
        self.maybe(variable, given, expected, parse, || NOT_SHOWN.into())
    }

    #[allow(clippy::option_option)] // as above
    fn maybe<T>(
        &mut self,
        variable: &'static str,
        given: Option<&str>,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
        what: impl FnOnce() -> String,
    ) -> Option<Option<T>> {
        let Some(given) = given.filter(|given| !given.is_empty()) else {
            return Some(None);
        };
        let parsed = parse(given);
        if parsed.is_none() {
            self.report(variable, what(), expected);
        }
        parsed.map(Some)
    }

    /// A setting that must be there and is never shown.
    pub fn secret<T>(
        &mut self,
        variable: &'static str,
        given: Option<&Secret>,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let Some(given) = given.map(Secret::expose).filter(|given| !given.is_empty()) else {
            self.report(variable, "is not set".into(), expected);
            return None;
        };
        let parsed = parse(given);
        if parsed.is_none() {
            self.report(variable, NOT_SHOWN.into(), expected);
        }
        parsed
    }

    /// The configuration, if nothing was wrong.
    pub fn finish<T>(self, config: Option<T>) -> Result<T, ConfigError> {
        match config {
            Some(config) if self.0.is_empty() => Ok(config),
            _ => Err(ConfigError(self.0)),
        }
    }

    fn report(&mut self, variable: &'static str, what: String, expected: &'static str) {
        self.0.push(Problem {
            variable,
            what,
            expected,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_reported_and_no_secret_shown() {
        let mut checker = Checker::default();
        let number = checker.required("A", Some("x"), "a number", |v| v.parse::<u8>().ok());
        let missing = checker.required("B", Some(""), "a number", |v| v.parse::<u8>().ok());
        let hidden = Secret::from("hunter2".to_owned());
        let secret = checker.secret("C", Some(&hidden), "a URL", |_| None::<()>);
        let url = Some("https://user:hunter2@svix.example");
        let url = checker.optional_hidden("D", url, "a URL without user", |_| None::<()>);
        let config = number.zip(missing).zip(secret).zip(url);
        let error = checker.finish(config).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the settings are wrong:\n  A is \"x\"; expected a number\
             \n  B is not set; expected a number\
             \n  C has a value that does not fit (not shown); expected a URL\
             \n  D has a value that does not fit (not shown); expected a URL without user"
        );
    }
}
