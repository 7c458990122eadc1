//! The `berth-window` program: the window, with what it asks of the machines (`backend`).
//!
//! `berth open` turns into it, and D-Bus starts it. Its arguments are a request, or images to make
//! machines from.

mod backend;
mod printable;
mod translations;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use ui::application::Request;
use vmm_core::definition::Store;
use vmm_core::sentence::sentence;
use vmm_core::text;

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
        return Err(text!(
            "there is no display to show a window on; `berth --help` tells what works on a \
             terminal"
        )
        .into());
    }
    let request = request(std::env::args_os().skip(1))?;
    let backend = move || Rc::new(backend) as Rc<dyn ui::backend::Backend>;
    if !ui::application::run(&request, backend) {
        return Err(text!("the window could not be shown").into());
    }
    Ok(())
}

/// What the arguments ask for; behind `--` are files, whatever their names.
fn request(mut arguments: impl Iterator<Item = OsString>) -> std::io::Result<Request> {
    let first = arguments.next();
    let option = first.as_deref().and_then(|first| first.to_str()).unwrap_or_default();
    Ok(match option {
        "--gapplication-service" => Request::Serve,
        "--new" => Request::NewMachine,
        "--machine" => Request::ShowMachine(
            arguments.next().unwrap_or_default().to_string_lossy().into_owned(),
        ),
        _ => {
            let files = first.into_iter().filter(|first| first != "--").chain(arguments);
            let files = files.map(|file| std::path::absolute(PathBuf::from(file)));
            Request::Open(files.collect::<Result<_, _>>()?)
        }
    })
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
