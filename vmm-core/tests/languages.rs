//! What goes wrong is told in the user's language.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gettextrs::{LocaleCategory, bind_textdomain_codeset, bindtextdomain, setlocale, textdomain};
use vmm_core::media;
use vmm_core::sentence::{ended, sentence};

/// glibc translates nothing in C.UTF-8, and few systems have other locales installed.
const LOCALE: &str = "de_DE.UTF-8";
/// Names the folder of the process that speaks German.
const FOLDER: &str = "BERTH_TEST_LANGUAGES";

/// Makes the locale in `folder`. `false` when the system has not got what it is made of.
fn make_locale(folder: &Path) -> bool {
    let made = Command::new("localedef")
        .args(["-i", "de_DE", "-f", "UTF-8"])
        .arg(folder.join(LOCALE))
        .output();
    made.is_ok_and(|output| output.status.success())
}

fn compile_catalogues(folder: &Path) {
    let compile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../po/compile");
    let status = Command::new(compile).arg(folder).status().expect("po/compile starts");
    assert!(status.success(), "the catalogues are not compiled");
}

/// What a person is told about the file.
fn told(file: &Path) -> String {
    let error: Box<dyn Error> = Box::new(media::inspect(file).expect_err("it is no medium"));
    ended(sentence(&*error))
}

/// Runs in a process of its own, as a language is a whole program's.
#[test]
#[ignore = "a part of the next test"]
fn speak_german() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    setlocale(LocaleCategory::LcAll, LOCALE).expect("the locale is there");
    bindtextdomain("berth", &folder).expect("the catalogues are there");
    bind_textdomain_codeset("berth", "UTF-8").expect("they are UTF-8");
    textdomain("berth").expect("they are used");

    let file = folder.join("{path} {what}.iso");
    let name = file.display();
    assert_eq!(told(&file), format!("„{name}“ existiert nicht; prüfen Sie den Namen."));
    fs::write(&file, "a text").unwrap();
    assert_eq!(
        told(&file),
        format!("„{name}“ ist kein ISO-Abbild, sondern eine Textdatei; nennen Sie ein ISO-Abbild.")
    );
    let file = folder.join("disk");
    fs::write(&file, [b"QFI\xfb".as_slice(), &[0, 0, 0, 9], &[0; 504]].concat()).unwrap();
    assert_eq!(
        told(&file),
        format!(
            "das qcow2-Abbild „{}“ kann nicht benutzt werden: seine Version 9 wird nicht \
             unterstützt; wandeln Sie es mit „qemu-img convert -O qcow2“ um.",
            file.display()
        )
    );
}

#[test]
fn errors_are_told_in_the_users_language() {
    let folder = tempfile::tempdir().unwrap();
    if !make_locale(folder.path()) {
        eprintln!("SKIPPED: localedef cannot make {LOCALE}; install the package “locales”");
        return;
    }
    compile_catalogues(folder.path());
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "speak_german", "--ignored", "--nocapture"])
        .env(FOLDER, folder.path())
        .env("LOCPATH", folder.path())
        // It goes before what the program says.
        .env_remove("LANGUAGE")
        .status()
        .unwrap();
    assert!(status.success(), "it does not speak German");
}
