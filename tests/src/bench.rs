//! Benchmarks: runs of Berth and of its peer in turn, their medians in a table and in a file.
//!
//! In the environment: `BENCH_RUNS`, how many runs each (5). Words on the command line choose the
//! rows whose name contains one of them.

use std::env;
use std::fs;

use serde::Serialize;

use crate::from_environment;

/// How many runs each, unless the environment says otherwise.
const RUNS: usize = 5;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Berth.
    Berth,
    /// What it is compared with.
    Peer,
}

impl Side {
    /// A name for files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Berth => "berth",
            Self::Peer => "peer",
        }
    }
}

/// Which values are good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Small ones.
    Lower,
    /// Large ones.
    Higher,
}

/// One thing measured.
#[derive(Debug)]
pub struct Row {
    name: String,
    unit: &'static str,
    /// What the ratio, Berth to peer, should not be worse than.
    target: Option<f64>,
    better: Better,
    /// Berth's own value should not be worse than this, whatever the peer's is.
    limit: Option<f64>,
    berth: Vec<f64>,
    peer: Vec<f64>,
}

impl Row {
    /// A row whose ratio, Berth to peer, should not be worse than `target`.
    #[must_use]
    pub fn new(name: impl Into<String>, unit: &'static str, target: f64, better: Better) -> Self {
        Self { target: Some(target), ..Self::bare(name.into(), unit, better) }
    }

    /// A row in which Berth's own value should not be worse than `limit`, in the row's unit; the
    /// peer's is there to compare with.
    #[must_use]
    pub fn bounded(
        name: impl Into<String>,
        unit: &'static str,
        limit: f64,
        better: Better,
    ) -> Self {
        Self { limit: Some(limit), ..Self::bare(name.into(), unit, better) }
    }

    fn bare(name: String, unit: &'static str, better: Better) -> Self {
        let (berth, peer) = (Vec::new(), Vec::new());
        Self { name, unit, target: None, better, limit: None, berth, peer }
    }

    /// Adds the result of a run.
    pub fn add(&mut self, side: Side, value: f64) {
        let unit = self.unit;
        eprintln!("{}: {}: {value:.3} {unit}", self.name, side.name());
        match side {
            Side::Berth => self.berth.push(value),
            Side::Peer => self.peer.push(value),
        }
    }

    fn result(&self) -> Measurement<'_> {
        let (berth, peer) = (median(&self.berth), median(&self.peer));
        Measurement {
            name: &self.name,
            unit: self.unit,
            berth,
            peer,
            ratio: berth / peer,
            target: self.target,
            limit: self.limit,
            higher_is_better: self.better == Better::Higher,
        }
    }
}

/// A row as it stands in the file.
#[derive(Debug, Serialize)]
struct Measurement<'a> {
    name: &'a str,
    unit: &'a str,
    /// Medians.
    berth: f64,
    peer: f64,
    /// Berth to peer.
    ratio: f64,
    /// Of the ratio.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<f64>,
    /// Of Berth's own value.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<f64>,
    higher_is_better: bool,
}

impl Measurement<'_> {
    fn verdict(&self) -> &'static str {
        let good = |value: f64, bound: f64| match self.higher_is_better {
            true => value >= bound,
            false => value <= bound,
        };
        let within = self.limit.is_none_or(|limit| good(self.berth, limit))
            && self.target.is_none_or(|target| good(self.ratio, target));
        if within { "reached" } else { "missed" }
    }
}

/// A benchmark program.
#[derive(Debug)]
pub struct Bench {
    name: &'static str,
    peer: &'static str,
    words: Vec<String>,
    runs: usize,
}

impl Bench {
    /// The benchmark called `name`, as the command line and the environment ask for it.
    ///
    /// # Panics
    /// When the environment makes no sense.
    #[must_use]
    pub fn from_environment(name: &'static str) -> Self {
        // Cargo adds --bench.
        let words = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
        let runs = env::var("BENCH_RUNS").map_or(RUNS, |runs| {
            runs.parse().ok().filter(|runs| *runs > 0).expect("BENCH_RUNS is a number")
        });
        Self { name, peer: "QEMU", words, runs }
    }

    /// The benchmark with another peer than QEMU.
    #[must_use]
    pub fn against(self, peer: &'static str) -> Self {
        Self { peer, ..self }
    }

    /// Whether rows of this name are asked for.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        let chosen = |word: &String| name.contains(word) || self.name.contains(word);
        self.words.is_empty() || self.words.iter().any(chosen)
    }

    /// Who runs when: each as often as the other, by turns, neither always first.
    pub fn turns(&self) -> impl Iterator<Item = Side> + use<> {
        (0..self.runs).flat_map(|run| match run % 2 {
            0 => [Side::Berth, Side::Peer],
            _ => [Side::Peer, Side::Berth],
        })
    }

    /// Prints the table and writes the file.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn finish(self, rows: &[Row]) {
        if rows.is_empty() {
            return;
        }
        let results: Vec<_> = rows.iter().map(Row::result).collect();
        println!("\n{}, medians of {} runs each", self.name, self.runs);
        println!("{:44} {:>16} {:>16} {:>7} {:>9}", "", "Berth", self.peer, "ratio", "target");
        for result in &results {
            let sign = if result.higher_is_better { "≥" } else { "≤" };
            let bound = match (result.target, result.limit) {
                (Some(target), _) => format!("{sign} {target:.2}"),
                (None, limit) => format!("{sign} {:.1} {}", limit.unwrap_or(f64::NAN), result.unit),
            };
            println!(
                "{:44} {:>16} {:>16} {:>7.2} {bound:>9} {}",
                result.name,
                format!("{:.2} {}", result.berth, result.unit),
                format!("{:.2} {}", result.peer, result.unit),
                result.ratio,
                result.verdict()
            );
        }
        for row in rows {
            let (berth, peer) = (list(&row.berth), list(&row.peer));
            println!("    {}: Berth {berth}, {} {peer}", row.name, self.peer);
        }
        let folder = from_environment("BERTH_E2E_OUT", "target/bench");
        fs::create_dir_all(&folder).expect("a folder for the results");
        let text = serde_json::to_string_pretty(&results).expect("results are JSON");
        let path = folder.join(self.name).with_extension("json");
        fs::write(path, text + "\n").expect("the results can be written");
    }
}

fn list(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.2}")).collect::<Vec<_>>().join(" ")
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len() / 2, sorted.len() % 2) {
        (0, 0) => f64::NAN,
        (half, 0) => f64::midpoint(sorted[half - 1], sorted[half]),
        (half, _) => sorted[half],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]).to_bits(), 2f64.to_bits());
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]).to_bits(), 2.5f64.to_bits());
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn both_take_turns() {
        let bench = Bench { name: "test", peer: "QEMU", words: Vec::new(), runs: 3 };
        let turns: Vec<_> = bench.turns().collect();
        assert_eq!(turns.iter().filter(|side| **side == Side::Berth).count(), 3);
        assert_eq!(turns[..2], [Side::Berth, Side::Peer]);
        assert_eq!(turns[2..4], [Side::Peer, Side::Berth]);
    }

    #[test]
    fn words_choose_rows() {
        let words = |words: &[&str]| Bench {
            name: "firmware",
            peer: "QEMU",
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            runs: 1,
        };
        assert!(words(&[]).wants("UEFI"));
        assert!(words(&["UEFI", "disk"]).wants("start to menu, UEFI"));
        assert!(words(&["firmware"]).wants("start to menu, BIOS"));
        assert!(!words(&["UEFI"]).wants("start to menu, BIOS"));
    }
}
