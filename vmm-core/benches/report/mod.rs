//! What a benchmark found, on the terminal and for programs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// A benchmark's figures.
#[derive(Default)]
pub(crate) struct Report(Vec<Value>);

impl Report {
    /// A figure that is better when smaller.
    #[allow(dead_code, reason = "not every benchmark has one")]
    pub(crate) fn figure(&mut self, name: &str, unit: &str, value: f64, target: f64) {
        self.add(name, unit, value, target, false);
    }

    /// A figure that is better when larger.
    #[allow(dead_code, reason = "not every benchmark has one")]
    pub(crate) fn rate(&mut self, name: &str, unit: &str, value: f64, target: f64) {
        self.add(name, unit, value, target, true);
    }

    /// A figure that is better when larger, and a peer's.
    #[allow(dead_code, reason = "not every benchmark has one")]
    pub(crate) fn ratio(&mut self, name: &str, unit: &str, value: f64, peer: f64) {
        let ratio = value / peer;
        println!("{name}: {value:.0} {unit}, {peer:.0} {unit}, ratio {ratio:.2}");
        self.0.push(json!({
            "name": name, "unit": unit, "berth": value, "peer": peer, "ratio": ratio,
            "target": 1.0, "higher_is_better": true,
        }));
    }

    fn add(&mut self, name: &str, unit: &str, value: f64, target: f64, higher_is_better: bool) {
        println!("{name}: {value:.2} {unit} (target {target})");
        self.0.push(json!({
            "name": name, "unit": unit, "berth": value, "peer": null, "ratio": null,
            "target": target, "higher_is_better": higher_is_better,
        }));
    }

    /// Writes `target/bench/NAME.json`.
    pub(crate) fn write(self, name: &str) {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench"));
        let path = folder.join(name).with_extension("json");
        let text = serde_json::to_string_pretty(&self.0).expect("figures are JSON");
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&path, text))
            .expect("target can be written");
        println!("written to {}", path.display());
    }
}
