//! From the start of the process to a window that can be used, and what it takes of memory.
//!
//! Usable is a window when the first machine of its list stands in the accessibility tree, or what is
//! said when there is none: then it has been laid out and answers. Nothing more is looked for, since
//! looking through a hundred machines takes longer than anything that is measured. virt-manager's machines are those of libvirt's test driver,
//! which runs in its process and makes nothing up but the machines.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use berth_tests::desktop::{Desktop, new_machines};
use berth_tests::{Bench, Better, Row, Side, berth, proportional};
use regex::Regex;

/// How long a window may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Between two looks at whether it is there.
const LOOK: Duration = Duration::from_millis(4);

/// How long a window gets to come to rest before its memory is looked at.
const REST: Duration = Duration::from_secs(3);

fn main() {
    let bench = Bench::from_environment("window").against("virt-manager");
    let mut empty = Row::new("start to window, no machines", "s", 0.5, Better::Lower);
    let mut full = Row::new("start to window, 100 machines", "s", 0.5, Better::Lower);
    let mut more = Row::bounded("100 machines more than none", "s", 0.1, Better::Lower);
    let mut memory = Row::bounded("memory, 20 machines, none running", "MiB", 100.0, Better::Lower);
    let mut rows = Vec::new();
    if bench.wants("start to window") {
        let (none, hundred) = (Stage::new("window-0", 0), Stage::new("window-100", 100));
        for side in [Side::Berth, Side::Peer] {
            // The first start reads everything from disk.
            none.start(side);
            hundred.start(side);
        }
        for side in bench.turns() {
            let some = none.start(side).0.as_secs_f64();
            let all = hundred.start(side).0.as_secs_f64();
            empty.add(side, some);
            full.add(side, all);
            more.add(side, all - some);
        }
        rows.extend([empty, full, more]);
    }
    if bench.wants("memory") {
        let twenty = Stage::new("window-20", 20);
        for side in bench.turns() {
            let (_, program) = twenty.start(side);
            thread::sleep(REST);
            memory.add(side, proportional(program.0.id()));
        }
        rows.push(memory);
    }
    bench.finish(&rows);
}

/// A desktop with this many machines for either side.
struct Stage {
    desktop: Desktop,
    machines: usize,
    /// libvirt's.
    node: PathBuf,
}

impl Stage {
    fn new(name: &str, machines: usize) -> Self {
        let desktop = Desktop::start(name);
        let names: Vec<_> = (1..=machines).map(|number| format!("vm-{number:03}")).collect();
        new_machines(&desktop, &names);
        let node = desktop.home().join("node.xml");
        fs::write(&node, libvirt(&names)).expect("libvirt's machines");
        Self { desktop, machines, node }
    }

    /// Starts one and waits until it can be used; how long that took.
    fn start(&self, side: Side) -> (Duration, Program) {
        let mut command = match side {
            Side::Berth => {
                let mut command = self.desktop.command(berth());
                command.arg("open");
                command
            }
            Side::Peer => {
                let mut command = self.desktop.command("virt-manager");
                let uri = format!("test://{}", self.node.display());
                command.args(["--no-fork", "--connect", &uri]);
                command
            }
        };
        let start = Instant::now();
        let program = Program::start(&mut command, &self.desktop.out().join(side.name()));
        while !self.is_usable(side, program.0.id()) {
            assert!(start.elapsed() < LIMIT, "{}: no window", side.name());
            thread::sleep(LOOK);
        }
        (start.elapsed(), program)
    }

    fn is_usable(&self, side: Side, id: u32) -> bool {
        let Some(program) = self.desktop.program(id) else { return false };
        let sees = |role: &str, name: &str| {
            let name = Regex::new(name).expect("a regular expression");
            program.find(role, &name).is_some()
        };
        match (side, self.machines) {
            (Side::Berth, 0) => sees("label", "^No Virtual Machines Yet$"),
            (Side::Berth, _) => sees("list item", "^vm-001, Off$"),
            (Side::Peer, 0) => sees("table cell", "node.xml"),
            (Side::Peer, _) => sees("table cell", "vm-001"),
        }
    }
}

/// Machines for libvirt's test driver (libvirt.org/drvtest.html).
fn libvirt(names: &[String]) -> String {
    let mut text = String::from("<node>\n");
    for name in names {
        writeln!(
            text,
            "<domain type='test'><name>{name}</name><memory unit='MiB'>512</memory>\
             <vcpu>1</vcpu><os><type>hvm</type></os></domain>"
        )
        .expect("text can be written to");
    }
    text + "</node>\n"
}

/// A running program. Ended when dropped.
struct Program(Child);

impl Program {
    fn start(command: &mut Command, log: &Path) -> Self {
        let log = fs::File::create(log.with_extension("log")).expect("a log file");
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("the file")).stderr(log);
        let child = command.spawn();
        Self(child.unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display())))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Nothing to end when it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
