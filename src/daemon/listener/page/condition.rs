//! What is wrong, since when and why; or that nothing is.

use std::fmt;

use jiff::Timestamp;

use super::html::{Escaped, Moment};
use crate::daemon::observed::Observed;

/// Something that holds now, and that an operator should know first.
pub(super) struct Condition<'a> {
    /// The class that the style sheet knows.
    class: &'static str,
    pub(super) heading: &'static str,
    /// Since when it holds, and why, where that is known.
    trouble: Option<&'a (Timestamp, String)>,
    /// What follows from it, or what to do; empty where that is nothing.
    advice: &'static str,
}

impl Condition<'_> {
    pub(super) fn write(&self, html: &mut impl fmt::Write, now: Timestamp) -> fmt::Result {
        let Self { class, heading, advice, .. } = self;
        write!(html, "<section class=\"{class}\">\n<h2>{heading}</h2>\n")?;
        if let Some((time, reason)) = self.trouble {
            writeln!(html, "<p class=\"reason\">{}</p>", Escaped(reason))?;
            writeln!(html, "<p>Since {}.</p>", Moment { time: *time, now })?;
        }
        if !advice.is_empty() {
            writeln!(html, "<p>{advice}</p>")?;
        }
        html.write_str("</section>\n")
    }
}

/// All troubles, the one that keeps the newest list from Prometheus first; or how it is without one.
pub(super) fn conditions(observed: &Observed) -> Vec<Condition<'_>> {
    let status = &observed.status;
    let lasting = [
        (
            &status.write_trouble,
            "The file cannot be written",
            "The newest list is not in the file; the daemon tries again by itself.",
        ),
        (
            &status.outage,
            "No connection to the control plane",
            "The file stays as it is; the daemon tries again by itself.",
        ),
        (
            &status.rejections,
            "Responses of the control plane are rejected",
            "The last good list stays; the next good response is accepted.",
        ),
    ];
    let mut troubles: Vec<_> = lasting
        .into_iter()
        .filter_map(|(trouble, heading, advice)| {
            Some(Condition { class: "trouble", heading, trouble: Some(trouble.as_ref()?), advice })
        })
        .collect();
    if !observed.metrics.is_responsive {
        troubles.push(Condition {
            class: "trouble",
            heading: "A thread is late",
            trouble: None,
            advice: "It may wait for a disk that hangs, or for processor time; the log says which it is.",
        });
    }
    if troubles.is_empty() {
        troubles.push(calm(observed));
    }
    troubles
}

/// How it is without a trouble.
fn calm(observed: &Observed) -> Condition<'static> {
    let status = &observed.status;
    let targets = status.list.as_ref().map(|list| list.targets);
    let (class, heading, advice) = match (&status.source, targets) {
        (None, _) => (
            "waiting",
            "Connecting to the control plane",
            "The file stays as it is until a list has come.",
        ),
        (Some(_), None) => (
            "waiting",
            "Connected, and no list yet",
            "The file stays as it is until a list has come. Some control planes send none where all MeshMetric \
             backends are for other clients: see the flag --name.",
        ),
        (Some(_), Some(0)) => (
            "waiting",
            "Connected, and the list is empty",
            "Prometheus has nothing to scrape. If that is not meant, check the flag --name and the metrics \
             settings of the mesh.",
        ),
        (Some(_), Some(_)) => ("good", "Connected, and the file is up to date", ""),
    };
    Condition { class, heading, trouble: None, advice }
}
