//! The targets of the list, counted by mesh and service, as far as the filter leaves them.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use percent_encoding::percent_decode_str;

use super::html::Escaped;
use crate::common::sanitize::sanitize;
use crate::common::wording::{Targets, count};
use crate::snapshot::Snapshot;

/// So many rows are shown of those that the filter leaves. A browser is quick with them, also on a phone.
pub(super) const SHOWN_ROWS: usize = 1000;

/// The targets of a service.
struct Row {
    mesh: String,
    /// Empty where no label names it.
    service: String,
    targets: usize,
}

/// The rows of a list, in its order.
fn rows(list: &Snapshot) -> Vec<Row> {
    let services = list.services().into_iter();
    let row = |(names, targets): ([&[u8]; 2], usize)| {
        let [mesh, service] = names.map(value_of_label);
        Row { mesh, service, targets }
    };
    services.map(row).collect()
}

/// The text of a value that JSON has escaped, as far as it can be shown.
fn value_of_label(escaped: &[u8]) -> String {
    let quoted = [b"\"", escaped, b"\""].concat();
    let value: String = serde_json::from_slice(&quoted)
        .unwrap_or_else(|_| String::from_utf8_lossy(escaped).into_owned());
    sanitize(&value)
}

/// The value of `filter` in a query, as a form sends it: what the mesh or the service is to contain.
fn filter(query: &str) -> String {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("filter="));
    let value = value.unwrap_or_default().replace('+', " ");
    let text = percent_decode_str(&value).decode_utf8_lossy();
    text.trim().to_owned()
}

/// The section of the page: with a filter and a table, where there is something to show.
pub(super) fn write(html: &mut String, list: Option<&Snapshot>, query: &str) -> fmt::Result {
    html.push_str("<section id=\"targets\">\n<h2>Targets</h2>\n");
    match list {
        None => html.push_str("<p>No list of the control plane has come since the start.</p>\n"),
        Some(list) if list.groups() == 0 => {
            html.push_str("<p>The control plane's list is empty.</p>\n");
        }
        Some(list) => write_list(html, &rows(list), &filter(query))?,
    }
    html.push_str("</section>\n");
    Ok(())
}

fn write_list(html: &mut String, rows: &[Row], filter: &str) -> fmt::Result {
    // In whatever case.
    let lowercase = filter.to_lowercase();
    let has_text = |name: &String| name.to_lowercase().contains(&lowercase);
    let is_left = |row: &&Row| has_text(&row.mesh) || has_text(&row.service);
    let left: Vec<&Row> = rows.iter().filter(is_left).collect();
    let has_services = rows.iter().any(|row| !row.service.is_empty());
    write_form(html, filter)?;
    html.push_str("<p id=\"summary\" role=\"status\">");
    write_summary(html, rows, &left, filter, has_services)?;
    html.push_str("</p>\n");
    if !left.is_empty() {
        write_table(html, &left, has_services)?;
    }
    if let Some(more @ 1..) = left.len().checked_sub(SHOWN_ROWS) {
        writeln!(html, "<p id=\"more\">{more} more rows are not shown; filter to find them.</p>")?;
    }
    Ok(())
}

fn write_form(html: &mut String, filter: &str) -> fmt::Result {
    write!(
        html,
        "<form role=\"search\" action=\"#targets\">\n<label for=\"filter\">Filter by mesh or service</label>\n\
         <input type=\"search\" id=\"filter\" name=\"filter\" value=\"{}\" autocomplete=\"off\" \
         autocapitalize=\"none\" spellcheck=\"false\">\n<button>Filter</button>\n",
        Escaped(filter)
    )?;
    if !filter.is_empty() {
        html.push_str("<a href=\"./#targets\">Show all</a>\n");
    }
    html.push_str("</form>\n");
    Ok(())
}

/// How many there are, and how many the filter leaves.
fn write_summary(
    html: &mut String,
    rows: &[Row],
    left: &[&Row],
    filter: &str,
    has_services: bool,
) -> fmt::Result {
    let targets = |rows: &mut dyn Iterator<Item = &Row>| rows.map(|row| row.targets).sum();
    let all = Targets(targets(&mut rows.iter()));
    let meshes: BTreeSet<&str> = rows.iter().map(|row| row.mesh.as_str()).collect();
    let meshes = count(meshes.len(), "mesh", "meshes");
    if !filter.is_empty() {
        let left = Targets(targets(&mut left.iter().copied()));
        let matching = if left.0 == 1 { "matches" } else { "match" };
        write!(html, "{left} {matching} “{}”, of ", Escaped(filter))?;
    }
    match has_services {
        true => {
            let services = rows.iter().filter(|row| !row.service.is_empty()).count();
            let services = count(services, "service", "services");
            write!(html, "{all} of {services} in {meshes}.")
        }
        false => {
            write!(html, "{all} in {meshes}. They name no service, as in API version v1alpha1.")
        }
    }
}

fn write_table(html: &mut String, left: &[&Row], has_services: bool) -> fmt::Result {
    html.push_str("<table aria-labelledby=\"summary\">\n<thead><tr><th scope=\"col\">Mesh");
    if has_services {
        html.push_str("<th scope=\"col\">Service");
    }
    html.push_str("<th scope=\"col\" class=\"number\">Targets</thead>\n<tbody id=\"services\">\n");
    for row in left.iter().take(SHOWN_ROWS) {
        write!(html, "<tr><td class=\"name\">{}", Escaped(&row.mesh))?;
        match row.service.as_str() {
            "" if !has_services => {}
            "" => html.push_str("<td class=\"none\">no service"),
            service => write!(html, "<td class=\"name\">{}", Escaped(service))?,
        }
        writeln!(html, "<td class=\"number\">{}", row.targets)?;
    }
    html.push_str("</tbody>\n</table>\n");
    Ok(())
}
