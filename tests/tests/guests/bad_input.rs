//! Bad input: one clear sentence, status 1, nothing created or changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use berth_tests::{berth, image};

/// What a command says; it must fail with status 1, in one line, without a panic.
fn complaint(command: &mut Command) -> String {
    // If it runs after all it must come to an end.
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    if (has("boot") || has("run")) && !has("--timeout") {
        command.args(["--timeout", "30"]);
    }
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let message = String::from_utf8(stderr).expect("text");
    assert_eq!(status.code(), Some(1), "{command:?}: {message}");
    assert!(stdout.is_empty(), "{command:?}: {}", String::from_utf8_lossy(&stdout));
    let line = message.strip_suffix('\n').expect("a line");
    assert!(line.starts_with("berth: ") && !line.contains('\n'), "{command:?}: {message}");
    line.to_owned()
}

/// `berth` with its store in `folder`.
fn command(folder: &Path) -> Command {
    let mut command = Command::new(berth());
    command.current_dir(folder).env("XDG_DATA_HOME", folder.join("data"));
    command
}

fn qemu_img(folder: &Path, arguments: &[&str]) {
    let output = Command::new("qemu-img").current_dir(folder).args(arguments).output();
    let output = output.expect("qemu-img starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The names in `folder`, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> =
        entries.map(|entry| name(entry).to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn options() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, expected) in [
        (&["--memory", "0"][..], "64M"),
        (&["--memory", "63M"], "64M"),
        (&["--memory", "many"], "not a size"),
        (&["--memory", "-1"], "memory"),
        (&["--memory", "1000T"], "this host has"),
        (&["--memory", "99999999999999999999G"], "not a size"),
        (&["--cpus", "0"], "1 to 64"),
        (&["--cpus", "1000"], "1 to 64"),
        (&["--cpus", "two"], "1 to 64"),
        (&["--firmware", "coreboot"], "bios"),
        (&["--net", "user,forward=22"], "2222:22"),
        (&["--net", "user,forward=1:2,forward=1:3"], "twice"),
        (&["--timeout", "soon"], "seconds"),
        (&["--until-serial", "("], "regular expression"),
        (&["--type", "<nokey>"], "no key"),
        (&["--screenshot", "none/x.png"], "no such folder"),
        (&["--insert", "x.iso"], "--iso"),
        (&["--initrd", "initrd"], "--kernel"),
        (&["--frobnicate"], "--frobnicate"),
        (&["surplus"], "surplus"),
    ] {
        let line = complaint(command(folder.path()).arg("boot").args(arguments));
        assert!(line.contains(expected), "{arguments:?}: {line}");
    }
    let line = complaint(command(folder.path()).args([
        "boot",
        "--disk",
        "new.qcow2,size=1G",
        "--cpus",
        "0",
    ]));
    assert!(line.contains("1 to 64"), "{line}");
    assert_eq!(names(folder.path()), [""; 0], "nothing was created");
}

#[test]
fn media() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    fs::write(path.join("empty.iso"), "").expect("a file");
    fs::write(path.join("text.iso"), "no medium\n".repeat(1000)).expect("a file");
    fs::create_dir(path.join("folder.iso")).expect("a folder");
    let mut cut = fs::read(image("grub.iso")).expect("the image");
    cut.truncate(1_000_000);
    fs::write(path.join("cut.iso"), cut).expect("a file");
    let before = names(path);
    for (medium, expected) in [
        ("missing.iso", "missing.iso"),
        ("empty.iso", "empty"),
        ("text.iso", "text.iso"),
        ("folder.iso", "folder.iso"),
        ("cut.iso", "cut.iso"),
    ] {
        let made = ["--disk", "new.qcow2,size=1G"];
        let line = complaint(command(path).arg("boot").args(made).args(["--iso", medium]));
        assert!(line.contains(expected), "{medium}: {line}");
        assert_eq!(names(path), before, "nothing was created");
    }
}

#[test]
fn unreadable_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
    fs::copy(image("memtest.iso"), path.join("secret.iso")).expect("a copy");
    fs::set_permissions(path.join("secret.iso"), fs::Permissions::from_mode(0o0))
        .expect("permissions");
    let mut nobody = Command::new("setpriv");
    nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(berth());
    let line = complaint(nobody.current_dir(path).args(["boot", "--iso", "secret.iso"]));
    assert!(line.contains("secret.iso") || line.contains("/dev/kvm"), "{line}");
}

#[test]
fn disks() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    fs::write(path.join("text.img"), "no disk\n".repeat(1000)).expect("a file");
    fs::write(path.join("empty.img"), "").expect("a file");
    qemu_img(path, &["create", "-q", "-f", "qcow2", "base.qcow2", "10M"]);
    let over = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"];
    qemu_img(path, &[&over[..], &["base.qcow2", "gone.qcow2"]].concat());
    qemu_img(path, &[&over[..], &["base.qcow2", "a.qcow2"]].concat());
    qemu_img(path, &[&over[..], &["a.qcow2", "b.qcow2"]].concat());
    qemu_img(path, &["rebase", "-u", "-F", "qcow2", "-b", "b.qcow2", "a.qcow2"]);
    fs::remove_file(path.join("base.qcow2")).expect("the file");
    let with = |name: &str, option: &str| {
        qemu_img(path, &["create", "-q", "-f", "qcow2", "-o", option, name, "10M"]);
    };
    with("zstd.qcow2", "compression_type=zstd");
    with("extended.qcow2", "extended_l2=on");
    with("corrupt.qcow2", "compat=1.1");
    with("absurd.qcow2", "compat=1.1");
    // QEMU docs/interop/qcow2.txt: bit 1 of the incompatible features is "corrupt"; the virtual
    // size is at byte 24.
    patch(&path.join("corrupt.qcow2"), 79, &[2]);
    patch(&path.join("absurd.qcow2"), 24, &[0x7f; 8]);
    let before = names(path);
    for (disk, expected) in [
        ("missing.qcow2", "missing.qcow2,size=10G"),
        ("text.img", "text"),
        ("empty.img", "empty"),
        (".", "."),
        ("/dev/null", "/dev/null"),
        ("a.qcow2", "a.qcow2"),
        ("gone.qcow2", "base.qcow2"),
        ("zstd.qcow2", "zstd"),
        ("extended.qcow2", "extended"),
        ("corrupt.qcow2", "corrupt"),
        ("absurd.qcow2", "absurd.qcow2"),
        ("new.qcow2,size=0", "512 bytes"),
        ("new.qcow2,size=many", "not a size"),
        ("none/new.qcow2,size=1G", "none"),
    ] {
        let line = complaint(command(path).args(["boot", "--disk", disk]));
        assert!(line.contains(expected), "{disk}: {line}");
        assert_eq!(names(path), before, "{disk}: nothing was created");
    }
}

fn patch(path: &Path, offset: usize, bytes: &[u8]) {
    let mut content = fs::read(path).expect("the image");
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
    fs::write(path, content).expect("the image");
}

/// `berth` where `hidden` is covered by `cover`, as root.
fn where_hidden(cover: &Path, hidden: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    let script = r#"mount --bind "$0" "$1" && shift && exec "$@""#;
    command.args(["--mount", "sh", "-c", script]).arg(cover).arg(hidden).arg(berth());
    command.args(arguments);
    command
}

#[test]
fn no_kvm() {
    let boot = ["boot"];
    // A folder of devices with nothing in it.
    let mut command = Command::new("unshare");
    let script = r#"mount -t tmpfs none /dev && exec "$0" "$@""#;
    let line = complaint(command.args(["--mount", "sh", "-c", script]).arg(berth()).args(boot));
    assert!(line.contains("/dev/kvm"), "{line}");
    let line = complaint(&mut where_hidden(Path::new("/dev/null"), "/dev/kvm", &boot));
    assert!(line.contains("KVM"), "{line}");
    let forbidden = r#"chmod 0 "$0" && exec setpriv --reuid=65534 --clear-groups "$@""#;
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    let device = folder.path().join("kvm");
    fs::write(&device, "").expect("a file");
    let mut command = Command::new("unshare");
    let script = format!(r#"mount --bind "$0" /dev/kvm && {forbidden}"#);
    command.args(["--mount", "sh", "-c", &script]).arg(&device).arg(berth()).args(boot);
    let line = complaint(&mut command);
    assert!(line.contains("/dev/kvm"), "{line}");
}

#[test]
fn no_firmware() {
    let nothing = tempfile::tempdir().expect("a folder");
    for (firmware, package, folders) in [
        ("bios", "seabios", &["/usr/share/seabios", "/usr/share/qemu"][..]),
        ("uefi", "ovmf", &["/usr/share/OVMF", "/usr/share/qemu", "/usr/share/ovmf"]),
    ] {
        let mut script = String::new();
        for folder in folders {
            script += &format!("[ ! -d {folder} ] || mount --bind \"$0\" {folder}; ");
        }
        script += "exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]).arg(nothing.path()).arg(berth());
        let line = complaint(command.args(["boot", "--firmware", firmware]));
        assert!(line.contains(package), "the package to install is named: {line}");
    }
}

#[test]
fn machines() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let make = |name: &str| {
        let output =
            command(path).args(["new", name, "--firmware", "bios", "--size", "1G"]).output();
        assert!(output.expect("berth starts").status.success());
    };
    make("one");
    let store = path.join("data/berth");
    let definition = store.join("one/machine.toml");
    for arguments in [
        &["new", "one"][..],
        &["new", ""],
        &["new", "a\nb"],
        &["new", "two", "--cpus", "65"],
        &["new", "two", "--iso", "missing.iso"],
        &["new", "two", "--disk", "missing.qcow2"],
        &["new", "two", "--size", "1"],
        &["show", "two"],
        &["run", "two"],
        &["delete", "two"],
    ] {
        complaint(command(path).args(arguments));
        assert_eq!(names(&store), [".lock", "one"], "{arguments:?}");
    }
    fs::remove_file(store.join("one/disk.qcow2")).expect("the disk");
    let line = complaint(command(path).args(["run", "one"]));
    assert!(line.contains("disk.qcow2"), "{line}");
    for damaged in ["version = 1\nname = ", "version = 99\n", "\u{1b}[31m"] {
        fs::write(&definition, damaged).expect("the definition");
        for subcommand in ["show", "run", "delete"] {
            let line = complaint(command(path).args([subcommand, "one"]));
            assert!(line.contains("machine.toml") && !line.contains('\u{1b}'), "{line}");
        }
        let list = command(path).arg("list").output().expect("berth starts");
        assert!(list.status.success());
        assert!(String::from_utf8_lossy(&list.stdout).contains("machine.toml"));
        assert_eq!(fs::read_to_string(&definition).expect("the definition"), damaged);
    }
}

#[test]
fn the_same_machine_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let new = ["new", "one", "--firmware", "bios", "--size", "1G", "--memory", "64M"];
    assert!(command(path).args(new).output().expect("berth starts").status.success());
    let picture = path.join("running.png");
    let mut first = command(path)
        .args(["run", "one", "--until-screen", "SeaBIOS", "--screenshot"])
        .arg(&picture)
        .args(["--wait", "300"])
        .spawn()
        .expect("berth starts");
    while !picture.exists() {
        assert!(first.try_wait().expect("our child").is_none(), "the first one ended");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let list = command(path).arg("list").output().expect("berth starts");
    assert!(String::from_utf8_lossy(&list.stdout).contains("running"));
    for subcommand in ["run", "delete"] {
        let line = complaint(command(path).args([subcommand, "one"]));
        assert!(line.contains("running in another Berth"), "{line}");
    }
    // The image alone is locked as well.
    let disk = path.join("data/berth/one/disk.qcow2");
    let line = complaint(command(path).args(["boot", "--disk"]).arg(&disk));
    assert!(line.contains("disk.qcow2"), "{line}");
    first.kill().expect("berth is there");
    first.wait().expect("our child");
    assert!(command(path).args(["delete", "one"]).output().expect("berth starts").status.success());
    assert_eq!(names(&path.join("data/berth")), [".lock"]);
}
