//! Which package brings the firmware, by distribution.

use std::path::Path;

use super::search::FirmwareKind;

/// (`ID` or `ID_LIKE` in os-release, command for BIOS, command for UEFI).
const COMMANDS: [(&str, &str, &str); 9] = [
    ("debian", "sudo apt install seabios", "sudo apt install ovmf"),
    ("ubuntu", "sudo apt install seabios", "sudo apt install ovmf"),
    ("fedora", "sudo dnf install seabios-bin seavgabios-bin", "sudo dnf install edk2-ovmf"),
    ("rhel", "sudo dnf install seabios-bin seavgabios-bin", "sudo dnf install edk2-ovmf"),
    ("arch", "sudo pacman -S seabios", "sudo pacman -S edk2-ovmf"),
    (
        "suse",
        "sudo zypper install qemu-seabios qemu-vgabios",
        "sudo zypper install qemu-ovmf-x86_64",
    ),
    (
        "opensuse",
        "sudo zypper install qemu-seabios qemu-vgabios",
        "sudo zypper install qemu-ovmf-x86_64",
    ),
    ("alpine", "sudo apk add seabios qemu-system-x86_64", "sudo apk add ovmf"),
    ("gentoo", "sudo emerge sys-firmware/seabios-bin", "sudo emerge sys-firmware/edk2-bin"),
];

/// The values of a key in an os-release file (os-release(5)), split at blanks.
fn values<'a>(os_release: &'a str, key: &str) -> Vec<&'a str> {
    let value = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.map_or_else(Vec::new, |v| v.trim_matches(['"', '\'']).split_whitespace().collect())
}

/// What to type to install `kind` on the distribution that `os_release` describes.
fn command(os_release: &str, kind: FirmwareKind) -> Option<&'static str> {
    let ids = values(os_release, "ID").into_iter().chain(values(os_release, "ID_LIKE"));
    ids.into_iter().find_map(|id| {
        let (_, bios, uefi) = COMMANDS.iter().find(|(name, ..)| *name == id)?;
        Some(match kind {
            FirmwareKind::Bios => *bios,
            FirmwareKind::Uefi => *uefi,
        })
    })
}

/// What to type to install `kind` on the system under `root`, where that is known.
pub(super) fn install_command(root: &Path, kind: FirmwareKind) -> Option<&'static str> {
    let os_release = ["etc/os-release", "usr/lib/os-release"]
        .iter()
        .find_map(|name| std::fs::read_to_string(root.join(name)).ok())
        .unwrap_or_default();
    command(&os_release, kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_distributions_and_their_relatives() {
        let command = |text: &str| command(text, FirmwareKind::Uefi).unwrap_or("?");
        assert_eq!(command("NAME=x\nID=debian\n"), "sudo apt install ovmf");
        assert_eq!(
            command("ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n"),
            "sudo zypper install qemu-ovmf-x86_64"
        );
        assert_eq!(command("ID=cachyos\nID_LIKE=arch"), "sudo pacman -S edk2-ovmf");
        assert_eq!(command("ID=plan9"), "?");
        assert_eq!(command(""), "?");
    }
}
