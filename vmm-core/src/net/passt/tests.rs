//! passt played by shell scripts, and its restarts.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use super::*;
use crate::net::Wire;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);

struct Stage {
    folder: tempfile::TempDir,
    cable: Arc<Cable>,
    passt: Passt,
    warnings: async_channel::Receiver<String>,
    ups: Arc<AtomicU32>,
    downs: Arc<AtomicU32>,
}

/// A cable with a passt that is the shell script `script`.
fn stage(script: &str) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("passt");
    write_script(&program, script);
    let options = PasstOptions { program, ..PasstOptions::default() };
    let (told, warnings) = async_channel::unbounded();
    let passt = Passt::new(options, move |text| told.try_send(text).unwrap()).unwrap();
    let cable = Cable::new().unwrap();
    let (ups, downs) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let counters = (ups.clone(), downs.clone());
    cable.listen(move |up| {
        let counter = if up { &counters.0 } else { &counters.1 };
        counter.fetch_add(1, SeqCst);
    });
    Stage { folder, cable, passt, warnings, ups, downs }
}

fn write_script(program: &Path, script: &str) {
    // Written aside, as a file that is open for writing cannot be run.
    let aside = program.with_extension("new");
    // A plain sh need not know descriptors beyond 9.
    std::fs::write(&aside, format!("#!/bin/bash\n{script}\n")).unwrap();
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&aside, program).unwrap();
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LIMIT, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn breaks_grow_and_end() {
    let mut progress = Progress::default();
    let mut now = Instant::now();
    let seconds: Vec<u64> = (0..9)
        .map(|_| {
            let wait = progress.next_start(now);
            now += wait;
            wait.as_secs()
        })
        .collect();
    assert_eq!(seconds, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
    progress.told.push("something".into());
    assert_eq!(progress.next_start(now + STABLE), Duration::ZERO);
    assert!(progress.told.is_empty());
}

#[test]
fn one_that_is_missing_is_told_of_once() {
    let stage = stage("");
    std::fs::remove_file(stage.folder.path().join("passt")).unwrap();
    stage.passt.connect(&stage.cable, Offloads::empty());
    let told = stage.warnings.recv_blocking().unwrap();
    assert!(told.contains("Install the package “passt”"), "{told}");
    wait_for("the link to be down", || stage.downs.load(SeqCst) == 1);
    // The guest restarts its driver: it is looked for again.
    wait_for("the next attempt", || {
        stage.passt.connect(&stage.cable, Offloads::empty());
        stage.downs.load(SeqCst) > 1
    });
    assert!(stage.warnings.try_recv().is_err(), "told twice");
    write_script(&stage.folder.path().join("passt"), "exit 0");
    wait_for("the link", || {
        stage.passt.connect(&stage.cable, Offloads::empty());
        stage.ups.load(SeqCst) == 1
    });
    assert!(stage.cable.is_connected());
}

#[test]
fn one_that_fails_says_why_and_is_tried_again() {
    let stage = stage("echo 'Started.' >&2; printf 'Port \\0332222 is taken.\\n\\n' >&2; exit 1");
    stage.passt.connect(&stage.cable, Offloads::empty());
    let told = stage.warnings.recv_blocking().unwrap();
    assert!(told.contains("passt cannot start (Port 2222 is taken)"), "{told}");
    assert!(!stage.cable.is_connected());
    write_script(&stage.folder.path().join("passt"), "exit 0");
    wait_for("the second attempt", || stage.ups.load(SeqCst) == 1);
    assert!(stage.cable.is_connected() && stage.warnings.try_recv().is_err());
}

#[test]
fn the_process_gets_its_end_of_the_cable() {
    use std::io::{Read, Write};
    // What it is told to do with the descriptor it is given: everything comes back.
    let stage = stage(
        "while [ \"$1\" != --fd ]; do shift; done\n\
         eval \"exec 3<&$2 4>&$2\"; exec 2>&-\n\
         cat <&3 >&4 & exit 0",
    );
    stage.passt.connect(&stage.cable, Offloads::empty());
    wait_for("the link", || stage.ups.load(SeqCst) == 1);
    let wire = stage.cable.take_next().unwrap();
    let Wire::Stream(mut stream) = wire else { panic!("a stream") };
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"hello");
}

#[test]
fn the_end_comes_soon_whatever_the_process_does() {
    for script in
        ["sleep 100", "exec 2>&-; sleep 100", "exit 1", "while :; do echo words >&2; done"]
    {
        let stage = stage(script);
        stage.passt.connect(&stage.cable, Offloads::empty());
        std::thread::sleep(Duration::from_millis(50));
        let start = Instant::now();
        drop(stage.passt);
        assert!(start.elapsed() < LIMIT / 2, "{script}");
    }
}
