//! Compiles the resources that are part of the program.

fn main() {
    glib_build_tools::compile_resources(
        &["../resources"],
        "../resources/berth.gresource.xml",
        "berth.gresource",
    );
}
