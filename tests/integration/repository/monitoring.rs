//! The dashboard and the alerts ask for metrics that there are, and each alert on them has its section in
//! the guide.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::support::command::repository;

/// How the names of the daemon's own metrics begin.
const PREFIX: &str = "kuma_prometheus_sd_";

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap()
}

/// The names in the guide's table of metrics, and those of a histogram's series.
fn documented() -> BTreeSet<String> {
    let guide = read("docs/operators-guide.md");
    let rows = guide.lines().skip_while(|line| !line.starts_with("| metric |")).skip(2);
    let mut names = BTreeSet::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let name = row.split('`').nth(1).unwrap();
        names.insert(name.to_owned());
        if row.contains("| histogram |") {
            names.extend(["bucket", "sum", "count"].map(|suffix| format!("{name}_{suffix}")));
        }
    }
    names
}

/// The metrics that an expression of PromQL asks for: the daemon's and every process's.
fn metrics_in(expression: &str) -> Vec<&str> {
    let is_of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = expression.split(|character| !is_of_name(character));
    words.filter(|word| word.starts_with(PREFIX) || word.starts_with("process_")).collect()
}

/// Every text under a key, however deep.
fn collect(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str() {
                    Some(text) if name == key => found.push(text.to_owned()),
                    _ => collect(member, key, found),
                }
            }
        }
        Value::Array(members) => members.iter().for_each(|member| collect(member, key, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are_and_for_all_of_them() {
    let dashboard: Value = serde_json::from_str(&read("docs/grafana-dashboard.json")).unwrap();
    let mut queries = Vec::new();
    collect(&dashboard, "expr", &mut queries);
    collect(&dashboard, "query", &mut queries);
    let asked: BTreeSet<&str> = queries.iter().flat_map(|query| metrics_in(query)).collect();
    let documented = documented();
    let unknown: Vec<_> = asked.iter().filter(|name| !documented.contains(**name)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let base = |name: &str| {
        let suffix =
            ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        suffix.filter(|base| documented.contains(*base)).unwrap_or(name).to_owned()
    };
    let shown: BTreeSet<String> = asked.iter().map(|name| base(name)).collect();
    let own = documented.iter().filter(|name| name.starts_with(PREFIX));
    let missing: Vec<_> = own.filter(|name| !shown.contains(&base(name))).collect();
    assert!(missing.is_empty(), "not on the dashboard: {missing:?}");
}

#[test]
fn each_alert_on_a_metric_asks_for_one_that_there_is_and_has_its_section() {
    let rules = read("docs/prometheus-rules.yml");
    let guide = read("docs/operators-guide.md");
    let code = rules.lines().filter(|line| !line.trim_start().starts_with('#'));
    let documented = documented();
    for line in code {
        for name in metrics_in(line) {
            assert!(documented.contains(name), "{name} in {line}");
        }
    }
    let (_, group) = rules.split_once("- name: kuma-prometheus-sd-daemon\n").unwrap();
    let group = group.split("\n  - name: ").next().unwrap();
    let alerts: Vec<&str> =
        group.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert_eq!(alerts.len(), 6, "{alerts:?}");
    for alert in alerts {
        assert!(guide.contains(&format!("\n### {alert}\n")), "{alert} has no section");
    }
}
