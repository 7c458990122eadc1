//! A desktop for one test: an X server without a screen, a session bus, an accessibility bus, and
//! folders of its own for all that programs keep.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use gio::glib::{self, Variant};
use gio::prelude::*;
use gio::{DBusCallFlags, DBusConnection, DBusConnectionFlags};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::X11;
use super::accessible::Accessible;
use crate::{Picture, output};

/// The screen: what GTK's smallest common laptop has.
const SCREEN: &str = "1280x800x24";

/// Where the accessibility bus is found, which belongs to no package's `bin`.
const LAUNCHERS: [&str; 3] = [
    "/usr/libexec/at-spi-bus-launcher",
    "/usr/lib/at-spi-bus-launcher",
    "/usr/lib/at-spi2-core/at-spi-bus-launcher",
];

/// The service that knows all programs.
pub(super) const REGISTRY: &str = "org.a11y.atspi.Registry";

/// The path of the object below which all of a program is, and of the one with all programs.
pub(super) const ROOT: &str = "/org/a11y/atspi/accessible/root";

/// A session bus on which no service starts by itself: no portals and no settings of this system's.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir=FOLDER</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// A desktop. Everything on it ends when it is dropped.
#[derive(Debug)]
pub struct Desktop {
    out: PathBuf,
    /// How many pictures there are.
    pictures: Cell<u32>,
    accessibility: DBusConnection,
    accessibility_address: String,
    x11: X11,
    display: String,
    session_address: String,
    home: TempDir,
    // Ended in this order.
    _launcher: Group,
    _session_bus: Group,
    x_server: Group,
}

impl Desktop {
    /// Where its session bus is.
    #[must_use]
    pub fn session_address(&self) -> &str {
        &self.session_address
    }

    /// A desktop for the test of this name, whose pictures go to a folder of this name.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str) -> Self {
        let out = output(&format!("ui/{name}")).expect("a folder for what the test leaves");
        let home = tempfile::tempdir().expect("a folder for the session");
        for folder in ["data", "config", "cache", "state", "run"] {
            fs::create_dir(home.path().join(folder)).expect("a folder of the session");
        }
        // As every runtime folder must be.
        fs::set_permissions(home.path().join("run"), fs::Permissions::from_mode(0o700))
            .expect("permissions");

        let mut x_server = Command::new("Xvfb");
        x_server.args(["-displayfd", "1", "-screen", "0", SCREEN, "-nolisten", "tcp", "-noreset"]);
        let (x_server, number) = Group::start_and_read(&mut x_server, &out.join("xvfb.log"));
        let display = format!(":{number}");

        let config = home.path().join("bus.conf");
        let folder = home.path().join("run").display().to_string();
        fs::write(&config, BUS.replace("FOLDER", &folder)).expect("the bus's configuration");
        let mut session_bus = Command::new("dbus-daemon");
        session_bus.arg("--config-file").arg(&config).args(["--nofork", "--print-address=1"]);
        let (session_bus, session_address) =
            Group::start_and_read(&mut session_bus, &out.join("dbus.log"));

        let launcher = LAUNCHERS.iter().find(|path| Path::new(path).exists());
        let mut launcher = Command::new(launcher.expect("at-spi2-core is installed"));
        launcher.arg("--launch-immediately");
        environment(&mut launcher, home.path(), &display, &session_address);
        let launcher = Group::start(&mut launcher, &out.join("at-spi.log"));
        let accessibility_address = accessibility_address(&session_address);
        let accessibility = connect(&accessibility_address);

        let desktop = Self {
            out,
            pictures: Cell::new(0),
            accessibility,
            accessibility_address,
            x11: X11::connect(&display),
            display,
            session_address,
            home,
            _launcher: launcher,
            _session_bus: session_bus,
            x_server,
        };
        // It must be there before the first program.
        start_service(&desktop.accessibility, REGISTRY);
        desktop
    }

    /// A command to run a program on this desktop.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        environment(&mut command, self.home.path(), &self.display, &self.session_address);
        command
    }

    /// The folder that is home to programs on this desktop, with `data`, `config` and others.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The folder for what the test leaves behind.
    #[must_use]
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// Keys and pointer.
    #[must_use]
    pub fn x11(&self) -> &X11 {
        &self.x11
    }

    /// The address of the accessibility bus.
    #[must_use]
    pub fn accessibility_address(&self) -> &str {
        &self.accessibility_address
    }

    /// The X server's name, such as `:7`.
    pub(super) fn display(&self) -> &str {
        &self.display
    }

    /// The X server's process.
    pub(super) fn x_server(&self) -> u32 {
        self.x_server.0.id()
    }

    /// The programs that can be seen in the accessibility tree.
    #[must_use]
    pub fn programs(&self) -> Vec<Accessible> {
        Accessible::new(&self.accessibility, REGISTRY, ROOT).children().unwrap_or_default()
    }

    /// The program with this process id, when it can be seen.
    #[must_use]
    pub fn program(&self, id: u32) -> Option<Accessible> {
        let owned = |program: &Accessible| process_of(&self.accessibility, program.owner());
        self.programs().into_iter().find(|program| owned(program) == Some(id))
    }

    /// Keeps a picture of the screen as NUMBER-NAME.png, and answers with it.
    ///
    /// # Panics
    /// When it cannot be kept.
    pub fn screenshot(&self, name: &str) -> Picture {
        let picture = self.x11.picture();
        let number = self.pictures.get() + 1;
        self.pictures.set(number);
        let name = format!("{number:02}-{name}");
        picture.write(&self.out.join(name).with_extension("png"));
        picture
    }
}

fn environment(command: &mut Command, home: &Path, display: &str, session_bus: &str) {
    let at = |name: &str| home.join(name);
    command
        .env("HOME", home)
        .env("XDG_DATA_HOME", at("data"))
        .env("XDG_CONFIG_HOME", at("config"))
        .env("XDG_CACHE_HOME", at("cache"))
        .env("XDG_STATE_HOME", at("state"))
        .env("XDG_RUNTIME_DIR", at("run"))
        .env("DISPLAY", display)
        .env("DBUS_SESSION_BUS_ADDRESS", session_bus)
        .env("GDK_BACKEND", "x11")
        // GTK does not find out by itself that there is no GPU.
        .env("GSK_RENDERER", "cairo")
        .env("GTK_A11Y", "atspi")
        // Kept in the session's folder, without a service.
        .env("GSETTINGS_BACKEND", "keyfile")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("XAUTHORITY")
        .env_remove("LANGUAGE");
}

fn accessibility_address(session_address: &str) -> String {
    let session = connect(session_address);
    let address = super::wait(super::patience(), || {
        let answer = session.call_sync(
            Some("org.a11y.Bus"),
            "/org/a11y/bus",
            "org.a11y.Bus",
            "GetAddress",
            None,
            None,
            DBusCallFlags::NONE,
            5000,
            None::<&gio::Cancellable>,
        );
        answer.ok()?.try_child_value(0)?.get::<String>().filter(|address| !address.is_empty())
    });
    address.expect("an accessibility bus")
}

/// Connects to the bus at `address`.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn connect(address: &str) -> DBusConnection {
    let flags =
        DBusConnectionFlags::AUTHENTICATION_CLIENT | DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
    DBusConnection::for_address_sync(address, flags, None, None::<&gio::Cancellable>)
        .expect("a bus that can be connected to")
}

/// What the bus itself answers.
fn ask_bus(
    bus: &DBusConnection,
    method: &str,
    arguments: &Variant,
) -> Result<Variant, glib::Error> {
    bus.call_sync(
        Some("org.freedesktop.DBus"),
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus",
        method,
        Some(arguments),
        None,
        DBusCallFlags::NONE,
        5000,
        None::<&gio::Cancellable>,
    )
}

fn start_service(bus: &DBusConnection, name: &str) {
    ask_bus(bus, "StartServiceByName", &(name, 0u32).to_variant()).expect("a service of the bus");
}

/// The process that owns a name on a bus.
fn process_of(bus: &DBusConnection, name: &str) -> Option<u32> {
    let answer = ask_bus(bus, "GetConnectionUnixProcessID", &(name,).to_variant()).ok()?;
    answer.try_child_value(0)?.get()
}

/// A process with all that it starts.
#[derive(Debug)]
struct Group(Child);

impl Group {
    fn start(command: &mut Command, log: &Path) -> Self {
        Self::spawn(command, log, false)
    }

    fn spawn(command: &mut Command, log: &Path, piped: bool) -> Self {
        let log = File::create(log).expect("a log file");
        command.stdin(Stdio::null()).stderr(log.try_clone().expect("the file")).process_group(0);
        if !piped {
            command.stdout(log);
        }
        let child = command.spawn();
        Self(child.unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display())))
    }

    /// Starts it and reads the one line that it writes when it is there.
    fn start_and_read(command: &mut Command, log: &Path) -> (Self, String) {
        let mut group = Self::spawn(command.stdout(Stdio::piped()), log, true);
        let stdout = group.0.stdout.take().expect("stdout is piped");
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("a line of text");
        assert!(!line.is_empty(), "{} did not start", command.get_program().display());
        (group, line.trim().to_owned())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            // Nobody to end when they have ended.
            let _ = kill_process_group(id, Signal::TERM);
        }
        let _ = self.0.wait();
    }
}
