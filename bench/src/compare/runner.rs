//! Runs a workload. Each round runs every tool once. A last round uses the links that count bytes and
//! requests.

use std::time::Duration;

use super::environment::Scene;
use super::link::{Pace, Plan};
use super::measure::{self, Sample};
use super::options::Options;
use super::registry::Protocol;
use super::report::{Outcome, ToolReport, Wire, WorkloadReport};
use super::temporary_disk_use;
use super::tool::Tool;
use super::workload::{Path, Side, Workload};
use xtask::process::Result;

/// A workload that takes longer runs once, because further runs would not change the result much.
const LONG: Duration = Duration::from_secs(20);

/// The timeout after which a tool counts as hung.
pub(super) const LONGEST: Duration = Duration::from_secs(5 * 60);

const SLOW: Pace = Pace { round_trip: Duration::from_millis(50), bytes_per_second: 20_000_000 };

/// Runs all tools that support the workload. The first round warms up and does not count.
pub(super) fn run(
    workload: &Workload,
    protocol: Protocol,
    scene: &Scene,
    options: &Options,
) -> Result<WorkloadReport> {
    let once = workload.path != Path::Direct;
    let mut tools: Vec<ToolReport> = Vec::new();
    for tool in Tool::ALL.into_iter().filter(|tool| options.wants_tool(*tool)) {
        let names = scene.names(protocol, false, String::new())?;
        if scene.program(tool).is_some() && (workload.line)(tool, &names).is_some() {
            tools.push(ToolReport::new(tool));
        }
    }
    for round in 0..=if once { 0 } else { options.runs } {
        for report in &mut tools {
            if report.failure.is_some() || report.is_done {
                continue;
            }
            match (Run { workload, protocol, scene, tool: report.tool, round, over_link: once }).perform() {
                Ok(outcome) => {
                    report.is_done = once || outcome.sample.wall > LONG;
                    if round > 0 || report.is_done {
                        report.add(outcome);
                    }
                }
                Err(error) => report.fail(&error.to_string()),
            }
        }
        // The first tool may find colder caches, so the order rotates.
        if !tools.is_empty() {
            tools.rotate_left(1);
        }
    }
    for report in tools.iter_mut().filter(|report| report.failure.is_none() && report.wire.is_none()) {
        let round = options.runs + 1;
        match (Run { workload, protocol, scene, tool: report.tool, round, over_link: true }).perform() {
            Ok(outcome) => report.wire = outcome.wire,
            Err(error) => println!("{} was not counted: {error}", report.tool.name()),
        }
    }
    scene.clear_results()?;
    tools.sort_by_key(|tool| tool.tool);
    let suffix = match protocol {
        Protocol::Plain => "",
        Protocol::Tls => " (TLS)",
        Protocol::SinglePost => " (single POST)",
    };
    Ok(WorkloadReport { name: format!("{}{suffix}", workload.name), what: workload.what.to_owned(), tools })
}

struct Run<'a> {
    workload: &'a Workload,
    protocol: Protocol,
    scene: &'a Scene,
    tool: Tool,
    round: usize,
    over_link: bool,
}

impl Run<'_> {
    fn perform(&self) -> Result<Outcome> {
        let (scene, workload) = (self.scene, self.workload);
        let run = format!("{}-{}", self.tool.name(), self.round);
        let names = scene.names(self.protocol, self.over_link, run)?;
        let words = |line: String| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let args = (workload.line)(self.tool, &names).map(words).ok_or("it cannot do this")?;
        let program = scene.program(self.tool).ok_or("it is not installed")?;
        scene.clear_results()?;
        if let Some(args) = workload.before.and_then(|before| before(self.tool, &names)).map(words) {
            self.begin(Side::From, Plan::default())?;
            self.begin(Side::To, Plan::default())?;
            measure::measure(scene, &program, &args, self.limit())?;
        }
        if let Path::Kill(side) = workload.path {
            self.begin(Side::From, Plan::default())?;
            self.begin(Side::To, Plan::default())?;
            self.begin(side, Plan { hold: Some(self.percent_of_big(60)), ..Plan::default() })?;
            let link = &scene.registry(side).door(self.protocol)?.link;
            if !measure::kill_when_held(scene, &program, &args, link)? {
                return Err("it ended before it could be killed".into());
            }
        }
        self.begin(Side::From, self.plan(Side::From))?;
        self.begin(Side::To, self.plan(Side::To))?;
        let before = self.registry_cpu()?;
        let measure = || measure::measure(scene, &program, &args, self.limit());
        if !self.over_link {
            let sample = measure()?;
            return self.checked(Outcome { sample, registry_cpu: self.registry_cpu()? - before, wire: None });
        }
        let (sample, temporary) = temporary_disk_use::watch(&scene.working_dirs(), measure);
        let (sample, registry_cpu) = (sample?, self.registry_cpu()? - before);
        self.checked(Outcome { sample, registry_cpu, wire: Some(self.wire(temporary)?) })
    }

    /// Checks that a run left the expected result. The exit status alone is not enough.
    fn checked(&self, outcome: Outcome) -> Result<Outcome> {
        let stored = self.scene.result_bytes()?;
        let expected = (self.workload.leaves)(&self.scene.sizes());
        if stored < expected {
            return Err(format!("it succeeded, but left {stored} bytes of {expected}").into());
        }
        Ok(outcome)
    }

    fn plan(&self, side: Side) -> Plan {
        match self.workload.path {
            Path::Slow => Plan { pace: Some(SLOW), ..Plan::default() },
            Path::Cut(cut) if cut == side => {
                Plan { cuts: [30, 60, 90].map(|n| self.percent_of_big(n)).to_vec(), ..Plan::default() }
            }
            _ => Plan::default(),
        }
    }

    fn limit(&self) -> Duration {
        match self.workload.path {
            // Many tools hang after an interrupted transfer.
            Path::Cut(_) | Path::Kill(_) => Duration::from_secs(20 + self.scene.sizes().big_mib / 25),
            Path::Direct | Path::Slow => LONGEST,
        }
    }

    fn percent_of_big(&self, percent: u64) -> u64 {
        self.scene.sizes().big() / 100 * percent
    }

    fn begin(&self, side: Side, plan: Plan) -> Result {
        self.scene.registry(side).door(self.protocol)?.link.begin(plan);
        Ok(())
    }

    fn wire(&self, temporary: u64) -> Result<Wire> {
        let counts = |side| -> Result<_> { Ok(self.scene.registry(side).door(self.protocol)?.link.counts()) };
        Ok(Wire { from: counts(Side::From)?, to: counts(Side::To)?, temporary })
    }

    /// Returns the CPU time of both registries.
    fn registry_cpu(&self) -> Result<Duration> {
        let cpu = |side| -> Result<_> { Ok(self.scene.registry(side).door(self.protocol)?.cpu()) };
        Ok(cpu(Side::From)? + cpu(Side::To)?)
    }
}

/// Returns the outcome of a run for which neither the link nor the CPU time of the registries was measured.
pub(super) fn without_wire(sample: Sample) -> Outcome {
    Outcome { sample, registry_cpu: Duration::ZERO, wire: None }
}
