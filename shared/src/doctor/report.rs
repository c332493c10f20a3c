use std::fmt::{self, Display, Formatter};

use serde_json::{Value, json};

use super::{Finding, Status};
use crate::VERSION;
use crate::outln;

/// All that was found, in the order of the checks.
#[derive(Debug)]
pub struct Report {
    /// The program's name.
    pub program: &'static str,
    /// The result of each check. A check that finds several things has several.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Returns the worst status. A check that was skipped does not count: what it needed counts.
    pub fn status(&self) -> Status {
        let statuses = self.findings.iter().map(|finding| finding.status);
        statuses.max().unwrap_or(Status::Ok).max(Status::Ok)
    }

    /// Prints the report and ends the process, with the status [`Self::code`]. It does not wait
    /// for the system's resolver, which cannot be stopped when a lookup takes too long.
    pub fn end(&self, json: bool) -> ! {
        if json {
            outln!("{:#}", self.to_json());
        } else {
            outln!("{self}");
        }
        std::process::exit(self.code())
    }

    /// Returns 0 if all is well, 1 if there are warnings, and 2 if there is an error, as
    /// plugins of monitoring systems do.
    pub fn code(&self) -> i32 {
        match self.status() {
            Status::Ok | Status::Skipped => 0,
            Status::Warning => 1,
            Status::Error => 2,
        }
    }

    /// Returns the report for programs.
    pub fn to_json(&self) -> Value {
        json!({
            "program": self.program,
            "version": VERSION,
            "status": self.status(),
            "findings": self.findings,
        })
    }

    fn count(&self, status: Status) -> usize {
        let of_status = |finding: &&Finding| finding.status == status;
        self.findings.iter().filter(of_status).count()
    }
}

/// One line for each check, and what to do below it.
impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = self.findings.iter().map(|finding| finding.check.len());
        let width = names.max().unwrap_or(0);
        for finding in &self.findings {
            let Finding {
                check,
                status,
                message,
                fix,
            } = finding;
            // One line each, also if a server's answer has several.
            let message = message.replace(['\n', '\r'], " ");
            writeln!(f, "{:<7}  {check:<width$}  {message}", status.as_str())?;
            if let Some(fix) = fix {
                writeln!(f, "{:7}  {:width$}  fix: {fix}", "", "")?;
            }
        }
        let (errors, warnings) = (self.count(Status::Error), self.count(Status::Warning));
        let checked = self.findings.len() - self.count(Status::Skipped);
        let skipped = self.count(Status::Skipped);
        write!(
            f,
            "\n{checked} checked, {skipped} skipped; errors: {errors}, warnings: {warnings}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_as_bad_as_its_worst_finding_and_one_line_a_check() {
        let mut report = Report {
            program: "api",
            findings: vec![Finding::ok("a", "well"), Finding::skipped("b.c", "away")],
        };
        assert_eq!((report.status(), report.code()), (Status::Ok, 0));
        report.findings.push(Finding::warning("d", "x\ny", "mend"));
        assert_eq!((report.status(), report.code()), (Status::Warning, 1));
        assert_eq!(
            report.to_string(),
            "ok       a    well\nskipped  b.c  away\nwarning  d    x y\n              fix: mend\n\n\
             2 checked, 1 skipped; errors: 0, warnings: 1"
        );
        report.findings.push(Finding::error("e", "z", "mend"));
        assert_eq!((report.status(), report.code()), (Status::Error, 2));
        assert_eq!(report.to_json()["status"], "error");
        assert_eq!(
            report.to_json()["findings"][1],
            json!({"check": "b.c", "status": "skipped", "message": "away", "fix": null})
        );
    }
}
