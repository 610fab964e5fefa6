//! Draws latency, processor time and memory over the number of targets, with floors and goals, as an SVG
//! that is readable on light and dark ground.
//!
//! Both axes are logarithmic: what grows in proportion is a line of the same slope everywhere.

use std::fmt::Write as _;

use crate::figures::{Goals, Results, megabytes, milliseconds, thousands};
use crate::measure::Pushes;

const WIDTH: f64 = 1080.0;
const HEIGHT: f64 = 500.0;

/// The area of one panel's curves.
const PANEL_WIDTH: f64 = 272.0;
const PANEL_HEIGHT: f64 = 280.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 70.0;
const PANEL_STEP: f64 = 356.0;

/// Written out for both grounds, as not everything that draws an SVG knows variables.
const STYLE: &str = "
  text { font: 12px sans-serif; fill: #1f2328; }
  .title { font-weight: bold; font-size: 14px; }
  .ground { fill: #ffffff; }
  .grid { stroke: #d8dee4; }
  .line { fill: none; stroke-width: 2; }
  .a { stroke: #0969da; } .b { stroke: #bc4c00; } .c { stroke: #1a7f37; } .d { stroke: #8250df; }
  .floor { stroke: #1f2328; stroke-dasharray: 5 4; }
  .goal { fill: #ffffff; stroke: #1f2328; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .ground { fill: #0d1117; }
    .grid { stroke: #30363d; }
    .a { stroke: #58a6ff; } .b { stroke: #f0883e; } .c { stroke: #3fb950; } .d { stroke: #bc8cff; }
    .floor { stroke: #e6edf3; }
    .goal { fill: #0d1117; stroke: #e6edf3; }
  }
";

/// One curve, or the marks of one kind of goal.
struct Series {
    name: &'static str,
    class: &'static str,
    points: Vec<(f64, f64)>,
}

/// A diagram of its own, over the number of targets.
struct Panel {
    title: &'static str,
    series: Vec<Series>,
}

/// The whole picture.
pub(crate) fn draw(results: &Results) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
         <title>Latency, processor time and memory over the number of targets</title>\n\
         <style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/>\n"
    );
    let panels = panels(&results.pushes);
    for (index, panel) in panels.iter().enumerate() {
        panel.draw(LEFT + index as f64 * PANEL_STEP, &mut svg);
    }
    let machine = escape(&results.machine.to_string());
    let caption = format!("Over the number of targets; medians; {machine}");
    text(LEFT, 24.0, "", &caption, &mut svg);
    svg.push_str("</svg>\n");
    svg
}

fn panels(pushes: &[Pushes]) -> [Panel; 3] {
    let series = |name, class, value: &dyn Fn(&Pushes) -> Option<f64>| Series {
        name,
        class,
        points: pushes
            .iter()
            .filter_map(|pushes| Some((pushes.targets as f64, value(pushes)?)))
            .collect(),
    };
    let latency = vec![
        series("gRPC", "line a", &|p| Some(milliseconds(p.latency))),
        series("floors: receive and write", "line floor", &|p| Some(milliseconds(p.floor()))),
        series("goal", "goal", &|p| Some(milliseconds(p.floor()) * Goals::of(p).ratio?)),
    ];
    let cpu = vec![
        series("gRPC, all targets changed", "line a", &|p| Some(milliseconds(p.all))),
        series("gRPC, one target changed", "line b", &|p| Some(milliseconds(p.one))),
        series("gRPC, another version only", "line c", &|p| Some(milliseconds(p.same))),
        series("HTTP, all targets changed", "line d", &|p| {
            Some(milliseconds(p.http.as_ref()?.all))
        }),
        series("floors: receive and write", "line floor", &|p| {
            Some(milliseconds(p.floor_cpu.iter().sum()))
        }),
        series("goal for all changed", "goal", &|p| Goals::of(p).all),
    ];
    let memory = vec![
        series("gRPC, peak", "line a", &|p| Some(megabytes(p.memory.peak))),
        series("gRPC, afterwards", "line b", &|p| Some(megabytes(p.memory.resident))),
        series("HTTP, peak", "line d", &|p| Some(megabytes(p.http.as_ref()?.memory.peak))),
        series("the message", "line floor", &|p| Some(megabytes(p.message as u64))),
        series("goal for the peak", "goal", &|p| Goals::of(p).peak),
    ];
    [
        Panel { title: "Push → durable file (ms)", series: latency },
        Panel { title: "Processor time for a push (ms)", series: cpu },
        Panel { title: "Memory (MB)", series: memory },
    ]
}

/// A logarithmic axis; both ends are powers of ten, by their exponents.
struct Axis {
    from: f64,
    to: f64,
    start: f64,
    length: f64,
}

impl Axis {
    /// One from the least to the greatest of some values; `length` is negative where it points up.
    fn of(values: impl Iterator<Item = f64>, start: f64, length: f64) -> Self {
        let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            from = from.min(value.log10());
            to = to.max(value.log10());
        }
        // One value alone has a decade to stand in.
        let to = to.max(from + 1.0);
        Self { from, to, start, length }
    }

    /// The same with whole decades at both ends.
    fn in_whole_decades(self) -> Self {
        Self { from: self.from.floor(), to: self.to.ceil(), ..self }
    }

    fn place(&self, value: f64) -> f64 {
        self.start + (value.log10() - self.from) / (self.to - self.from) * self.length
    }

    /// The powers of ten, with their places and how they are written.
    fn ticks(&self) -> impl Iterator<Item = (f64, String)> {
        (self.from.ceil() as i32..=self.to.floor() as i32).map(|power| {
            let value = 10_f64.powi(power);
            let label = match usize::try_from(-power) {
                Ok(decimals @ 1..) => format!("{value:.decimals$}"),
                _ => thousands(value as usize),
            };
            (self.place(value), label)
        })
    }
}

impl Panel {
    fn draw(&self, left: f64, svg: &mut String) {
        let bottom = TOP + PANEL_HEIGHT;
        let points = || self.series.iter().flat_map(|series| &series.points);
        if points().next().is_none() {
            return;
        }
        let x_axis = Axis::of(points().map(|point| point.0), left, PANEL_WIDTH);
        let y_axis = Axis::of(points().map(|point| point.1), bottom, -PANEL_HEIGHT);
        let y_axis = y_axis.in_whole_decades();

        text(left, TOP - 14.0, "title", self.title, svg);
        for (x, label) in x_axis.ticks() {
            line((x, TOP), (x, bottom), svg);
            anchored(x, bottom + 16.0, "middle", &label, svg);
        }
        for (y, label) in y_axis.ticks() {
            line((left, y), (left + PANEL_WIDTH, y), svg);
            anchored(left - 6.0, y + 4.0, "end", &label, svg);
        }
        for (index, series) in self.series.iter().enumerate() {
            let place = |(x, y): &(f64, f64)| (x_axis.place(*x), y_axis.place(*y));
            let places: Vec<(f64, f64)> = series.points.iter().map(place).collect();
            series.draw(&places, svg);
            let y = bottom + 46.0 + index as f64 * 20.0;
            if series.class == "goal" {
                series.draw(&[(left + 12.0, y - 4.0)], svg);
            } else {
                series.draw(&[(left, y - 4.0), (left + 24.0, y - 4.0)], svg);
            }
            text(left + 32.0, y, "", series.name, svg);
        }
    }
}

impl Series {
    // Writing to a String cannot fail, here and below.
    fn draw(&self, places: &[(f64, f64)], svg: &mut String) {
        let class = self.class;
        if class == "goal" {
            for (x, y) in places {
                let _ = writeln!(
                    svg,
                    "<path class=\"goal\" d=\"M{:.1} {y:.1}l5 -5l5 5l-5 5z\"/>",
                    x - 5.0
                );
            }
            return;
        }
        let points: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", points.join(" "));
    }
}

fn line(from: (f64, f64), to: (f64, f64), svg: &mut String) {
    let _ = writeln!(
        svg,
        "<line class=\"grid\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(x: f64, y: f64, class: &str, content: &str, svg: &mut String) {
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{content}</text>");
}

fn anchored(x: f64, y: f64, anchor: &str, content: &str, svg: &mut String) {
    let _ =
        writeln!(svg, "<text text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{content}</text>");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
