use std::borrow::Cow;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// One invalid setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable's name.
    pub variable: Cow<'static, str>,
    /// What was given, without secrets: `is not set`, `is "x"`.
    pub given: String,
    /// What was expected.
    pub expected: &'static str,
}

/// The error for invalid settings. It lists every problem on a line of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<Problem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid settings:")?;
        for Problem {
            variable,
            given,
            expected,
        } in &self.0
        {
            write!(f, "\n  {variable} {given}; expected {expected}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Stands for a setting that is invalid. The problem itself is in the [`Checker`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invalid;

/// Collects the problems of all settings, so that one start reports them all.
#[derive(Debug, Default)]
pub struct Checker(Vec<Problem>);

impl Checker {
    /// Begins the check of a setting. An empty value counts as not set, because
    /// `FOO=` in a file means that.
    pub fn setting<'a>(
        &'a mut self,
        variable: impl Into<Cow<'static, str>>,
        given: Option<&'a str>,
        expected: &'static str,
    ) -> Setting<'a> {
        Setting {
            problems: &mut self.0,
            variable: variable.into(),
            given: given.filter(|given| !given.is_empty()),
            expected,
            is_shown: true,
        }
    }

    /// Begins the check of a secret setting, whose value is never shown.
    pub fn secret<'a>(
        &'a mut self,
        variable: impl Into<Cow<'static, str>>,
        given: Option<&'a SecretString>,
        expected: &'static str,
    ) -> Setting<'a> {
        let given = given.map(ExposeSecret::expose_secret);
        self.setting(variable, given, expected).hidden()
    }

    /// Checks a setting that is `on` or `off`.
    pub fn switch(
        &mut self,
        variable: &'static str,
        given: Option<&str>,
        default: bool,
    ) -> Result<bool, Invalid> {
        let setting = self.setting(variable, given, "on or off");
        setting.or_default(default, |text| match text {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        })
    }

    /// Returns the problems, for a program that goes on with the settings that are valid.
    pub fn problems(self) -> Vec<Problem> {
        self.0
    }

    /// Builds the settings from the results of their checks. Returns every problem
    /// if there was one.
    pub fn finish<T>(self, build: impl FnOnce() -> Result<T, Invalid>) -> Result<T, ConfigError> {
        match build() {
            Ok(settings) if self.0.is_empty() => Ok(settings),
            _ => Err(ConfigError(self.0)),
        }
    }
}

/// One setting that is being checked.
pub struct Setting<'a> {
    problems: &'a mut Vec<Problem>,
    variable: Cow<'static, str>,
    given: Option<&'a str>,
    expected: &'static str,
    is_shown: bool,
}

impl Setting<'_> {
    /// Keeps the value out of the error, for instance because it is a URL that may
    /// contain a password.
    #[must_use]
    pub fn hidden(self) -> Self {
        Self {
            is_shown: false,
            ..self
        }
    }

    /// Returns the parsed value. `parse` returns `None` for an invalid one. A
    /// setting that is not set is a problem.
    pub fn required<T>(self, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Invalid> {
        match self.given {
            Some(given) => parse(given).ok_or_else(|| self.report()),
            None => Err(self.report()),
        }
    }

    /// Returns the parsed value, or `None` if the setting is not set.
    pub fn optional<T>(self, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Invalid> {
        match self.given {
            Some(_) => self.required(parse).map(Some),
            None => Ok(None),
        }
    }

    /// Returns the parsed value, or `default` if the setting is not set.
    pub fn or_default<T>(
        self,
        default: T,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Invalid> {
        Ok(self.optional(parse)?.unwrap_or(default))
    }

    /// Checks that the setting is not set.
    pub fn must_not_be_set(self) -> Result<(), Invalid> {
        match self.given {
            Some(_) => Err(self.report()),
            None => Ok(()),
        }
    }

    /// Adds the setting to the problems, whatever its value is.
    pub fn report(self) -> Invalid {
        let given = match self.given {
            None => "is not set".to_owned(),
            Some(given) if self.is_shown => format!("is {given:?}"),
            Some(_) => "is invalid (the value is not shown)".to_owned(),
        };
        self.problems.push(Problem {
            variable: self.variable,
            given,
            expected: self.expected,
        });
        Invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_reported_and_no_secret_is_shown() {
        let byte = |text: &str| text.parse::<u8>().ok();
        let secret = SecretString::from("hunter2");
        let url = Some("https://user:hunter2@svix.example");
        let mut checker = Checker::default();
        let results = [
            checker.setting("A", Some("x"), "a number").required(byte),
            checker.setting("B", Some(""), "a number").required(byte),
            checker.secret("C", Some(&secret), "a URL").required(byte),
            checker
                .setting("D", url, "a URL without user")
                .hidden()
                .or_default(0, byte),
            checker.setting("E", Some("7"), "a number").required(byte),
            checker.setting("F", None, "a number").or_default(8, byte),
        ];
        assert_eq!(&results[4..], [Ok(7), Ok(8)]);
        let error = checker.finish(|| Ok(())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid settings:\n  A is \"x\"; expected a number\
             \n  B is not set; expected a number\
             \n  C is invalid (the value is not shown); expected a URL\
             \n  D is invalid (the value is not shown); expected a URL without user"
        );
    }
}
