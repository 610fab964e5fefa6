//! `make bench`: what whole processes cost, over what any program would need for the same.
//!
//! A stand-in for a control plane sends lists of many sizes to the daemon that is shipped, and the same
//! bytes to a client that only receives them; the file that comes of it is written once more by nothing
//! but system calls. Prints each figure with its goal, writes them as JSON and draws them. Judges nothing:
//! times are for people to compare, within one run.

mod chart;
mod daemon;
mod figures;
mod floors;
mod machine;
mod measure;
mod used;
mod watch;

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::prelude::*;

use crate::figures::Results;
use crate::machine::Machine;
use crate::measure::Bench;

const USAGE: &str = "usage: kuma-bench --program FILE --folder FOLDER --results FILE --chart FILE \
    [--sizes N,N,…] [--idle SECONDS]";

/// The sizes that have goals, and those that the curves need besides.
const SIZES: [usize; 5] = [100, 1_000, 10_000, 100_000, 500_000];

/// So many seconds tell what an idle daemon does.
const IDLE: u64 = 60;

struct Arguments {
    program: PathBuf,
    folder: PathBuf,
    results: PathBuf,
    chart: PathBuf,
    sizes: Vec<usize>,
    idle: Duration,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "receive") {
        let address = arguments.pop().ok_or("receive ADDRESS")?;
        return floors::receive(&address.string()?);
    }
    bench(&Arguments::parse(arguments)?)
}

fn bench(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(&arguments.folder)?;
    let machine = Machine::look();
    let bench = Bench { program: &arguments.program, folder: &arguments.folder };
    eprintln!("{machine}");
    let mut pushes = Vec::new();
    for &targets in &arguments.sizes {
        eprintln!("{targets} targets over gRPC and HTTP …");
        pushes.push(bench.pushes(targets));
    }
    eprintln!("start and {} s of idleness …", arguments.idle.as_secs());
    let results = Results {
        machine,
        binary_bytes: fs::metadata(&arguments.program)?.len(),
        pushes,
        start: bench.start(),
        idle: bench.idle(arguments.idle),
    };
    let figures = results.figures();
    print!("{}", figures::table(&figures));
    for (path, content) in [
        (&arguments.results, figures::json(&results, &figures)),
        (&arguments.chart, chart::draw(&results)),
    ] {
        fs::write(path, content).map_err(|error| format!("{}: {error}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

impl Arguments {
    fn parse(arguments: Vec<OsString>) -> Result<Self, Box<dyn Error>> {
        let (mut program, mut folder, mut results, mut chart) = (None, None, None, None);
        let (mut sizes, mut idle) = (SIZES.to_vec(), IDLE);
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            let path = match argument {
                Long("program") => &mut program,
                Long("folder") => &mut folder,
                Long("results") => &mut results,
                Long("chart") => &mut chart,
                Long("sizes") => {
                    let text = parser.value()?.string()?;
                    sizes = text.split(',').map(str::parse).collect::<Result<_, _>>()?;
                    continue;
                }
                Long("idle") => {
                    idle = parser.value()?.parse()?;
                    continue;
                }
                _ => return Err(USAGE.into()),
            };
            *path = Some(PathBuf::from(parser.value()?));
        }
        // A list of none or one has no ratio of any meaning, and no groups to compare.
        if sizes.iter().any(|targets| *targets < 2) {
            return Err("each size is at least 2".into());
        }
        Ok(Self {
            program: program.ok_or(USAGE)?,
            folder: folder.ok_or(USAGE)?,
            results: results.ok_or(USAGE)?,
            chart: chart.ok_or(USAGE)?,
            sizes,
            idle: Duration::from_secs(idle),
        })
    }
}
