use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It was not checked, because something else has failed.
    Skipped,
    /// It is as it should be.
    Ok,
    /// The service works, but not as well or as safely as it should.
    Warning,
    /// The service does not work, or not all of it.
    Error,
}

impl Status {
    /// Returns the name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the check, for instance `database.version`. It stays the same.
    pub check: &'static str,
    /// How bad it is.
    pub status: Status,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub fix: Option<String>,
}

impl Finding {
    /// Says that all is as it should be.
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            status: Status::Ok,
            message: message.into(),
            fix: None,
        }
    }

    /// Says what should be better, and how to mend it.
    pub fn warning(
        check: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            status: Status::Warning,
            fix: Some(fix.into()),
            ..Self::ok(check, message)
        }
    }

    /// Says what is wrong, and how to mend it.
    pub fn error(check: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            status: Status::Error,
            fix: Some(fix.into()),
            ..Self::ok(check, message)
        }
    }

    /// Returns the finding as a warning if it is an error, for what the service works without.
    #[must_use]
    pub fn at_most_warning(mut self) -> Self {
        if self.status == Status::Error {
            self.status = Status::Warning;
        }
        self
    }

    /// Says why the check could not be made.
    pub fn skipped(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: Status::Skipped,
            ..Self::ok(check, message)
        }
    }
}
