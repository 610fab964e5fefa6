//! The page for a person: how the daemon is doing, and what is in the list.
//!
//! Pure. It is complete without scripts: the filter is a form that the server answers. Untrusted text is
//! escaped where it is put in.

use std::fmt::{self, Write};

use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use crate::daemon::observed::{Logged, Observed};
use crate::daemon::status::Time;
use crate::snapshot::Snapshot;

/// The style sheet.
pub(super) const STYLE: &str = include_str!("page.css");

/// Filters while one types, where scripts run.
pub(super) const SCRIPT: &str = include_str!("page.js");

/// So many rows are shown; more are to be filtered.
const SHOWN_ROWS: usize = 1000;

/// The page at `now`, with the services that the query's filter leaves.
pub(super) fn render(observed: &Observed, query: &str, now: Timestamp) -> String {
    let mut html = String::new();
    write(&mut html, observed, &filter_of(query), now).expect("writing to a string cannot fail");
    html
}

fn write(html: &mut String, observed: &Observed, filter: &str, now: Timestamp) -> fmt::Result {
    let status = &observed.status;
    html.push_str(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>kuma-prometheus-sd</title>\n\
         <link rel=\"stylesheet\" href=\"/page.css\">\n<script src=\"/page.js\" defer></script>\n\
         </head>\n<body>\n<h1>kuma-prometheus-sd</h1>\n",
    );
    writeln!(html, "<p>{}</p>", Escaped(&status.to_string()))?;
    if let Some(list) = &observed.list {
        write_services(html, list, filter)?;
    }
    write_log(html, "Last errors", &observed.errors)?;
    write_log(html, "Last events", &observed.events)?;
    write!(
        html,
        "<footer>Version {}, at {}</footer>\n</body>\n</html>\n",
        crate::VERSION,
        Time(now)
    )
}

fn write_services(html: &mut String, list: &Snapshot, filter: &str) -> fmt::Result {
    write!(
        html,
        "<h2>Targets</h2>\n<form><input type=\"search\" name=\"filter\" value=\"{}\">\
         <button>Filter</button></form>\n<table>\n",
        Escaped(filter)
    )?;
    for (names, targets) in list.services().into_iter().take(SHOWN_ROWS) {
        let [mesh, service] = names.map(value_of_label);
        if mesh.contains(filter) || service.contains(filter) {
            writeln!(
                html,
                "<tr><td>{}<td>{}<td>{targets}",
                Escaped(&mesh),
                Escaped(&service)
            )?;
        }
    }
    html.push_str("</table>\n");
    Ok(())
}

fn write_log<'a>(
    html: &mut String,
    heading: &str,
    events: impl IntoIterator<Item = &'a Logged>,
) -> fmt::Result {
    write!(html, "<h2>{heading}</h2>\n<table>\n")?;
    for Logged {
        time,
        level,
        message,
    } in events
    {
        let level = level.as_str().to_lowercase();
        writeln!(
            html,
            "<tr><td>{}<td>{level}<td>{}",
            Time(*time),
            Escaped(message)
        )?;
    }
    html.push_str("</table>\n");
    Ok(())
}

/// The value of `filter` in a query, as a form sends it.
fn filter_of(query: &str) -> String {
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("filter="));
    let value = value.unwrap_or_default().replace('+', " ");
    percent_decode_str(&value)
        .decode_utf8_lossy()
        .trim()
        .to_owned()
}

/// The text of a value that JSON has escaped.
fn value_of_label(escaped: &[u8]) -> String {
    let quoted = [b"\"", escaped, b"\""].concat();
    serde_json::from_slice(&quoted)
        .unwrap_or_else(|_| String::from_utf8_lossy(escaped).into_owned())
}

/// Text within HTML.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => formatter.write_str("&amp;"),
            '<' => formatter.write_str("&lt;"),
            '>' => formatter.write_str("&gt;"),
            '"' => formatter.write_str("&quot;"),
            '\'' => formatter.write_str("&#39;"),
            _ => formatter.write_char(character),
        })
    }
}
