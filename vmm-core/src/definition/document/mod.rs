//! A definition as a TOML text.
//!
//! Reading tells the line and column of what is wrong. Writing changes only the values that
//! changed: comments, order, layout and keys of other versions stay.

mod reader;
mod writer;

pub(super) use reader::read;
pub(super) use writer::{rewrite, write};

/// The version of the format that is written here, and the newest that is understood.
const VERSION: i64 = 1;

const VERSION_KEY: &str = "version";
const NAME: &str = "name";
const UUID: &str = "uuid";
const MEMORY: &str = "memory";
const CPUS: &str = "cpus";
const FIRMWARE: &str = "firmware";
const NOTES: &str = "notes";
const DRIVE: &str = "drive";
const KIND: &str = "kind";
const DISK: &str = "disk";
const OPTICAL: &str = "optical";
const FILE: &str = "file";
const FORMAT: &str = "format";
const BUS: &str = "bus";
const READ_ONLY: &str = "read-only";
const BOOT_FIRST: &str = "boot-first";
const NETWORK: &str = "network";
const ENABLED: &str = "enabled";
const MAC: &str = "mac";
const FORWARDS: &str = "forwards";
const REACH_HOST: &str = "reach-host";
const TAP: &str = "tap";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::error::DefinitionError;
    use super::super::model::{Definition, DiskBus, Drive, Firmware, Network};
    use super::*;
    use crate::block::Format;
    use crate::net::PortForward;
    use crate::units::Bytes;

    fn read_text(text: &str) -> Result<Definition, DefinitionError> {
        read(text, Path::new("machine.toml"))
    }

    fn rewritten(text: &str, change: impl Fn(&mut Definition)) -> String {
        let old = read_text(text).unwrap();
        let mut new = old.clone();
        change(&mut new);
        let text = rewrite(text, Path::new("machine.toml"), &old, &new).unwrap();
        assert_eq!(read_text(&text).unwrap(), new, "{text}");
        text
    }

    fn disk(file: &str) -> Drive {
        let (format, bus) = (Format::Qcow2, DiskBus::Virtio);
        Drive::Disk { file: file.into(), format, read_only: false, bus }
    }

    const SAMPLE: &str = r#"# mine
version = 1
name = "test" # its name
uuid="67e55044-10b1-426f-9247-bb680e5fe0c8"
future = { a = 1 }
cpus = 2   # two
memory = "1G"
firmware = "bios"

# the system
[[drive]]
kind = "disk"
file = "a.qcow2"
format = "qcow2"
cache = "none" # from the future

[drive.limits]
speed = 5

# the medium
[[drive]]
kind = "optical"
file = "/iso/a.iso"
boot-first = true

[other]
key = "value"
"#;

    #[test]
    fn a_new_definition_reads_back() {
        let mut definition = Definition::new("Ein „Name“\\".parse().unwrap());
        definition.notes = "two\nlines".into();
        definition.drives = vec![
            disk("disk.qcow2"),
            Drive::Optical { file: Some("/a b.iso".into()) },
            Drive::Optical { file: None },
            Drive::Disk {
                file: "/dev/sdb".into(),
                format: Format::Raw,
                read_only: true,
                bus: DiskBus::Sata,
            },
        ];
        definition.boot_first = Some(1);
        let text = write(&definition).unwrap();
        assert!(text.starts_with("# A virtual machine of Berth."), "{text}");
        assert!(text.contains("\n# Drives in the order"), "{text}");
        assert_eq!(read_text(&text).unwrap(), definition, "{text}");
    }

    const NETWORKED: &str = r#"
[network] # the card
# its address
mac = "02:00:00:00:00:01"
forwards = [
  "2222:22", # ssh
]
speed = 5 # from the future
"#;

    #[test]
    fn a_network_card_comes_and_goes() {
        assert_eq!(read_text(SAMPLE).unwrap().network, None, "an old machine gets a card");
        let text = rewritten(SAMPLE, |definition| definition.network = Some(Network::new()));
        assert!(text.contains("\n[network]\nenabled = true\nmac = \""), "{text}");
        assert!(text.contains("[other]\nkey"), "{text}");

        let text = format!("{SAMPLE}{NETWORKED}");
        let network = read_text(&text).unwrap().network.unwrap();
        assert!(network.enabled && !network.reach_host);
        assert_eq!(network.forwards, [PortForward::tcp(2222, 22)]);
        assert_eq!(rewritten(&text, |_| ()), text);
        let off = rewritten(&text, |definition| {
            definition.network.as_mut().unwrap().enabled = false;
        });
        for kept in ["# the card", "# its address", "# ssh", "# from the future"] {
            assert!(off.contains(kept), "{off}");
        }
        assert_eq!(
            rewritten(&off, |definition| {
                definition.network.as_mut().unwrap().enabled = true;
            }),
            text.replace(
                "speed = 5 # from the future\n",
                "speed = 5 # from the future\nenabled = true\n"
            )
        );
        let more = rewritten(&text, |definition| {
            let network = definition.network.as_mut().unwrap();
            network.forwards.push("udp:53:53".parse().unwrap());
            network.reach_host = true;
            network.tap = Some("tap0".parse().unwrap());
        });
        assert!(more.contains("\"udp:53:53\"") && more.contains("speed = 5"), "{more}");
        assert!(more.contains("tap = \"tap0\""), "{more}");
        assert_eq!(rewritten(&more, |_| ()), more);
        let back = rewritten(&more, |definition| definition.network.as_mut().unwrap().tap = None);
        assert!(!back.contains("tap"), "{back}");
        let none = rewritten(&text, |definition| definition.network = None);
        assert_eq!(none, SAMPLE);
    }

    #[test]
    fn damage_of_a_network_card_is_reported() {
        for (from, to, reason) in [
            ("02:00:00:00:00:01", "02:00", "six bytes"),
            ("02:00:00:00:00:01", "03:00:00:00:00:01", "group"),
            ("\"2222:22\"", "\"22\"", "2222:22"),
            ("\"2222:22\"", "22", "a list of texts"),
            ("\"2222:22\"", "\"1:2\", \"1:3\"", "twice"),
            ("mac = \"02:00:00:00:00:01\"", "", "“mac” is missing"),
            ("speed = 5", "enabled = 1", "true or false"),
            ("speed = 5", "tap = 1", "a TAP device's name"),
            ("speed = 5", "tap = \"a/b\"", "up to 15 characters"),
        ] {
            let text = format!("{SAMPLE}{}", NETWORKED.replacen(from, to, 1));
            let Err(DefinitionError::Damaged(damage)) = read_text(&text) else {
                panic!("{to} is no damage");
            };
            assert!(damage.place.is_some_and(|(line, _)| line > 27), "{damage}");
            assert!(damage.reason.contains(reason), "{damage}");
        }
        assert!(read_text(&format!("network = 1\n{SAMPLE}")).is_err());
    }

    #[test]
    fn an_unchanged_definition_is_the_same_text() {
        assert_eq!(rewritten(SAMPLE, |_| ()), SAMPLE);
    }

    #[test]
    fn a_change_touches_nothing_else() {
        assert_eq!(
            rewritten(SAMPLE, |definition| {
                definition.cpus = 4;
                definition.memory = Bytes::mib(1536);
            }),
            SAMPLE.replace("cpus = 2 ", "cpus = 4 ").replace("\"1G\"", "\"1536M\"")
        );
    }

    #[test]
    fn drives_keep_what_is_theirs_when_they_move() {
        let text = rewritten(SAMPLE, |definition| {
            definition.drives.swap(0, 1);
            definition.boot_first = None;
        });
        let order = [
            "# the medium",
            "/iso/a.iso",
            "# the system",
            "cache",
            "# from the future",
            "[drive.limits]",
            "speed = 5",
            "key = \"value\"",
        ];
        let places: Vec<_> = order.iter().map(|part| text.find(part).expect(part)).collect();
        assert!(places.is_sorted(), "{text}");
        let text = rewritten(SAMPLE, |definition| {
            definition.drives.remove(0);
            definition.boot_first = Some(0);
        });
        assert!(!text.contains("speed") && text.contains("# the medium"), "{text}");
        let text = rewritten(SAMPLE, |definition| {
            definition.drives[1] = Drive::Optical { file: None };
            definition.drives.push(disk("b"));
        });
        assert!(text.contains("speed") && text.contains("# the medium"), "{text}");
    }

    #[test]
    fn a_disk_without_a_bus_stays_on_sata() {
        let old = read_text(SAMPLE).unwrap();
        let Drive::Disk { bus: DiskBus::Sata, .. } = old.drives[0] else { panic!("on SATA") };
        let on = |bus| {
            move |definition: &mut Definition| {
                let Drive::Disk { bus: now, .. } = &mut definition.drives[0] else { return };
                *now = bus;
            }
        };
        let virtio = rewritten(SAMPLE, on(DiskBus::Virtio));
        assert!(virtio.contains("\nbus = \"virtio\"\n"), "{virtio}");
        let sata = rewritten(&virtio, on(DiskBus::Sata));
        assert!(sata.contains("\nbus = \"sata\"\n"), "{sata}");
        assert!(read_text(&virtio.replace("\"virtio\"", "\"ide\"")).is_err());
    }

    #[test]
    fn drives_may_be_inline() {
        let head = &SAMPLE[..SAMPLE.find("# the system").unwrap()];
        let text = format!("{head}drive = [{{ kind = \"optical\", mine = 1 }}]\n");
        let text = rewritten(&text, |definition| definition.drives.insert(0, disk("a")));
        assert!(text.contains("mine = 1"), "{text}");
        rewritten(&text, |definition| definition.drives.clear());
    }

    #[test]
    fn damage_is_reported_with_its_place() {
        for (from, to, place, reason) in [
            ("cpus = 2", "cpus = two", (6, 8), ""),
            ("cpus = 2", "cpus = \"2\"", (6, 8), "“cpus” is written like 2"),
            ("cpus = 2", "cpus = 0", (6, 8), "1 to 64 processors, not 0"),
            ("cpus = 2", "cpus = -9223372036854775808", (6, 8), "processors"),
            ("\"1G\"", "\"1X\"", (7, 10), "“1X” is not a size"),
            ("\"1G\"", "\"1M\"", (7, 10), "at least 64M"),
            ("\"test\"", "\" \"", (3, 8), "empty"),
            ("67e5", "67x5", (4, 6), "“uuid”"),
            ("\"bios\"", "\"coreboot\"", (8, 12), "\"bios\" or \"uefi\""),
            ("kind = \"disk\"\n", "", (11, 1), "“kind” is missing"),
            ("format = \"qcow2\"\n", "", (11, 1), "“format” is missing"),
            ("\"a.qcow2\"", "\"../a.qcow2\"", (13, 8), "leaves the machine's folder"),
            ("\"a.qcow2\"", "\"/iso/a.iso\"", (23, 8), "same file"),
            ("\"a.qcow2\"", "\"a.qcow2\"\nboot-first = true", (25, 14), "only one drive"),
            ("version = 1", "version = 0", (2, 11), "version"),
        ] {
            let text = SAMPLE.replacen(from, to, 1);
            let Err(DefinitionError::Damaged(damage)) = read_text(&text) else {
                panic!("{to} is no damage");
            };
            assert_eq!(damage.place, Some(place), "{damage}");
            assert!(damage.reason.contains(reason) && !damage.reason.contains('\n'), "{damage}");
        }
        let message = read_text("version = 1").unwrap_err().to_string();
        assert_eq!(message, "machine.toml: “name” is missing; write name = \"My machine\"");
        assert!(read_text("drive = 1").is_err());
    }

    #[test]
    fn newer_versions_are_told_apart_from_damage() {
        let text = "version = 2\nname = { what = \"ever\" }";
        assert!(matches!(read_text(text), Err(DefinitionError::Newer { version: 2, .. })));
    }

    mod properties {
        use super::*;
        use proptest::prelude::*;

        fn drives() -> impl Strategy<Value = Vec<Drive>> {
            let file = "[a-z \"'\\\\é]{1,6}";
            let drive = prop_oneof![
                (file, any::<[bool; 3]>()).prop_map(|(file, [raw, read_only, virtio])| {
                    let format = if raw { Format::Raw } else { Format::Qcow2 };
                    let bus = if virtio { DiskBus::Virtio } else { DiskBus::Sata };
                    Drive::Disk { file: file.into(), format, read_only, bus }
                }),
                proptest::option::of(file)
                    .prop_map(|file| Drive::Optical { file: file.map(Into::into) }),
            ];
            prop::collection::vec(drive, 0..=6)
        }

        prop_compose! {
            fn definition()(
                name in "\\PC{1,20}",
                memory in 64u64..100_000,
                cpus in 1u32..=64,
                uefi: bool,
                drives in drives(),
                boot in proptest::option::of(0usize..6),
                notes in "(?s).{0,40}",
            ) -> Option<Definition> {
                let mut definition = Definition::new(name.parse().ok()?);
                definition.memory = Bytes::mib(memory);
                definition.cpus = cpus;
                definition.firmware = if uefi { Firmware::Uefi } else { Firmware::Bios };
                definition.boot_first = boot.filter(|index| *index < drives.len());
                definition.drives = drives;
                definition.notes = notes;
                definition.validate().ok().map(|()| definition)
            }
        }

        proptest! {
            #[test]
            fn any_text_is_answered(text: String) {
                let _ = read_text(&text);
            }

            #[test]
            fn any_damage_to_a_file_is_answered(
                at in 0..SAMPLE.len(), remove in 0usize..20, insert in "[\\[\\]{}=\".\\n#'a-z0-9é]{0,8}",
            ) {
                let (head, tail) = SAMPLE.split_at(at);
                let text = format!("{head}{insert}{}", tail.get(remove..).unwrap_or(""));
                if let Err(error) = read_text(&text) {
                    let _ = error.to_string();
                }
            }

            #[test]
            fn every_change_reads_back_and_keeps_unknown_keys(new in definition()) {
                let Some(new) = new else { return Ok(()) };
                prop_assert_eq!(&read_text(&write(&new).unwrap()).unwrap(), &new);
                let old = read_text(SAMPLE).unwrap();
                let text = rewrite(SAMPLE, Path::new("x"), &old, &new).unwrap();
                prop_assert_eq!(&read_text(&text).unwrap(), &new);
                for kept in ["# mine", "# its name", "future = { a = 1 }", "# two", "[other]\nkey"] {
                    prop_assert!(text.contains(kept), "{}", text);
                }
            }
        }
    }

    #[test]
    fn deep_nesting_is_answered() {
        assert!(read_text(&format!("a = {}", "[".repeat(500_000))).is_err());
        assert!(read_text(&format!("a{} = 1", ".a".repeat(200_000))).is_err());
    }
}
