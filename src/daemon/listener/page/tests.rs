//! What the page says in which state, and that text from outside stays text.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use log::Level;

use super::render;
use super::targets::SHOWN_ROWS;
use crate::daemon::observed::{Logged, Observed, SharedObserved};
use crate::daemon::status::{List, Status};
use crate::snapshot::{Builder, LabelNames, Snapshot, Text};

const STARTED: &str = "<time datetime=\"2023-11-14T22:13:20Z\">2023-11-14 22:13:20 UTC</time> <span class=\"age\">(3 min ago)</span>";

fn start() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

/// A daemon that has just started.
fn started() -> Observed {
    let address = "http://kuma:5681".to_owned();
    let output = "/srv/kuma.file_sd.json".to_owned();
    SharedObserved::new(address, output, start()).lock().clone()
}

/// A daemon that is connected, with a list in its file.
fn working(services: &[(&str, &str, usize)]) -> Observed {
    let mut observed = started();
    let source = "grpc://kuma:5676 (v1)".to_owned();
    observed.status.source = Some((start(), source));
    let list = list(services);
    observed.status.list = Some(List { targets: list.groups(), changed: Some(start()) });
    observed.list = Some(list);
    observed
}

/// A list of so many targets of each mesh and service.
fn list(services: &[(&str, &str, usize)]) -> Arc<Snapshot> {
    let names = LabelNames::new(["mesh", "service"].into_iter());
    let empty = Arc::new(Snapshot::empty());
    let mut builder = Builder::new(&empty, 0, 0);
    for (mesh, service, targets) in services {
        for number in 0..*targets {
            let address = format!("10.0.0.1:{number}");
            let values = [mesh, service].map(|value| Text::from(*value));
            builder.append(Text::from(&*address), &names, values.into_iter()).unwrap();
        }
    }
    builder.finish().snapshot
}

/// The page three minutes after the start.
fn page(observed: &Observed, query: &str) -> String {
    render(observed, query, start() + SignedDuration::from_mins(3))
}

#[track_caller]
fn assert_contains(page: &str, expected: &str) {
    assert!(page.contains(expected), "not there: {expected}\n{page}");
}

/// The rows of the table of services, without markup: `mesh|service|targets`.
fn rows(page: &str) -> Vec<String> {
    let Some((_, body)) = page.split_once("<tbody id=\"services\">\n") else {
        return Vec::new();
    };
    let (body, _) = body.split_once("</tbody>").unwrap();
    let cells = |row: &str| {
        let cells = row.split("<td").skip(1);
        let cells = cells.map(|cell| cell.split_once('>').unwrap().1);
        cells.collect::<Vec<_>>().join("|")
    };
    body.lines().map(cells).collect()
}

#[test]
fn a_working_daemon_says_all_that_is_known() {
    let mut observed = working(&[("default", "web", 2), ("shop", "cart", 1)]);
    let message = "wrote 3 targets: 1 added, 0 removed, 0 changed".to_owned();
    let change = Logged { time: start(), level: Level::Info, message };
    observed.last_change = Some((change.time, change.message.clone()));
    observed.events.push_front(change);
    let page = page(&observed, "");
    for expected in [
        "<title>Connected, and the file is up to date: http://kuma:5681 – kuma-prometheus-sd</title>",
        "<section class=\"good\">\n<h2>Connected, and the file is up to date</h2>\n</section>",
        "<dt>Control plane<dd class=\"name\">http://kuma:5681\n",
        "<dt>MADS (API version)<dd class=\"name\">grpc://kuma:5676 (v1)\n",
        &format!("<dt>Connected<dd>since {STARTED}\n"),
        "<dt>File<dd class=\"name\">/srv/kuma.file_sd.json\n",
        "<dt>Targets in the file<dd>3\n",
        &format!("<dt>Last change<dd>{STARTED}: wrote 3 targets: 1 added, 0 removed, 0 changed\n"),
        &format!(
            "<tr><td class=\"time\">{STARTED}<td class=\"info\">info<td class=\"message\">wrote 3 targets"
        ),
        "<p id=\"summary\" role=\"status\">3 targets of 2 services in 2 meshes.</p>",
        &format!("<footer>kuma-prometheus-sd {}, started {STARTED}</footer>", crate::VERSION),
        "<a href=\"metrics\">",
        "<a href=\"targets\">",
    ] {
        assert_contains(&page, expected);
    }
    assert_eq!(rows(&page), ["default|web|2", "shop|cart|1"]);
    assert!(!page.contains("trouble"), "{page}");
}

#[test]
fn what_is_not_known_yet_is_said() {
    let page = page(&started(), "");
    for expected in [
        "<section class=\"waiting\">\n<h2>Connecting to the control plane</h2>\n",
        "<dt>MADS (API version)<dd class=\"name\">not reached since the start\n",
        "<dt>Connected<dd>not yet\n",
        "<dt>Targets in the file<dd>no list yet\n",
        &format!("<dt>Last change<dd>none since the start at {STARTED}\n"),
        &format!(
            "<p>No errors and warnings of the connection or the file since the start at {STARTED}.</p>"
        ),
        &format!("<p>No events of the connection or the file since the start at {STARTED}.</p>"),
        "<p>No list of the control plane has come since the start.</p>",
    ] {
        assert_contains(&page, expected);
    }
}

#[test]
fn no_list_and_an_empty_one_differ() {
    let mut observed = working(&[]);
    let empty = page(&observed, "");
    assert_contains(&empty, "<h2>Connected, and the list is empty</h2>");
    assert_contains(&empty, "<p>The control plane's list is empty.</p>");
    observed.status.list = None;
    observed.list = None;
    let none = page(&observed, "");
    assert_contains(&none, "<h2>Connected, and no list yet</h2>");
}

#[test]
fn each_trouble_is_at_the_top_with_its_reason_and_its_time() {
    type Trouble = fn(&mut Status) -> &mut Option<(Timestamp, String)>;
    let rows: [(Trouble, &str, &str); 3] = [
        (
            |status| &mut status.write_trouble,
            "The file cannot be written",
            "The newest list is not in the file; the daemon tries again by itself.",
        ),
        (
            |status| &mut status.outage,
            "No connection to the control plane",
            "The file stays as it is; the daemon tries again by itself.",
        ),
        (
            |status| &mut status.rejections,
            "Responses of the control plane are rejected",
            "The last good list stays; the next good response is accepted.",
        ),
    ];
    let mut all = working(&[("default", "web", 1)]);
    for (trouble, heading, advice) in rows {
        let mut observed = working(&[("default", "web", 1)]);
        for status in [&mut observed.status, &mut all.status] {
            *trouble(status) = Some((start(), "because <of> it".to_owned()));
        }
        let page = page(&observed, "");
        let section = format!(
            "<main>\n<section class=\"trouble\">\n<h2>{heading}</h2>\n\
             <p class=\"reason\">because &lt;of&gt; it</p>\n<p>Since {STARTED}.</p>\n<p>{advice}</p>\n</section>\n<dl>"
        );
        assert_contains(&page, &section);
        assert_contains(&page, &format!("<title>{heading}: "));
        let is_connected = !page.contains(&format!("<dt>Connected<dd>no, since {STARTED}"));
        assert_eq!(is_connected, heading != "No connection to the control plane");
    }
    all.metrics.is_responsive = false;
    let page = page(&all, "");
    let headings = page.split("<section class=\"trouble\">\n<h2>").skip(1);
    let headings: Vec<_> = headings.map(|section| section.split_once("</h2>").unwrap().0).collect();
    let [first, second, third] = rows.map(|(_, heading, _)| heading);
    assert_eq!(headings, [first, second, third, "A thread is late"]);
}

#[test]
fn text_from_outside_stays_text_wherever_it_stands() {
    let hostile = "\"'><script>alert(1)</script>&";
    let escaped = "&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;";
    let mut observed = working(&[(hostile, hostile, 1)]);
    observed.status.address = hostile.to_owned();
    observed.output = hostile.to_owned();
    let status = &mut observed.status;
    for text in
        [&mut status.source, &mut status.write_trouble, &mut status.outage, &mut status.rejections]
    {
        *text = Some((start(), hostile.to_owned()));
    }
    let logged = Logged { time: start(), level: Level::Error, message: hostile.to_owned() };
    observed.last_change = Some((logged.time, logged.message.clone()));
    observed.events.push_front(logged.clone());
    observed.errors.push_front(logged);
    let page = page(&observed, "filter=%22'%3E%3Cscript%3Ealert(1)%3C/script%3E%26");
    let ours = "<script src=\"page.js\" defer></script>";
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert_contains(&page, ours);
    // Title, three reasons, address, source, file, last change, error, event, filter and what it leaves,
    // mesh, service.
    assert_eq!(page.matches(escaped).count(), 14, "{page}");
    assert_contains(&page, &format!("name=\"filter\" value=\"{escaped}\""));
}

#[test]
fn the_filter_leaves_what_has_its_text_in_the_mesh_or_the_service() {
    let observed = working(&[
        ("default", "Backend", 2),
        ("default", "web ü+&%", 3),
        ("Back Office", "orders", 4),
        ("quote\"d", "back\\slash", 5),
    ]);
    let table: [(&str, &[usize]); 16] = [
        ("", &[2, 3, 4, 5]),
        ("filter=", &[2, 3, 4, 5]),
        ("other=x", &[2, 3, 4, 5]),
        ("filter=back", &[2, 4, 5]),
        ("filter=BACK", &[2, 4, 5]),
        ("other=x&filter=back&filter=web", &[2, 4, 5]),
        ("filter=back+office", &[4]),
        ("filter=back%20office", &[4]),
        ("filter=+office+", &[4]),
        ("filter=%C3%9C%2b%26%25", &[3]),
        ("filter=quote%22", &[5]),
        ("filter=k%5Cs", &[5]),
        ("filter=defaultBackend", &[]),
        ("filter=%", &[3]),
        ("filter=%FF", &[]),
        ("Filter=web", &[2, 3, 4, 5]),
    ];
    for (query, expected) in table {
        let page = page(&observed, query);
        let mut targets: Vec<usize> = rows(&page)
            .iter()
            .map(|row| row.rsplit_once('|').unwrap().1.parse().unwrap())
            .collect();
        targets.sort_unstable();
        assert_eq!(targets, expected, "{query}");
    }
    let page = page(&observed, "filter=+web+%C3%BC%2B%26");
    assert_contains(&page, "name=\"filter\" value=\"web ü+&amp;\"");
    assert_contains(
        &page,
        "3 targets match “web ü+&amp;”, of 14 targets of 4 services in 3 meshes.",
    );
    assert_contains(&page, "<a href=\"./#targets\">Show all</a>");
}

#[test]
fn the_first_rows_of_those_that_the_filter_leaves_are_shown() {
    let names: Vec<String> =
        (0..SHOWN_ROWS + 3).map(|number| format!("service-{number:04}")).collect();
    let mut services: Vec<_> = names.iter().map(|name| ("default", name.as_str(), 1)).collect();
    services.push(("zone", "last", 1));
    let observed = working(&services);

    let all = page(&observed, "");
    assert_eq!(rows(&all).len(), SHOWN_ROWS);
    assert_contains(&all, "<p id=\"more\">4 more rows are not shown; filter to find them.</p>");
    assert_contains(&all, "1004 targets of 1004 services in 2 meshes.");

    let last = page(&observed, "filter=last");
    assert_eq!(rows(&last), ["zone|last|1"]);
    assert!(!last.contains("more rows"), "{last}");
}

#[test]
fn a_list_without_the_label_service_is_counted_by_mesh() {
    let page = page(&working(&[("default", "", 2), ("shop", "", 1)]), "");
    assert_eq!(rows(&page), ["default|2", "shop|1"]);
    assert_contains(
        &page,
        "3 targets in 2 meshes. They name no service, as in API version v1alpha1.",
    );
    assert!(!page.contains("<th scope=\"col\">Service"), "{page}");
}

#[test]
fn targets_without_the_label_service_among_others_are_told_apart() {
    let page = page(&working(&[("default", "", 2), ("default", "web", 1)]), "");
    assert_eq!(rows(&page), ["default|no service|2", "default|web|1"]);
    assert_contains(&page, "3 targets of 1 service in 1 mesh.");
}
