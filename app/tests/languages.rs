//! The command line speaks the user's language.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Any but C and C.UTF-8, for which glibc translates nothing; `LANGUAGE` then says which language.
const LOCALE: &str = "en_US.UTF-8";

/// A folder with the locale and the catalogues; `None` when the system has not got what the locale is
/// made of.
fn languages() -> Option<TempDir> {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join(LOCALE);
    let made = Command::new("localedef").args(["-i", "en_US", "-f", "UTF-8"]).arg(place).output();
    if !made.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: localedef cannot make {LOCALE}; install the package “locales”");
        return None;
    }
    compile_catalogues(folder.path());
    Some(folder)
}

fn compile_catalogues(folder: &Path) {
    let compile = Path::new(env!("CARGO_MANIFEST_DIR")).join("../po/compile");
    let status = Command::new(compile).arg(folder).status().expect("po/compile starts");
    assert!(status.success(), "the catalogues are not compiled");
}

/// `berth` for somebody who reads `language`, with its machines in `folder`, too.
fn berth(folder: &Path, language: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_berth"))
        .args(arguments)
        .env("LC_ALL", LOCALE)
        .env("LOCPATH", folder)
        .env("BERTH_LOCALE_DIR", folder)
        .env("LANGUAGE", language)
        .env("XDG_DATA_HOME", folder.join("data"))
        .output()
        .expect("berth starts")
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn complaint(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn help_and_errors_are_german_for_germans() {
    let Some(folder) = languages() else { return };
    let german = |arguments: &[&str]| berth(folder.path(), "de", arguments);

    let help = printed(&german(&["--help"]));
    for text in [
        "Virtuelle Maschinen auf dem Desktop\n\nAufruf: berth [COMMAND]\n\nBefehle:\n",
        "  list      Die Maschinen auflisten\n",
        "\n\nOptionen:\n  -h, --help     Hilfe ausgeben\n",
    ] {
        assert!(help.contains(text), "{text:?} is not in {help}");
    }
    let help = printed(&german(&["new", "-h"]));
    for text in [
        "Aufruf: berth new [OPTIONS] <NAME>\n\nArgumente:\n  <NAME>  Name der Maschine\n\nOptionen:\n",
        "  --memory <SIZE>\n          Speicher [Vorgabe: 2G]\n",
        "  -h, --help\n          Hilfe ausgeben\n",
    ] {
        assert!(help.contains(text), "{text:?} is not in {help}");
    }
    let help = printed(&german(&["boot", "--help"]));
    for text in
        ["\n\nSkript:\n      --until-serial <REGEX>\n", "Skriptoptionen wirken in der Reihen"]
    {
        assert!(help.contains(text), "{text:?} is not in {help}");
    }

    for (arguments, sentence) in [
        (
            &["boot", "--cpus", "0"][..],
            "„0“ ist kein Wert für „--cpus <NUMBER>“: schreiben Sie eine ganze Zahl von 1 bis 64",
        ),
        (
            &["boot", "--memry", "1G"],
            "unerwartetes Argument „--memry“; ein ähnliches ist „--memory“ \
             (siehe berth boot --help)",
        ),
        (&["boot", "--from", "iso"], "--from iso braucht --iso"),
        (&["show", "eins"], "es gibt keine Maschine namens „eins“"),
    ] {
        assert_eq!(complaint(german(arguments)), format!("berth: {sentence}\n"));
    }
}

#[test]
fn columns_line_up_in_chinese() {
    let Some(folder) = languages() else { return };
    let chinese = |arguments: &[&str]| berth(folder.path(), "zh_TW", arguments);
    assert_eq!(
        printed(&chinese(&["list"])),
        "目前還沒有虛擬機器；「berth new NAME」可建立一台。\n"
    );
    printed(&chinese(&["new", "one", "--size", "1G", "--firmware", "bios"]));
    assert_eq!(
        printed(&chinese(&["list"])),
        "名稱  狀態  記憶體  處理器  韌體\none   off   2G      2       bios\n"
    );
    let shown = printed(&chinese(&["show", "one"]));
    assert!(shown.starts_with("名稱       one\n狀態       已關機\n"), "{shown}");
}

#[test]
fn the_manual_and_completions_are_made_in_the_language() {
    let Some(folder) = languages() else { return };
    let french = |arguments: &[&str]| printed(&berth(folder.path(), "fr", arguments));
    for (arguments, texts) in [
        (
            &["manual"][..],
            &[".SH NOM\n", ".SH \"BERTH LIST\"", "Lister les machines", ".SS \"Console série\""][..],
        ),
        (&["completions", "fish"], &["'Lister les machines'"]),
        (&["completions", "zsh"], &["Lister les machines"]),
    ] {
        let made = french(arguments);
        for text in texts {
            assert!(made.contains(text), "{text:?} is not in {made}");
        }
    }
}

#[test]
fn software_centres_have_all_texts_in_all_languages() {
    let folder = tempfile::tempdir().expect("a folder");
    compile_catalogues(folder.path());
    let file = folder.path().join("io.github.berth_vm.Berth.metainfo.xml");
    let texts = std::fs::read_to_string(file).expect("it is compiled, too");
    // As AppStream writes them.
    for language in include_str!("../../po/LINGUAS").lines().map(|line| line.replace('_', "-")) {
        let translated = texts.matches(&format!("xml:lang=\"{language}\"")).count();
        // The developers' name is one.
        assert_eq!(translated, 13, "{language}");
    }
}
