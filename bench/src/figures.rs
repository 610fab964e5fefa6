//! The figures that have goals, and those beside them: as a table, and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::machine::Machine;
use crate::measure::{Idle, Pushes, Start};

/// Everything that was measured.
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) binary_bytes: u64,
    pub(crate) pushes: Vec<Pushes>,
    pub(crate) start: Start,
    pub(crate) idle: Vec<Idle>,
}

/// One figure.
pub(crate) struct Figure {
    name: String,
    /// Of how many targets, where that matters.
    targets: Option<usize>,
    value: f64,
    unit: &'static str,
    /// What it is not to exceed, where it has a goal.
    goal: Option<f64>,
}

impl Figure {
    fn is_met(&self) -> Option<bool> {
        self.goal.map(|goal| self.value <= goal)
    }
}

/// What pushes of one size are not to exceed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Goals {
    /// Latency over the floors' sum.
    pub(crate) ratio: Option<f64>,
    /// Milliseconds of processor time.
    pub(crate) all: Option<f64>,
    pub(crate) one: Option<f64>,
    pub(crate) same: Option<f64>,
    /// MB.
    pub(crate) peak: Option<f64>,
    pub(crate) afterwards: Option<f64>,
}

impl Goals {
    /// Those of pushes of this size.
    pub(crate) fn of(pushes: &Pushes) -> Self {
        let goals = |ratio, all| Self { ratio: Some(ratio), all: Some(all), ..Self::default() };
        // Of what it is for all targets: half where one changed, a quarter where none did.
        let and_for_few_changes = |goals: Self| Self {
            one: goals.all.map(|all| all / 2.0),
            same: goals.all.map(|all| all / 4.0),
            ..goals
        };
        match pushes.targets {
            1_000 => Self { peak: Some(10.0), afterwards: Some(9.0), ..goals(3.0, 4.0) },
            10_000 => Self {
                peak: Some(30.0),
                afterwards: Some(20.0),
                ..and_for_few_changes(goals(1.5, 20.0))
            },
            100_000 => Self {
                peak: Some(5.0 * megabytes(pushes.message as u64)),
                afterwards: Some(megabytes(pushes.file as u64) + 15.0),
                ..and_for_few_changes(goals(1.5, 200.0))
            },
            _ => Self::default(),
        }
    }
}

impl Pushes {
    /// What nobody can do without.
    pub(crate) fn floor(&self) -> Duration {
        self.receive + self.write
    }

    fn figures(&self) -> Vec<Figure> {
        let goals = Goals::of(self);
        let figure = |name: &str, value, unit, goal| Figure {
            name: name.to_owned(),
            targets: Some(self.targets),
            value,
            unit,
            goal,
        };
        let ratio = self.latency.as_secs_f64() / self.floor().as_secs_f64();
        let [receive, write, latency] = [self.receive, self.write, self.latency].map(milliseconds);
        let [receive_cpu, write_cpu] = self.floor_cpu.map(milliseconds);
        let [all, one, same] = [self.all, self.one, self.same].map(milliseconds);
        let peak = megabytes(self.memory.peak);
        let resident = megabytes(self.memory.resident);
        let mut figures = vec![
            figure("message", megabytes(self.message as u64), "MB", None),
            figure("file", megabytes(self.file as u64), "MB", None),
            figure("floor: receive", receive, "ms", None),
            figure("floor: write, fsync, rename, fsync of the folder", write, "ms", None),
            figure("floor: CPU, receive", receive_cpu, "ms", None),
            figure("floor: CPU, write", write_cpu, "ms", None),
            figure("push → durable file", latency, "ms", None),
            figure("push → durable file, over the floors", ratio, "", goals.ratio),
            figure("CPU, all targets changed", all, "ms", goals.all),
            figure("CPU, one target changed", one, "ms", goals.one),
            figure("CPU, another version and order only", same, "ms", goals.same),
            figure("peak memory", peak, "MB", goals.peak),
            figure("memory afterwards", resident, "MB", goals.afterwards),
        ];
        if let Some(http) = &self.http {
            let (cpu, http_peak) = (milliseconds(http.all), megabytes(http.memory.peak));
            let resident = megabytes(http.memory.resident);
            figures.extend([
                figure("HTTP: push → file", milliseconds(http.latency), "ms", None),
                figure("HTTP: CPU, all targets changed", cpu, "ms", None),
                figure("HTTP: CPU over gRPC's", cpu / all, "", Some(3.0)),
                figure("HTTP: peak memory", http_peak, "MB", None),
                figure("HTTP: peak memory over gRPC's", http_peak / peak, "", Some(1.5)),
                figure("HTTP: memory afterwards", resident, "MB", None),
            ]);
        }
        figures
    }
}

/// Of how much more than in proportion to the number of targets something may grow.
const MORE_THAN_LINEAR: f64 = 1.2;

impl Results {
    /// All figures, in the order of the table.
    pub(crate) fn figures(&self) -> Vec<Figure> {
        let mut figures: Vec<Figure> = self.pushes.iter().flat_map(Pushes::figures).collect();
        figures.extend(self.growth());
        let plain =
            |name: String, value, unit, goal| Figure { name, targets: None, value, unit, goal };
        let first_file = milliseconds(self.start.first_file);
        let beyond = milliseconds(self.start.beyond_connect);
        figures.extend([
            plain("start → first file of 1,000 targets".to_owned(), first_file, "ms", None),
            plain("start → first file, beyond connect".to_owned(), beyond, "ms", Some(20.0)),
        ]);
        for idle in &self.idle {
            let transport = idle.transport;
            let switches = if transport == "HTTP" { 1.0 } else { 5.0 };
            let percent = idle.cpu * 100.0;
            figures.extend([
                plain(format!("idle, {transport}: share of a core"), percent, "%", Some(0.01)),
                plain(
                    format!("idle, {transport}: context switches"),
                    idle.switches,
                    "/s",
                    Some(switches),
                ),
                plain(format!("idle, {transport}: threads"), idle.threads as f64, "", None),
            ]);
        }
        let binary = megabytes(self.binary_bytes);
        figures.push(plain("binary".to_owned(), binary, "MB", Some(5.5)));
        figures
    }

    /// How the largest list's figures compare with those of 100,000 targets in proportion.
    fn growth(&self) -> Vec<Figure> {
        let base = self.pushes.iter().find(|pushes| pushes.targets == 100_000);
        let largest = self.pushes.last();
        let (Some(base), Some(largest)) = (base, largest) else {
            return Vec::new();
        };
        if largest.targets <= base.targets {
            return Vec::new();
        }
        let proportion = largest.targets as f64 / base.targets as f64;
        let figure = |name: &str, of: fn(&Pushes) -> f64| Figure {
            name: format!("{name} over 100,000's in proportion"),
            targets: Some(largest.targets),
            value: of(largest) / of(base) / proportion,
            unit: "",
            goal: Some(MORE_THAN_LINEAR),
        };
        vec![
            figure("time", |pushes| pushes.latency.as_secs_f64()),
            figure("CPU", |pushes| pushes.all.as_secs_f64()),
            figure("peak memory", |pushes| pushes.memory.peak as f64),
        ]
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The table for people.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut table =
        format!("{:>8}  {:<48} {:>12} {:>12}  met\n", "targets", "figure", "value", "goal");
    for figure in figures {
        let targets = figure.targets.map(thousands).unwrap_or_default();
        let with_unit = |number| format!("{} {}", rounded(number), figure.unit);
        let goal = figure.goal.map(|goal| format!("≤ {}", with_unit(goal)));
        let met = figure.is_met().map_or("", |met| ["NO", "yes"][usize::from(met)]);
        let line = format!(
            "{targets:>8}  {:<48} {:>12} {:>12}  {met}",
            figure.name,
            with_unit(figure.value).trim_end(),
            goal.unwrap_or_default().trim_end(),
        );
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{}", line.trim_end());
    }
    table
}

/// The figures for programs.
pub(crate) fn json(results: &Results, figures: &[Figure]) -> String {
    let Machine { date, processor, processors, memory, kernel, load } = &results.machine;
    let figure = |figure: &Figure| -> Value {
        json!({
            "figure": figure.name,
            "targets": figure.targets,
            "value": rounded(figure.value).parse::<f64>().unwrap_or(figure.value),
            "unit": figure.unit,
            "goal": figure.goal.map(|goal| rounded(goal).parse::<f64>().unwrap_or(goal)),
            "met": figure.is_met(),
        })
    };
    let results = json!({
        "date": date,
        "machine": {
            "processor": processor,
            "processors": processors,
            "memory_bytes": memory,
            "kernel": kernel,
            "load_before": load,
        },
        "figures": figures.iter().map(figure).collect::<Vec<_>>(),
    });
    format!("{results:#}\n")
}

/// Three digits that count.
fn rounded(number: f64) -> String {
    let before_the_point = number.abs().max(1e-3).log10().floor() as i32 + 1;
    let decimals = usize::try_from(3 - before_the_point).unwrap_or(0);
    format!("{number:.decimals$}")
}

pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        for (number, text) in [
            (0.004_36, "0.00436"),
            (0.0, "0.00000"),
            (1.5, "1.50"),
            (43.21, "43.2"),
            (1_404.4, "1404"),
        ] {
            assert_eq!(rounded(number), text);
        }
        for (number, text) in [(100, "100"), (1_000, "1,000"), (500_000, "500,000")] {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn a_goal_is_met_up_to_its_value() {
        let figure = |value, goal| Figure {
            name: "binary".to_owned(),
            targets: None,
            value,
            unit: "MB",
            goal,
        };
        assert_eq!(figure(5.5, Some(5.5)).is_met(), Some(true));
        assert_eq!(figure(5.6, Some(5.5)).is_met(), Some(false));
        assert_eq!(figure(5.6, None).is_met(), None);
        let table = table(&[figure(5.6, Some(5.5))]);
        assert!(table.contains("5.60 MB    ≤ 5.50 MB  NO\n"), "{table}");
    }
}
