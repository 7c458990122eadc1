//! With a database made for the purpose, damaged ones, and the distribution's.

use std::fs;
use std::path::Path;

use super::*;
use crate::media::Volume;

const OLD: &str = r#"<?xml version="1.0"?>
<libosinfo version="0.0.1">
  <os id="http://example.org/1">
    <name>Example 1</name>
    <firmware arch="x86_64" type="efi"/>
    <firmware arch="x86_64" type="bios" supported="false"/>
    <resources arch="all">
      <minimum><n-cpus>2</n-cpus><ram>1048576</ram><storage>4194304</storage></minimum>
      <recommended><ram>4194304</ram><storage>8388608</storage></recommended>
    </resources>
    <media arch="x86_64"><iso><volume-id>EXAMPLE</volume-id></iso></media>
  </os>
</libosinfo>"#;

const NEW: &str = r#"<libosinfo version="0.0.1">
  <os id="http://example.org/2">
    <name>Example 2</name>
    <name xml:lang="de">Beispiel 2</name>
    <name xml:lang="pt-BR">Exemplo 2</name>
    <derives-from id="http://example.org/1"/>
    <release-date>2024-01-01</release-date>
    <variant id="desktop">
      <name>Example Desktop 2</name>
      <name xml:lang="de">Beispiel-Arbeitsplatz 2</name>
    </variant>
    <resources arch="x86_64"><minimum><ram>16777216</ram></minimum></resources>
    <resources arch="all" inherit="true"/>
    <media arch="x86_64" live="true" installer="false">
      <variant id="desktop"/>
      <iso><volume-id>EXAMPLE 2\.\d DESKTOP</volume-id></iso>
    </media>
    <media arch="aarch64"><iso><volume-id>EXAMPLE 2 ARM</volume-id></iso></media>
    <media arch="x86_64"><iso><volume-id>EXAMPLE 2(?!X)</volume-id></iso></media>
    <media arch="x86_64"/>
  </os>
</libosinfo>"#;

fn database(files: &[(&str, &str)], languages: &[&str]) -> Database {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join("os").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let languages: Vec<String> = languages.iter().map(|l| (*l).to_owned()).collect();
    Database::load(&[folder.path().join("missing"), folder.path().into()], &languages)
}

fn both(languages: &[&str]) -> Database {
    database(&[("a/1.xml", OLD), ("a/2.xml", NEW)], languages)
}

fn volume(volume_id: &str) -> Volume {
    Volume { volume_id: volume_id.into(), ..Volume::default() }
}

#[test]
fn what_a_system_does_not_say_its_ancestors_do() {
    let found = both(&[]).identify(&volume("EXAMPLE 2.1 DESKTOP")).unwrap();
    assert_eq!(found.name, "Example Desktop 2");
    assert!(found.live && !found.installer && found.runs_here());
    let minimum =
        Resources { memory: Some(Bytes::mib(16)), cpus: Some(2), storage: Some(Bytes::mib(4)) };
    assert_eq!(found.minimum, minimum);
    // The ancestor's 4 MiB of memory are less than what is needed now.
    assert_eq!(found.recommended, Resources { storage: Some(Bytes::mib(8)), ..minimum });
    assert_eq!((found.bios, found.uefi), (Some(false), Some(true)));
}

#[test]
fn virtio_is_for_systems_known_to_have_it() {
    for (family, date, virtio) in [
        ("<family>linux</family>", "2023-06-10", true),
        ("<family>linux</family>", "2013-05-04", false),
        ("<family>linux</family>", "", true),
        ("<family>freebsd</family>", "2016-10-10", false),
        ("<family>winnt</family>", "2021-10-05", false),
        ("", "2024-01-01", false),
    ] {
        let base = OLD.replace("<name>Example 1</name>", &format!("<name>1</name>{family}"));
        let derived = NEW.replace("2024-01-01", date);
        let database = database(&[("a/1.xml", &base), ("a/2.xml", &derived)], &[]);
        let found = database.identify(&volume("EXAMPLE 2 ARM")).unwrap();
        assert_eq!(found.virtio, virtio, "{family} of {date}");
    }
}

#[test]
fn names_come_in_the_language_asked_for() {
    let name = |languages: &[&str], id| both(languages).identify(&volume(id)).unwrap().name;
    assert_eq!(name(&["de_AT.UTF-8", "C"], "EXAMPLE 2.1 DESKTOP"), "Beispiel-Arbeitsplatz 2");
    assert_eq!(name(&["fr", "de"], "EXAMPLE 2 ARM"), "Beispiel 2");
    assert_eq!(name(&["pt_BR"], "EXAMPLE 2 ARM"), "Exemplo 2");
    assert_eq!(name(&["pt"], "EXAMPLE 2 ARM"), "Example 2");
    assert_eq!(name(&["en_GB"], "EXAMPLE 1"), "Example 1");
}

#[test]
fn the_most_exact_rule_wins() {
    let database = both(&[]);
    let id = |label| database.identify(&volume(label)).map(|found| found.id);
    assert_eq!(id("EXAMPLE 2.1 DESKTOP").as_deref(), Some("http://example.org/2"));
    // Only the rule that looks ahead, which is left out, fits better.
    assert_eq!(id("EXAMPLE 2").as_deref(), Some("http://example.org/1"));
    assert_eq!(id("ANOTHER"), None);
    assert_eq!(id(""), None);
}

#[test]
fn later_files_add_to_a_system() {
    let more = r#"<libosinfo><os id="http://example.org/1">
        <resources arch="all"><minimum><n-cpus>4</n-cpus></minimum></resources>
        <media arch="all"><iso><volume-id>^MINE$</volume-id></iso></media>
      </os></libosinfo>"#;
    let database = database(&[("a/1.d/more.xml", more), ("a/1.xml", OLD)], &[]);
    assert_eq!(database.len(), 1);
    let found = database.identify(&volume("MINE")).unwrap();
    assert_eq!(found.name, "Example 1");
    assert!(found.minimum.cpus.is_some() && found.minimum.memory == Some(Bytes::mib(1)));
}

#[test]
fn a_missing_or_damaged_database_knows_less() {
    assert!(Database::load(&["/nonexistent".into()], &[]).is_empty());
    let bomb = "<!DOCTYPE a [<!ENTITY b \"bbbbbbbb\">]><libosinfo>&b;</libosinfo>";
    let deep = "<libosinfo>".repeat(100_000);
    let circle = r#"<libosinfo><os id="c"><derives-from id="c"/>
        <media><iso><volume-id>CIRCLE</volume-id></iso></media></os></libosinfo>"#;
    let huge = format!("<libosinfo>{}</libosinfo>", " ".repeat(3 << 20));
    let folder = tempfile::tempdir().unwrap();
    let os = folder.path().join("os/vendor");
    fs::create_dir_all(&os).unwrap();
    let files = [bomb, &deep, "", "<a", &huge, &OLD[..300], circle, OLD];
    for (index, text) in files.into_iter().enumerate() {
        fs::write(os.join(format!("{index}.xml")), text).unwrap();
    }
    fs::write(os.join("bytes.xml"), [0xff; 100]).unwrap();
    fs::create_dir(os.join("folder.xml")).unwrap();
    let pipe = std::ffi::CString::new(os.join("pipe.xml").to_str().unwrap()).unwrap();
    // SAFETY: the name is a valid C string.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
    let database = Database::load(&[folder.path().into()], &[]);
    assert_eq!(database.len(), 2);
    assert_eq!(database.identify(&volume("CIRCLE")).unwrap().name, "c");
    assert!(database.identify(&volume("EXAMPLE")).is_some());
}

proptest::proptest! {
    #[test]
    fn any_document_is_survived(cut in 0..NEW.len(), junk in ".{0,20}") {
        if NEW.is_char_boundary(cut) {
            let text = format!("{}{junk}{}", &NEW[..cut], &NEW[cut..]);
            let _ = document::read(&text, &["de".into()]);
        }
    }
}

/// The distribution's database, where it is installed.
#[test]
fn media_that_are_around_are_known() {
    let folder = Path::new("/usr/share/osinfo");
    if !folder.exists() {
        eprintln!("osinfo-db is not installed; left out");
        return;
    }
    let start = std::time::Instant::now();
    let database = Database::load(&[folder.into()], &["C".into()]);
    let loaded = start.elapsed();
    assert!(database.len() > 500, "{}", database.len());
    let start = std::time::Instant::now();
    for (label, system, publisher, id) in [
        ("Debian 12.5.0 amd64 n", "", "", "debian.org/debian/12"),
        ("Fedora-WS-Live-42", "", "", "fedoraproject.org/fedora/42"),
        ("Ubuntu 24.04.1 LTS amd64", "", "", "ubuntu.com/ubuntu/24.04"),
        ("Ubuntu-Server 24.04.1 LTS amd64", "", "", "ubuntu.com/ubuntu/24.04"),
        ("alpine-std 3.20.0 x86_64", "LINUX", "", "alpinelinux.org/alpinelinux/3.20"),
        ("CCCOMA_X64FRE_EN-US_DV9", "", "MICROSOFT CORPORATION", "microsoft.com/win/11"),
    ] {
        let volume = Volume {
            volume_id: label.into(),
            system_id: system.into(),
            publisher_id: publisher.into(),
            ..Volume::default()
        };
        let found = database.identify(&volume).unwrap_or_else(|| panic!("{label} is unknown"));
        assert_eq!(found.id, format!("http://{id}"), "{label}");
        assert!(found.runs_here(), "{label}");
        assert!(found.minimum.memory <= found.recommended.memory, "{label}");
    }
    eprintln!("loaded in {loaded:?}, six media identified in {:?}", start.elapsed());
}
