//! QEMU, the peer that the benchmarks compare with.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use regex::Regex;
use serde_json::{Value, json};

use crate::{Running, output};

/// How long QEMU may take to open its monitor.
const MONITOR: Duration = Duration::from_secs(30);

/// VGA text memory: 80 by 25 characters, each with its attributes.
const TEXT: (u64, usize) = (0xb8000, 80 * 25 * 2);

/// A QEMU to be started, with KVM and what Berth's machine has.
#[derive(Debug)]
pub struct Qemu {
    command: Command,
    folder: PathBuf,
    limit: Duration,
    drives: u32,
}

impl Qemu {
    /// A PC as Berth's: Q35, VGA, AHCI. Its folder gets `serial.log` and `messages.log`.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn q35(name: &str, limit: Duration) -> Self {
        Self::new(name, limit, "q35").args(["-device", "VGA"])
    }

    /// The small machine for kernels alone.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn microvm(name: &str, limit: Duration) -> Self {
        Self::new(name, limit, "microvm")
    }

    /// The small machine with PCI, for virtio devices that every system finds.
    ///
    /// # Panics
    /// When the folder cannot be made.
    #[must_use]
    pub fn microvm_with_pci(name: &str, limit: Duration) -> Self {
        Self::new(name, limit, "microvm,pcie=on")
    }

    fn new(name: &str, limit: Duration, machine: &str) -> Self {
        let folder = output(name).expect("a folder for what the run leaves");
        let program = std::env::var_os("BERTH_PEER").unwrap_or("qemu-system-x86_64".into());
        let command = Command::new(program);
        Self { command, folder, limit, drives: 0 }
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            // Where its files are, also for a copy of the program.
            .args(["-L", "/usr/share/qemu", "-L", "/usr/share/seabios"])
            .args(["-accel", "kvm", "-cpu", "host", "-machine", machine])
            .args(["-chardev", "stdio,id=serial,signal=off", "-serial", "chardev:serial"])
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Starts with OVMF instead of SeaBIOS, its variables in the run's folder.
    ///
    /// # Panics
    /// When OVMF is not there.
    #[must_use]
    pub fn uefi(self) -> Self {
        let variables = self.folder.join("variables.fd");
        fs::copy("/usr/share/OVMF/OVMF_VARS_4M.fd", &variables).expect("OVMF is installed");
        self.arg("-drive")
            .arg("if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd")
            .arg("-drive")
            .arg(joined("if=pflash,format=raw,file=", &variables))
    }

    /// Adds an ISO image in a drive on the next port of the AHCI controller.
    #[must_use]
    pub fn iso(self, path: &Path) -> Self {
        self.drive("ide-cd", "raw,media=cdrom,readonly=on", path)
    }

    /// Adds a disk on the next port of the AHCI controller.
    #[must_use]
    pub fn disk(self, path: &Path, format: &str) -> Self {
        self.drive("ide-hd", format, path)
    }

    /// Adds a virtio disk with a thread of its own, whose files are read and written by io_uring.
    #[must_use]
    pub fn virtio_disk(mut self, path: &Path, format: &str) -> Self {
        let number = self.drives;
        self.drives += 1;
        let drive =
            format!("if=none,id=d{number},format={format},aio=io_uring,discard=unmap,file=");
        self.args(["-object", &format!("iothread,id=t{number}")])
            .arg("-drive")
            .arg(joined(&drive, path))
            .arg("-device")
            .arg(format!("virtio-blk-pci,drive=d{number},iothread=t{number}"))
    }

    fn drive(mut self, device: &str, format: &str, path: &Path) -> Self {
        let number = self.drives;
        self.drives += 1;
        self.arg("-drive")
            .arg(joined(&format!("if=none,id=d{number},format={format},file="), path))
            .arg("-device")
            .arg(format!("{device},drive=d{number},bus=ide.{number}"))
    }

    /// Starts it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(self) -> Running {
        Running::start(self.command, &self.folder, self.limit)
    }

    /// Starts it with a monitor.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start_with_monitor(self) -> (Running, Monitor) {
        let folder = tempfile::tempdir().expect("a folder for the monitor's socket");
        let socket = folder.path().join("socket");
        let running = self
            .arg("-chardev")
            .arg(joined("socket,id=monitor,server=on,wait=off,path=", &socket))
            .args(["-mon", "chardev=monitor,mode=control"])
            .start();
        (running, Monitor::connect(&socket, folder))
    }
}

/// An option whose value is a path; commas in it are doubled.
fn joined(option: &str, path: &Path) -> OsString {
    let path = path.to_str().expect("paths of tests are text");
    format!("{option}{}", path.replace(',', ",,")).into()
}

/// QEMU's machine protocol.
#[derive(Debug)]
pub struct Monitor {
    stream: BufReader<UnixStream>,
    folder: tempfile::TempDir,
}

impl Monitor {
    fn connect(socket: &Path, folder: tempfile::TempDir) -> Self {
        let deadline = Instant::now() + MONITOR;
        let stream = loop {
            match UnixStream::connect(socket) {
                Ok(stream) => break stream,
                Err(error) => assert!(Instant::now() < deadline, "QEMU's monitor: {error}"),
            }
            thread::sleep(Duration::from_millis(5));
        };
        let mut monitor = Self { stream: BufReader::new(stream), folder };
        monitor.read();
        monitor.execute("qmp_capabilities", &json!({}));
        monitor
    }

    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("QEMU's monitor answers");
        serde_json::from_str(&line).expect("an answer in JSON")
    }

    fn execute(&mut self, command: &str, arguments: &Value) {
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.stream.get_mut(), "{request}").expect("QEMU's monitor listens");
        // Events may come in between.
        let answer = loop {
            let answer = self.read();
            if answer.get("event").is_none() {
                break answer;
            }
        };
        assert!(answer.get("return").is_some(), "{command}: {answer}");
    }

    /// Looks at the screen, in text mode, every `period` until `pattern` stands there.
    ///
    /// # Panics
    /// When it does not within `limit`.
    pub fn until_screen(&mut self, pattern: &str, period: Duration, limit: Duration) {
        let regex = Regex::new(pattern).expect("a regular expression");
        let deadline = Instant::now() + limit;
        let path = self.folder.path().join("text");
        let (address, size) = TEXT;
        loop {
            self.execute("pmemsave", &json!({ "val": address, "size": size, "filename": path }));
            let cells = fs::read(&path).expect("QEMU saves memory");
            let text: String = cells.iter().step_by(2).map(|byte| char::from(*byte)).collect();
            if regex.is_match(&text) {
                return;
            }
            assert!(Instant::now() < deadline, "waited for “{pattern}” on the screen:\n{text}");
            thread::sleep(period);
        }
    }
}
