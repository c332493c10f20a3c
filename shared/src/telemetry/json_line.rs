//! The lines of the format JSON. They say what those of `tracing-subscriber`'s own format say of
//! our kinds of fields, and have the subject where those have the span. That format makes and
//! parses a tree for each span and line, which was a fifth of the instructions of a `GET`.

use std::fmt::{self, Debug, Display, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::subject;
use crate::bytes;

/// Writes an event as a line: its time, level, fields and target, and the subject as a span.
pub(super) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut line: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        line.write_str(r#"{"timestamp":""#)?;
        SystemTime.format_time(&mut line)?;
        line.write_char('"')?;

        let about = event.metadata();
        let mut members = Members::after(&mut line, true);
        members.text("level", about.level().as_str());
        event.record(&mut members);
        members.text("target", about.target());
        members.result?;

        if let Some(subject) = subject::named() {
            line.write_str(r#","span":{"#)?;
            let mut members = Members::after(&mut line, false);
            subject.each_id(|name, id| members.text(name, id));
            members.text("name", subject.kind());
            members.result?;
            line.write_char('}')?;
        }
        line.write_str("}\n")
    }
}

/// Writes members of an object.
struct Members<'a, W> {
    out: &'a mut W,
    has_others: bool,
    result: fmt::Result,
}

impl<'a, W: Write> Members<'a, W> {
    /// Begins to write, after other members or as the first.
    fn after(out: &'a mut W, has_others: bool) -> Self {
        Self {
            out,
            has_others,
            result: Ok(()),
        }
    }

    /// Writes a member whose value is a text.
    fn text(&mut self, name: &str, value: impl Display) {
        self.add(name, |out| {
            out.write_char('"')?;
            write!(Escaped(out), "{value}")?;
            out.write_char('"')
        });
    }

    /// Writes a member whose value is JSON already.
    fn json(&mut self, name: &str, value: impl Display) {
        self.add(name, |out| write!(out, "{value}"));
    }

    /// Writes a member. An error is kept in `result`, because a visitor cannot return it, and
    /// nothing is written after it.
    fn add(&mut self, name: &str, write_value: impl FnOnce(&mut W) -> fmt::Result) {
        let separator = if self.has_others { "," } else { "" };
        self.has_others = true;
        self.result = self.result.and_then(|()| {
            self.out.write_str(separator)?;
            self.out.write_char('"')?;
            Escaped(self.out).write_str(name)?;
            self.out.write_str("\":")?;
            write_value(self.out)
        });
    }
}

impl<W: Write> Visit for Members<'_, W> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.json(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.json(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.json(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.json(field.name(), format_args!("{value:?}"));
        } else {
            self.json(field.name(), "null");
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field.name(), format_args!("{value:?}"));
    }
}

/// Writes what may be in a JSON text.
struct Escaped<'a, W>(&'a mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let must_be_escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        if bytes::all(text, |byte| !must_be_escaped(byte)) {
            return self.0.write_str(text);
        }
        let mut rest = text;
        while let Some(at) = rest.bytes().position(must_be_escaped) {
            let (plain, special) = rest.split_at(at);
            self.0.write_str(plain)?;
            match special.as_bytes()[0] {
                b'"' => self.0.write_str(r#"\""#)?,
                b'\\' => self.0.write_str(r"\\")?,
                b'\n' => self.0.write_str(r"\n")?,
                b'\r' => self.0.write_str(r"\r")?,
                b'\t' => self.0.write_str(r"\t")?,
                byte => write!(self.0, "\\u{byte:04x}")?,
            }
            rest = &special[1..];
        }
        self.0.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::FutureExt;
    use serde_json::Value;
    use tracing::Span;
    use tracing_subscriber::fmt;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{Layer, Registry};
    use uuid::Uuid;

    use super::super::subject::sync_about;
    use super::super::test_lines::Lines;
    use super::super::{Subject, about};
    use super::*;

    /// Returns the lines that a layer writes of these events, read as JSON.
    fn lines_of<L: Layer<Registry> + Send + Sync>(
        events: fn(),
        layer: impl FnOnce(Lines) -> L,
    ) -> Vec<Value> {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(layer(lines.clone()));
        tracing::subscriber::with_default(subscriber, events);
        let text = lines.text();
        assert!(text.ends_with('\n'));
        let mut lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for line in &mut lines {
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert_eq!(
                time.as_str().unwrap().len(),
                "2026-11-29T07:05:27.969957Z".len()
            );
        }
        lines
    }

    fn log_all_kinds() {
        let every_ascii: String = (0..128_u8).map(char::from).collect();
        let error = io::Error::other("an \"error\"");
        tracing::info!("only a message");
        tracing::warn!(target: "a::target", count = 3_u64, change = -3_i64, "with {}", "numbers");
        tracing::error!(
            share = 0.5,
            whole = 1.0,
            large = 1e300,
            none = f64::NAN,
            flag = true
        );
        tracing::error!(text = every_ascii, "ümläute \u{2028} and \u{1f511}");
        tracing::error!(%error, debugged = ?Some("a \"text\"\n"), shown = %every_ascii, "values");
        tracing::error!(error = &error as &dyn std::error::Error, "an error");
    }

    const JOB: &str = "01a2057d-6cfd-7146-871e-0b787339b628";
    const TRACE: &str = "00000000000000000000000000000007";

    fn our_lines_of(events: fn()) -> Vec<Value> {
        lines_of(events, |lines| {
            let layer = fmt::layer().with_writer(lines).with_ansi(false);
            layer.event_format(JsonLine)
        })
    }

    fn lines_of_the_library(events: fn()) -> Vec<Value> {
        lines_of(events, |lines| {
            let layer = fmt::layer().with_writer(lines).json();
            layer.flatten_event(true).with_span_list(false)
        })
    }

    #[test]
    fn a_line_says_what_the_librarys_says() {
        let ours = our_lines_of(log_all_kinds);
        assert!(ours.len() >= 6);
        assert_eq!(ours, lines_of_the_library(log_all_kinds));
    }

    #[test]
    fn a_subject_is_what_a_span_is_for_the_library() {
        let ours = our_lines_of(|| {
            let request = Subject::Request(Uuid::max());
            let answer = async { tracing::info!("in a request") };
            about(request, &Span::none(), answer).now_or_never();
            let job = Subject::Job(JOB.parse().unwrap());
            sync_about(job, 7_u128.into(), || tracing::warn!("in a job"));
            tracing::info!("after both");
        });
        let librarys = lines_of_the_library(|| {
            let request = tracing::info_span!("request", request_id = %Uuid::max());
            request.in_scope(|| tracing::info!("in a request"));
            let job = tracing::info_span!("job", key_id = JOB, trace_id = TRACE);
            job.in_scope(|| tracing::warn!("in a job"));
            tracing::info!("after both");
        });
        assert_eq!(ours, librarys);
    }
}
