use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::subject;

/// Writes an event as a line for people: what another format writes, and then the subject.
pub(super) struct HumanLine<F>(pub(super) F);

impl<F, S, N> FormatEvent<S, N> for HumanLine<F>
where
    F: FormatEvent<S, N>,
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(subject) = subject::named() else {
            return self.0.format_event(context, out, event);
        };
        let mut line = String::new();
        self.0
            .format_event(context, Writer::new(&mut line), event)?;
        writeln!(out, "{}{subject}", line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tracing::Span;
    use tracing_subscriber::fmt::format;
    use tracing_subscriber::layer::SubscriberExt;
    use uuid::Uuid;

    use super::super::test_lines::Lines;
    use super::super::{Subject, about};
    use super::*;

    #[test]
    fn a_line_ends_with_its_subject() {
        let lines = Lines::default();
        let layer = tracing_subscriber::fmt::layer().with_writer(lines.clone());
        let layer = layer.event_format(HumanLine(format().without_time().with_ansi(false)));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "a::target", count = 3, "nothing special");
            let request = async { tracing::info!(target: "a::target", "answered") };
            about(Subject::Request(Uuid::nil()), &Span::none(), request).now_or_never();
        });
        let expected = " INFO a::target: nothing special count=3\n \
                         INFO a::target: answered request_id=00000000-0000-0000-0000-000000000000\n";
        assert_eq!(lines.text(), expected);
    }
}
