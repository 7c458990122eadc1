//! The `berth-search-provider` program: what the shell asks while somebody types into its search.
//!
//! What lives here: the machines by their names, over D-Bus (`org.gnome.Shell.SearchProvider2`,
//! GNOME Shell's `data/dbus-interfaces`). The bus starts it, and it ends when it has not been asked
//! for a while. What does not: showing a machine, which the window's program is asked to do. It is a
//! program of its own so that a search costs a small process, not a hidden window.

mod translations;

use std::cell::Cell;
use std::collections::HashMap;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use gettextrs::gettext;
use gtk::gio::{self, prelude::*};
use gtk::glib::{self, Variant, VariantTy};
use vmm_core::definition::Store;
use vmm_core::text;

/// The window's program on the bus.
const APPLICATION: &str = "io.github.berth_vm.Berth";
/// Its object.
const APPLICATION_PATH: &str = "/io/github/berth_vm/Berth";
/// This program on the bus, as the provider's description for the shell has it.
const NAME: &str = "io.github.berth_vm.Berth.SearchProvider";
const PATH: &str = "/io/github/berth_vm/Berth/SearchProvider";

/// For how long nobody asks before the program ends.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it looks at that.
const LOOK: Duration = Duration::from_secs(10);
/// More than the shell shows of anything.
const MOST: usize = 50;

/// The bus's words for not waiting until another gives up a name, and for having got it (D-Bus
/// Specification, `RequestName`).
const DO_NOT_QUEUE: u32 = 4;
const PRIMARY_OWNER: u32 = 1;

const INTERFACE: &str = r#"<node>
  <interface name="org.gnome.Shell.SearchProvider2">
    <method name="GetInitialResultSet">
      <arg type="as" name="terms" direction="in"/>
      <arg type="as" name="results" direction="out"/>
    </method>
    <method name="GetSubsearchResultSet">
      <arg type="as" name="previous_results" direction="in"/>
      <arg type="as" name="terms" direction="in"/>
      <arg type="as" name="results" direction="out"/>
    </method>
    <method name="GetResultMetas">
      <arg type="as" name="identifiers" direction="in"/>
      <arg type="aa{sv}" name="metas" direction="out"/>
    </method>
    <method name="ActivateResult">
      <arg type="s" name="identifier" direction="in"/>
      <arg type="as" name="terms" direction="in"/>
      <arg type="u" name="timestamp" direction="in"/>
    </method>
    <method name="LaunchSearch">
      <arg type="as" name="terms" direction="in"/>
      <arg type="u" name="timestamp" direction="in"/>
    </method>
  </interface>
</node>"#;

fn main() -> ExitCode {
    translations::set_up();
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("berth-search-provider: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::open(Store::default_root()?);
    let main_loop = glib::MainLoop::new(None, false);
    let asked = Rc::new(Cell::new(Instant::now()));
    let bus = gio::bus_get_sync(gio::BusType::Session, gio::Cancellable::NONE)?;
    let description = gio::DBusNodeInfo::for_xml(INTERFACE)?;
    let interface = description.lookup_interface("org.gnome.Shell.SearchProvider2");
    let interface = interface.ok_or("the interface is described")?;
    let when = asked.clone();
    let _object = bus
        .register_object(PATH, &interface)
        .method_call(move |bus, _, _, _, method, parameters, invocation| {
            when.set(Instant::now());
            let answer = answer(&store, bus, method, &parameters);
            invocation.return_value(answer.as_ref());
        })
        .build()?;
    // The object first: what the bus started this for is asked at once.
    let reply = bus.call_sync(
        Some("org.freedesktop.DBus"),
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus",
        "RequestName",
        Some(&(NAME, DO_NOT_QUEUE).to_variant()),
        Some(VariantTy::new("(u)")?),
        gio::DBusCallFlags::NONE,
        -1,
        gio::Cancellable::NONE,
    )?;
    if reply.child_value(0).get() != Some(PRIMARY_OWNER) {
        return Err(text!("the shell is answered by another already").into());
    }
    let end = main_loop.clone();
    glib::timeout_add_local(LOOK, move || {
        if asked.get().elapsed() > PATIENCE {
            end.quit();
        }
        glib::ControlFlow::Continue
    });
    main_loop.run();
    Ok(())
}

/// What a method comes to. The bus has checked the parameters' types.
fn answer(
    store: &Store,
    bus: gio::DBusConnection,
    method: &str,
    parameters: &Variant,
) -> Option<Variant> {
    let texts = |index| -> Vec<String> {
        parameters.try_child_value(index).and_then(|value| value.get()).unwrap_or_default()
    };
    match method {
        "GetInitialResultSet" => Some((found(store, &texts(0), None),).to_variant()),
        "GetSubsearchResultSet" => Some((found(store, &texts(1), Some(&texts(0))),).to_variant()),
        "GetResultMetas" => Some((metas(store, &texts(0)),).to_variant()),
        "ActivateResult" => {
            let folder = parameters.try_child_value(0);
            let targets: Vec<Variant> = folder.into_iter().collect();
            ask(&bus, "ActivateAction", &("show-machine", targets, platform()).to_variant());
            None
        }
        _ => {
            ask(&bus, "Activate", &(platform(),).to_variant());
            None
        }
    }
}

/// The machines whose names hold all terms: their folders' names, those called so first.
fn found(store: &Store, terms: &[String], among: Option<&[String]>) -> Vec<String> {
    let terms: Vec<_> = terms.iter().map(|term| term.to_lowercase()).collect();
    let mut found: Vec<_> = machines(store)
        .filter(|(folder, ..)| among.is_none_or(|among| among.contains(folder)))
        .filter_map(|(folder, name, _)| Some((rank(&name, &terms)?, name, folder)))
        .collect();
    found.sort();
    found.into_iter().map(|(_, _, folder)| folder).take(MOST).collect()
}

/// How well a name suits the terms, in lower case, 0 best; `None` for one that lacks one of them.
fn rank(name: &str, terms: &[String]) -> Option<u8> {
    let name = name.to_lowercase();
    if terms.is_empty() || !terms.iter().all(|term| name.contains(term.as_str())) {
        return None;
    }
    Some(if terms.iter().any(|term| name.starts_with(term.as_str())) { 0 } else { 1 })
}

/// What the shell shows of these machines.
fn metas(store: &Store, folders: &[String]) -> Vec<HashMap<&'static str, Variant>> {
    let mut machines: HashMap<_, _> =
        machines(store).map(|(folder, name, running)| (folder, (name, running))).collect();
    let metas = folders.iter().take(MOST).filter_map(|folder| {
        let (name, running) = machines.remove(folder)?;
        let description = match running {
            true => gettext("Virtual machine, running"),
            false => gettext("Virtual machine"),
        };
        Some(HashMap::from([
            ("id", folder.to_variant()),
            ("name", name.to_variant()),
            ("description", description.to_variant()),
            ("gicon", APPLICATION.to_variant()),
        ]))
    });
    metas.collect()
}

/// Folder, name and whether it runs, of every machine that can be read and asked for as text.
fn machines(store: &Store) -> impl Iterator<Item = (String, String, bool)> {
    let entries = store.list().unwrap_or_default();
    entries.into_iter().filter_map(|entry| {
        let vm = entry.vm.ok()?;
        let folder = entry.folder.into_string().ok()?;
        Some((folder, vm.definition().name.as_str().to_owned(), vm.is_running()))
    })
}

/// What the window's program is told of who asks: nothing (Desktop Entry Specification 1.5, D-Bus
/// Activation).
fn platform() -> HashMap<String, Variant> {
    HashMap::new()
}

/// Asks the window's program for something, starting it if need be.
fn ask(bus: &gio::DBusConnection, method: &str, parameters: &Variant) {
    bus.call(
        Some(APPLICATION),
        APPLICATION_PATH,
        "org.freedesktop.Application",
        method,
        Some(parameters),
        Some(VariantTy::UNIT),
        gio::DBusCallFlags::NONE,
        -1,
        gio::Cancellable::NONE,
        |answer| {
            if let Err(error) = answer {
                eprintln!("berth-search-provider: {error}");
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_all_terms() {
        let terms = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(rank("Debian 13", &terms(&["deb"])), Some(0));
        assert_eq!(rank("My Debian", &terms(&["deb", "my"])), Some(0));
        assert_eq!(rank("My Debian", &terms(&["deb"])), Some(1));
        assert_eq!(rank("My Debian", &terms(&["deb", "13"])), None);
        assert_eq!(rank("Straße Ä", &terms(&["ä"])), Some(1));
        assert_eq!(rank("anything", &[]), None);
    }
}
