//! The `berth-window` program: the window, with what it asks of the machines (`backend`).
//!
//! `berth open` turns into it. Its arguments are images to make machines from.

mod backend;
mod printable;
mod translations;

use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use vmm_core::definition::Store;
use vmm_core::sentence::sentence;

use self::backend::LocalBackend;

fn main() -> ExitCode {
    match show() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("berth: {}", printable::printable(&sentence(&*error)));
            ExitCode::FAILURE
        }
    }
}

fn show() -> Result<(), Box<dyn std::error::Error>> {
    leave_gpu_alone();
    translations::set_up();
    let backend = LocalBackend::new(Store::open(Store::default_root()?));
    if gtk::init().is_err() {
        return Err("there is no display to show a window on; `berth --help` tells what works on \
                    a terminal"
            .into());
    }
    let files = std::env::args_os().skip(1).map(PathBuf::from);
    let files: Vec<_> = files.map(std::path::absolute).collect::<Result<_, _>>()?;
    let backend = move || Rc::new(backend) as Rc<dyn ui::backend::Backend>;
    if !ui::application::run(&files, backend) {
        return Err("the window could not be shown".into());
    }
    Ok(())
}

/// Where GTK is told to draw without a GPU, keeps GDK from loading a GPU's drivers all the same:
/// they are half of the program's memory, and a fifth of its start.
fn leave_gpu_alone() {
    let draws_alone = std::env::var_os("GSK_RENDERER").is_some_and(|renderer| renderer == "cairo");
    if draws_alone && std::env::var_os("GDK_DISABLE").is_none() {
        // SAFETY: no other thread exists yet.
        unsafe { std::env::set_var("GDK_DISABLE", "gl,vulkan") };
    }
}
