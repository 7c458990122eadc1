//! The Flatpak: a person installs the bundle, makes a machine from a medium that Berth is given
//! through the document portal, sees it boot, and takes Berth away again. Needs the system's
//! Flatpak, and is started by `make flatpak-test`.

mod outside;
mod portal;

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use berth_tests::desktop::{App, Desktop, Wizard, connect, patience, wait};
use berth_tests::image;
use gio::glib;

use self::outside::{Service, files, outside, run};
use self::portal::Portal;

const ID: &str = "io.github.berth_vm.Berth";

/// More than 32 bits count.
const LARGE: u64 = 5 << 30;

/// Of what is inhibited (XDG Desktop Portal, “Inhibit”).
const SUSPEND: u32 = 4;

/// How long the firmware and GRUB may take, also where `/dev/kvm` is an emulator.
const BOOT: Duration = Duration::from_secs(400);

/// Where the portals are started from; D-Bus's services are none of this session's.
const PORTALS: &str = "/usr/libexec";

/// A variable with a path, which `flatpak/test` sets.
fn path(variable: &str) -> PathBuf {
    env::var_os(variable).unwrap_or_else(|| panic!("{variable}: use `make flatpak-test`")).into()
}

/// The folder for what lives no longer than a session.
fn runtime() -> PathBuf {
    Path::new("/run/user").join(rustix::process::getuid().as_raw().to_string())
}

/// A person's session with a Flatpak installation of their own.
struct Session {
    desktop: Desktop,
}

impl Session {
    fn command(&self, program: &str) -> Command {
        let mut command = self.desktop.command(program);
        command.env("FLATPAK_USER_DIR", self.installation());
        // Where sandboxes have theirs, too: paths in it are the same inside and outside.
        command.env("XDG_RUNTIME_DIR", runtime());
        command
    }

    fn flatpak(&self, words: &[&str]) -> String {
        let mut command = self.command("flatpak");
        run(command.args(words))
    }

    /// The folder of this person's Flatpaks.
    fn installation(&self) -> PathBuf {
        self.desktop.home().join("flatpak")
    }

    /// Where Berth's files are in this session, by Flatpak's rules.
    fn data(&self) -> PathBuf {
        self.desktop.home().join(".var/app").join(ID)
    }

    /// Checks that passt starts in the sandbox, which keeps it from making namespaces.
    fn passt_starts(&self) {
        let root = rustix::process::getuid().is_root();
        let user = if root { "--runas 0" } else { "" };
        let passt = format!("timeout 3 passt --foreground {user} --socket /tmp/passt.sock; true");
        let said = self.flatpak(&["run", "--user", "--command=sh", ID, "-c", &passt]);
        assert!(said.contains("UNIX domain socket bound"), "{said}");
        for trouble in ["namespace", "detach", "Failed"] {
            assert!(!said.contains(trouble), "{said}");
        }
    }

    /// The document portal, through which a sandbox sees single files of the person's.
    fn portals(&self) -> [Service; 2] {
        let mut unmount = self.command("fusermount3");
        unmount.arg("-uz").arg(runtime().join("doc"));
        let start = |name: &str| self.command(&format!("{PORTALS}/{name}"));
        let permissions = Service::start(&start("xdg-permission-store"), self.command("true"));
        let portal = Service::start(&start("xdg-document-portal"), unmount);
        [portal, permissions]
    }

    /// What the desktop does when somebody opens `file` with Berth: the `Exec` line of the desktop
    /// file that was installed (Desktop Entry Specification 1.5).
    fn open(&self, file: &Path) -> Command {
        let name = file.to_str().expect("text");
        self.exported(&format!("applications/{ID}.desktop"), "Desktop Entry", name)
    }

    /// What the session's bus does when somebody calls Berth and it is not there (D-Bus
    /// Specification, “Message Bus Starting Services”).
    fn service(&self) -> Command {
        self.exported(&format!("dbus-1/services/{ID}.service"), "D-BUS Service", "")
    }

    /// The `Exec` line of a file that was installed for the desktop, for `file`.
    fn exported(&self, path: &str, group: &str, file: &str) -> Command {
        let path = self.installation().join("exports/share").join(path);
        let keys = glib::KeyFile::new();
        keys.load_from_file(&path, glib::KeyFileFlags::NONE)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let line = keys.string(group, "Exec").expect("a command line");
        let words = glib::shell_parse_argv(line.as_str()).expect("a command line");
        let words = words.iter().map(|word| word.to_str().expect("text"));
        let mut words = words.map(|word| if word == "%f" { file } else { word });
        let mut command = self.command(words.next().expect("a program"));
        command.args(words);
        command
    }

    /// Asks Berth for its window over D-Bus, as a desktop does, as soon as it is there.
    fn activate(&self) -> std::thread::JoinHandle<()> {
        let address = self.desktop.session_address().to_owned();
        std::thread::spawn(move || {
            let bus = connect(&address);
            let platform_data = glib::VariantDict::new(None).end();
            let call = || {
                bus.call_sync(
                    Some(ID),
                    &format!("/{}", ID.replace('.', "/")),
                    "org.freedesktop.Application",
                    "Activate",
                    Some(&glib::Variant::tuple_from_iter([&platform_data])),
                    None,
                    gio::DBusCallFlags::NO_AUTO_START,
                    -1,
                    None::<&gio::Cancellable>,
                )
                .ok()
            };
            wait(patience(), call).expect("Berth answers over D-Bus");
        })
    }
}

#[test]
fn installs_boots_a_machine_and_leaves_only_its_data() {
    let session = Session { desktop: Desktop::start("flatpak") };
    let bundle = path("BERTH_FLATPAK");
    let runtimes = path("BERTH_FLATPAK_RUNTIMES");
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    session.flatpak(&["remote-add", "--user", "--no-gpg-verify", "runtimes", &text(&runtimes)]);
    session.flatpak(&["install", "--user", "--noninteractive", &text(&bundle)]);
    let permissions = session.flatpak(&["info", "--user", "--show-permissions", ID]);
    assert!(permissions.contains("devices=dri;kvm;"), "{permissions}");
    for none in ["filesystems=", "[Session Bus Policy]", "[System Bus Policy]", "features="] {
        assert!(!permissions.contains(none), "{none} is more than Berth needs:\n{permissions}");
    }

    session.passt_starts();

    let (portals, portal) = (session.portals(), Portal::start(&session.desktop));
    let mut mounted = session.command("test");
    mounted.arg("-d").arg(runtime().join("doc/by-app"));
    let mounted =
        wait(patience(), || outside(&mounted).status().is_ok_and(|s| s.success()).then_some(()));
    mounted.expect("the document portal");
    // Where no permission of Berth's reaches.
    let medium = session.desktop.home().join("medium.iso");
    std::fs::copy(image("grub.iso"), &medium).expect("a copy of the medium");
    // The portal's file system has to take large files, too.
    let file = File::options().write(true).open(&medium).expect("the copy");
    file.set_len(LARGE).expect("a file with a hole");

    let app = App::run_out_of_sight(&session.desktop, outside(&session.open(&medium)));
    let wizard = Wizard::shown(&app);
    app.find("label", "medium.iso");
    app.milestone("wizard");
    wizard.next("Memory and Processors");
    wizard.enter("Memory", "128 MiB");
    wizard.next("Disk");
    wizard.next("Review");
    // Which every `/dev/kvm` runs.
    app.click_on(&app.find("label", "Firmware"), 1);
    app.find("label", "BIOS");
    app.key("Down");
    app.key("Return");
    app.gone("label", "UEFI");
    app.milestone("review");
    wizard.create();
    app.find("list item", "[^,]*, Running");
    app.until_within(BOOT, "GRUB's menu", || app.screen().contains("*BERTH GRUB ready"));
    app.milestone("menu");
    let inhibited = portal.asked("Inhibit");
    let flags: u32 = inhibited.child_value(1).get().expect("flags");
    assert_eq!(flags & SUSPEND, SUSPEND, "the computer may fall asleep under a machine");

    // Without a window, and back.
    app.press("button", "Close");
    app.find("alert dialog", "Keep Running in the Background.");
    app.press("button", "Keep Running");
    app.until("the window is hidden", || session.desktop.x11().windows() == 0);
    let options = glib::VariantDict::new(Some(&portal.asked("RequestBackground").child_value(1)));
    assert_eq!(options.lookup::<String>("reason"), Ok(Some("A machine is running.".into())));
    session.activate().join().expect("it is shown");
    app.find("list item", "[^,]*, Running");
    app.milestone("back");

    app.press("toggle button", "Machine Menu");
    app.press("menu item", "Force Off…");
    app.press("button", "Force Off");
    app.find("list item", "[^,]*, Off");
    app.quit();

    let shown = session.activate();
    let app = App::run_out_of_sight(&session.desktop, outside(&session.service()));
    shown.join().expect("it is shown");
    app.find("list item", "[^,]*, Off");
    app.milestone("started-over-d-bus");
    app.quit();
    drop((portals, portal));

    session.flatpak(&["uninstall", "--user", "--noninteractive", ID]);
    // Flatpak leaves folders without files.
    let left = files(session.desktop.home());
    let left: Vec<_> = left.iter().filter(|file| file.to_string_lossy().contains(ID)).collect();
    assert!(left.iter().all(|file| file.starts_with(session.data())), "{left:?}");
    let machine = session.data().join("data/berth/medium");
    for file in ["machine.toml", "disk.qcow2"] {
        assert!(machine.join(file).is_file(), "the person's machine is still there: {left:?}");
    }
}
