//! Commands that run on the system around the Debian 13 root, where Flatpak is.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Passes a script on to `tests/lab/outside` and becomes what comes of it.
const PASS_ON: &str = r#"
    echo "$1" >requests
    until [ -e "$1.status" ]; do sleep 0.05; done
    cat "$1.out"
    exit "$(cat "$1.status")"
"#;

/// A command that has `command` run outside, in its environment, says what that says and ends as
/// that ends. Nothing comes through its standard input.
///
/// # Panics
/// When this test was not started by `tests/lab/outside`.
pub(crate) fn outside(command: &Command) -> Command {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let folder = env::var_os("BERTH_OUTSIDE").expect("BERTH_OUTSIDE: use `make flatpak-test`");
    let folder = PathBuf::from(folder);
    let name = format!("{}.sh", NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut script = Vec::new();
    for (variable, value) in command.get_envs() {
        let variable = variable.to_str().expect("a variable's name");
        script.extend(match value {
            Some(value) => [b"export ", variable.as_bytes(), b"=", &quoted(value), b"\n"].concat(),
            None => [b"unset ", variable.as_bytes(), b"\n"].concat(),
        });
    }
    script.extend(b"exec");
    for word in std::iter::once(command.get_program()).chain(command.get_args()) {
        script.push(b' ');
        script.extend(quoted(word));
    }
    script.push(b'\n');
    let file = File::create(folder.join(&name));
    file.and_then(|mut file| file.write_all(&script)).expect("a script in the shared folder");
    let mut passing_on = Command::new("sh");
    passing_on.args(["-ec", PASS_ON, "sh", &name]).current_dir(folder);
    passing_on
}

/// Runs a command outside to its end, which must be a good one, and answers with what it said.
///
/// # Panics
/// When it fails.
pub(crate) fn run(command: &Command) -> String {
    let output = outside(command).output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// A word as a shell takes it for itself.
fn quoted(word: &OsStr) -> Vec<u8> {
    let text = word.to_str().expect("text").replace('\'', r"'\''");
    format!("'{text}'").into_bytes()
}

/// A service that runs outside until this is dropped.
#[derive(Debug)]
pub(crate) struct Service {
    _passing_on: std::process::Child,
    end: Command,
}

impl Service {
    /// Starts `command`; `end` is the command that makes it end.
    ///
    /// # Panics
    /// When there is no shell.
    pub(crate) fn start(command: &Command, end: Command) -> Self {
        let passing_on = outside(command).spawn().expect("a shell");
        Self { _passing_on: passing_on, end }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = outside(&self.end).output();
    }
}

/// Every file below a folder, without following links.
///
/// # Panics
/// When a folder cannot be read.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let entry = entry.expect("an entry");
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder { &mut folders } else { &mut found }.push(entry.path());
        }
    }
    found
}
