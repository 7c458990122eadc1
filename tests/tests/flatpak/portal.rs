//! The desktop's portal, played by the test: it grants all that it knows, and remembers it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use berth_tests::desktop::{Desktop, connect, patience};
use gio::glib::{self, MainContext, MainLoop, Variant};
use gio::prelude::*;

/// What it knows (XDG Desktop Portal, “Background” and “Inhibit”).
const INTERFACES: &str = r#"<node>
 <interface name="org.freedesktop.portal.Background">
  <method name="RequestBackground">
   <arg type="s" name="parent_window" direction="in"/>
   <arg type="a{sv}" name="options" direction="in"/>
   <arg type="o" name="handle" direction="out"/>
  </method>
 </interface>
 <interface name="org.freedesktop.portal.Inhibit">
  <method name="Inhibit">
   <arg type="s" name="window" direction="in"/>
   <arg type="u" name="flags" direction="in"/>
   <arg type="a{sv}" name="options" direction="in"/>
   <arg type="o" name="handle" direction="out"/>
  </method>
 </interface>
</node>"#;

const NAME: &str = "org.freedesktop.portal.Desktop";
const PATH: &str = "/org/freedesktop/portal/desktop";

/// A method's name and arguments.
type Call = (String, Variant);

/// The portal, until it is dropped.
pub(crate) struct Portal {
    calls: Receiver<Call>,
    main: MainLoop,
    thread: Option<JoinHandle<()>>,
}

impl Portal {
    /// Starts it on the desktop's session bus.
    ///
    /// # Panics
    /// When it cannot be there.
    pub(crate) fn start(desktop: &Desktop) -> Self {
        let (sender, calls) = channel();
        let (ready, is_ready) = channel();
        let address = desktop.session_address().to_owned();
        let context = MainContext::new();
        let main = MainLoop::new(Some(&context), false);
        let serving = main.clone();
        let thread = std::thread::spawn(move || {
            context
                .with_thread_default(|| {
                    let bus = connect(&address);
                    serve(&bus, sender);
                    ready.send(()).expect("the test waits");
                    serving.run();
                })
                .expect("a context of our own");
        });
        is_ready.recv_timeout(patience()).expect("the portal");
        Self { calls, main, thread: Some(thread) }
    }

    /// The arguments of the next call of `method`.
    ///
    /// # Panics
    /// When none comes.
    pub(crate) fn asked(&self, method: &str) -> Variant {
        loop {
            match self.calls.recv_timeout(patience()) {
                Ok((called, arguments)) if called == method => return arguments,
                Ok(_) => {}
                Err(_) => panic!("{method} is not asked for"),
            }
        }
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.main.quit();
        if let Some(thread) = self.thread.take() {
            // Its panic is the test's, too.
            let _ = thread.join();
        }
    }
}

fn serve(bus: &gio::DBusConnection, calls: Sender<Call>) {
    let node = gio::DBusNodeInfo::for_xml(INTERFACES).expect("a description");
    let calls = Arc::new(calls);
    for name in ["org.freedesktop.portal.Background", "org.freedesktop.portal.Inhibit"] {
        let calls = calls.clone();
        let interface = node.lookup_interface(name).expect("it is described");
        bus.register_object(PATH, &interface)
            .method_call(move |_, _, _, _, method, arguments, invocation| {
                // The test may not want to know any more.
                let _ = calls.send((method.to_owned(), arguments));
                let handle = glib::variant::ObjectPath::try_from(format!("{PATH}/request/1"));
                invocation.return_value(Some(&(handle.expect("a path"),).to_variant()));
            })
            .build()
            .expect("an object on the bus");
    }
    bus.call_sync(
        Some("org.freedesktop.DBus"),
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus",
        "RequestName",
        Some(&(NAME, 0u32).to_variant()),
        None,
        gio::DBusCallFlags::NONE,
        -1,
        None::<&gio::Cancellable>,
    )
    .expect("the portal's name");
}
