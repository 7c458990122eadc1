//! A dialogue with the installed Debian of `disk.qcow2` over its serial port.

use std::path::Path;
use std::time::Duration;

use crate::{Berth, Ended, Running};

/// How long a run with a Debian guest may take. In the lab, booting takes one to two minutes, on a
/// busy machine five, and some runs boot twice.
const LIMIT: Duration = Duration::from_secs(1500);

/// A running Debian, logged in.
#[derive(Debug)]
pub struct Debian(Running);

impl Debian {
    /// What stands on the serial port when the system is up.
    pub const PROMPT: &str = "berth-guest login: ";

    /// A run that starts from `disk`, a qcow2 image.
    #[must_use]
    pub fn boot(name: &str, disk: &Path) -> Berth {
        Self::boot_by(name, disk, "sata")
    }

    /// The same with the disk on another bus.
    #[must_use]
    pub fn boot_by(name: &str, disk: &Path, bus: &str) -> Berth {
        let mut option = disk.as_os_str().to_owned();
        option.push(",format=qcow2,bus=");
        option.push(bus);
        Berth::boot(name, LIMIT).arg("--disk").arg(option).args(["--from", "disk"])
    }

    /// Logs in on a machine that has just been started.
    ///
    /// # Panics
    /// When there is no login in time.
    #[must_use]
    pub fn login(running: Running) -> Self {
        let mut debian = Self(running);
        debian.login_again();
        debian
    }

    /// Logs in on a machine whose prompt for a name has been read.
    ///
    /// # Panics
    /// When there is no login in time.
    #[must_use]
    pub fn at_prompt(running: Running) -> Self {
        let mut debian = Self(running);
        debian.enter();
        debian
    }

    /// Logs in after a restart.
    ///
    /// # Panics
    /// When there is no login in time.
    pub fn login_again(&mut self) {
        self.0.expect(Self::PROMPT);
        self.enter();
    }

    fn enter(&mut self) {
        self.0.send("root\n");
        self.0.expect("Password: ");
        self.0.send("berth\n");
        self.0.expect("root@berth-guest:");
        // The kernel's messages would come in between.
        self.run("dmesg -n 1");
    }

    /// Runs a command and answers with its output.
    ///
    /// # Panics
    /// When it fails or does not end in time.
    pub fn run(&mut self, command: &str) -> String {
        // The marks are not in the line as it is typed, which comes back as an echo.
        self.0.send(&format!("echo B$((0))EGIN; {command}; echo E$((0))ND $?\n"));
        self.0.expect("B0EGIN\r?\n");
        let output = self.0.expect(r"((?s:.*?)E0ND \d+)\r?\n");
        let (output, status) = output.rsplit_once("E0ND ").expect("what was matched");
        assert_eq!(status, "0", "{command}: {output}");
        output.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim().to_owned()
    }

    /// Sends a command that does not come back, such as `poweroff`.
    pub fn begin(&mut self, command: &str) {
        self.0.send(&format!("{command}\n"));
    }

    /// The process beneath.
    pub fn process(&mut self) -> &mut Running {
        &mut self.0
    }

    /// Shuts the guest down from inside and waits for the end.
    ///
    /// # Panics
    /// When it does not end well.
    pub fn power_off(mut self) -> Ended {
        self.begin("poweroff");
        self.wait()
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it does not come in time.
    #[must_use]
    pub fn wait(self) -> Ended {
        self.0.wait()
    }
}
