//! Compiles the resources and the settings schema that are part of the program.

use std::path::Path;
use std::process::Command;

fn main() {
    glib_build_tools::compile_resources(
        &["../resources"],
        "../resources/berth.gresource.xml",
        "berth.gresource",
    );
    glib_build_tools::compile_resources(
        &["../resources/theme"],
        "../resources/theme/theme.gresource.xml",
        "theme.gresource",
    );
    compile_schema(Path::new("../resources"));
}

/// Makes `gschemas.compiled` of the schemas in `folder`.
fn compile_schema(folder: &Path) {
    let out = std::env::var_os("OUT_DIR").expect("cargo says where");
    let status = Command::new("glib-compile-schemas")
        .args(["--strict", "--targetdir"])
        .args([Path::new(&out), folder])
        .status()
        .expect("glib-compile-schemas runs; it comes with GLib's development files");
    assert!(status.success(), "the settings schema is wrong");
    println!("cargo:rerun-if-changed={}", folder.display());
}
