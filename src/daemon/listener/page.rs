//! The page for a person: how the daemon is doing, and what is in the list.
//!
//! Pure. It is complete without scripts: the filter is a form that the server answers. All its addresses
//! are relative, so that a proxy may serve it below a path.
//!
//! - `condition`: what is wrong, or that nothing is.
//! - `targets`: the list, counted and filtered.
//! - `html`: untrusted text is escaped, times are written.

mod condition;
mod html;
mod targets;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt::{self, Write};

use jiff::Timestamp;

use self::condition::{Condition, conditions};
use self::html::{Escaped, Moment, Utc};
use crate::daemon::observed::{Logged, Observed};

/// The style sheet.
pub(super) const STYLE: &str = include_str!("page/style.css");

/// Filters while one types, where scripts run.
pub(super) const SCRIPT: &str = include_str!("page/script.js");

/// The page at `now`, with the services that the query's filter leaves.
pub(super) fn render(observed: &Observed, query: &str, now: Timestamp) -> String {
    let mut html = String::new();
    write(&mut html, observed, query, now).expect("writing to a string cannot fail");
    html
}

fn write(html: &mut String, observed: &Observed, query: &str, now: Timestamp) -> fmt::Result {
    let conditions = conditions(observed);
    write_head(html, observed, &conditions)?;
    write_header(html, now)?;
    html.push_str("<main>\n");
    for condition in &conditions {
        condition.write(html, now)?;
    }
    write_facts(html, observed, now)?;
    html.push_str("<div class=\"columns\">\n<div class=\"log\">\n");
    let start = observed.status.start;
    write_log(html, "errors", "errors and warnings", &observed.errors, start, now)?;
    write_log(html, "events", "events", &observed.events, start, now)?;
    html.push_str("</div>\n");
    targets::write(html, observed.list.as_deref(), query)?;
    html.push_str("</div>\n</main>\n");
    write!(
        html,
        "<footer>kuma-prometheus-sd {}, started {}</footer>\n</body>\n</html>\n",
        crate::VERSION,
        Moment { time: start, now }
    )
}

/// The title begins with what is wrong, as a browser shows little of it.
fn write_head(html: &mut String, observed: &Observed, conditions: &[Condition<'_>]) -> fmt::Result {
    let heading = conditions.first().map_or("", |first| first.heading);
    write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{heading}: {} – kuma-prometheus-sd</title>\n\
         <link rel=\"stylesheet\" href=\"page.css\">\n<script src=\"page.js\" defer></script>\n\
         </head>\n<body>\n",
        Escaped(&observed.status.address)
    )
}

fn write_header(html: &mut String, now: Timestamp) -> fmt::Result {
    write!(
        html,
        "<header>\n<h1>kuma-prometheus-sd</h1>\n<nav aria-label=\"This page and others\">\n\
         <a href=\"#errors\">Errors</a>\n<a href=\"#events\">Events</a>\n<a href=\"#targets\">Targets</a>\n\
         <a href=\"metrics\">/metrics</a>\n<a href=\"targets\">/targets (JSON)</a>\n</nav>\n\
         <p>As of {} <span id=\"age\"></span> <a href=\"\">Refresh</a></p>\n</header>\n",
        Utc(now)
    )
}

fn write_facts(html: &mut String, observed: &Observed, now: Timestamp) -> fmt::Result {
    let status = &observed.status;
    let moment = |time| Moment { time, now };
    write!(html, "<dl>\n<dt>Control plane<dd class=\"name\">{}\n", Escaped(&status.address))?;
    html.push_str("<dt>MADS (API version)<dd class=\"name\">");
    match &status.source {
        Some((_, source)) => writeln!(html, "{}", Escaped(source))?,
        None => html.push_str("not reached since the start\n"),
    }
    html.push_str("<dt>Connected<dd>");
    match (&status.outage, &status.source) {
        (Some((since, _)), _) => writeln!(html, "no, since {}", moment(*since))?,
        (None, Some((since, _))) => writeln!(html, "since {}", moment(*since))?,
        (None, None) => html.push_str("not yet\n"),
    }
    write!(
        html,
        "<dt>File<dd class=\"name\">{}\n<dt>Targets in the file<dd>",
        Escaped(&observed.output)
    )?;
    match &status.list {
        Some(list) => writeln!(html, "{}", list.targets)?,
        None => html.push_str("no list yet\n"),
    }
    html.push_str("<dt>Last change<dd>");
    match &observed.last_change {
        Some((time, change)) => writeln!(html, "{}: {}", moment(*time), Escaped(change))?,
        None => writeln!(html, "none since the start at {}", moment(status.start))?,
    }
    html.push_str("</dl>\n");
    Ok(())
}

/// What was logged, the newest first.
fn write_log(
    html: &mut String,
    id: &str,
    kind: &str,
    logged: &VecDeque<Logged>,
    start: Timestamp,
    now: Timestamp,
) -> fmt::Result {
    write!(html, "<section id=\"{id}\">\n<h2 id=\"last-{id}\">Last {kind}</h2>\n")?;
    if logged.is_empty() {
        let start = Moment { time: start, now };
        writeln!(
            html,
            "<p>No {kind} of the connection or the file since the start at {start}.</p>\n</section>"
        )?;
        return Ok(());
    }
    writeln!(
        html,
        "<table aria-labelledby=\"last-{id}\">\n<thead><tr><th scope=\"col\">Time\
         <th scope=\"col\">Level<th scope=\"col\">Message</thead>\n<tbody>"
    )?;
    for Logged { time, level, message } in logged {
        let level = level.as_str().to_lowercase();
        writeln!(
            html,
            "<tr><td class=\"time\">{}<td class=\"{level}\">{level}<td class=\"message\">{}",
            Moment { time: *time, now },
            Escaped(message)
        )?;
    }
    html.push_str("</tbody>\n</table>\n</section>\n");
    Ok(())
}
