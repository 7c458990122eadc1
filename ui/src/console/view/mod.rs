//! The console as a widget.

mod parts;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use adw::prelude::*;
use adw::subclass::prelude::*;
use gettextrs::gettext;
use gtk::{gio, glib};
use vmm_core::machine::{SerialInput, SerialOutput, SerialPort};
use vte::prelude::*;

use self::parts::MEND;
use super::find::FindBar;
use super::outbox::Outbox;
use super::pace::{PAUSE, Pace};
use super::save;

/// How small and large the text can be made.
const SCALES: std::ops::RangeInclusive<f64> = 0.5..=4.0;
/// When more than this waits to be sent, in bytes, progress is shown.
const LONG: usize = 16 << 10;
/// How often progress is shown anew.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct ConsoleView {
        pub(super) terminal: vte::Terminal,
        pub(super) find: OnceCell<FindBar>,
        pub(super) stack: gtk::Stack,
        pub(super) hint: gtk::Label,
        pub(super) state: gtk::Label,
        pub(super) toasts: adw::ToastOverlay,
        pub(super) sending: gtk::Revealer,
        pub(super) progress: gtk::ProgressBar,
        pub(super) outbox: RefCell<Outbox>,
        /// Wakes who sends what is in the outbox.
        pub(super) wake: RefCell<Option<async_channel::Sender<()>>>,
        pub(super) input: RefCell<Option<Rc<SerialInput>>>,
        pub(super) tasks: RefCell<Vec<glib::JoinHandle<()>>>,
        /// Whether a portion of output is being handed over.
        pub(super) busy: Cell<bool>,
        /// What is to be said between two portions of output.
        pub(super) remarks: RefCell<Vec<String>>,
        /// Whether the output stands in the middle of a line.
        pub(super) line_begun: Cell<bool>,
        pub(super) used: Cell<bool>,
        pub(super) refused: Cell<bool>,
        pub(super) actions: gio::SimpleActionGroup,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for ConsoleView {
        const NAME: &'static str = "BerthConsoleView";
        type Type = super::ConsoleView;
        type ParentType = adw::Bin;
    }

    impl ObjectImpl for ConsoleView {
        fn constructed(&self) {
            self.parent_constructed();
            self.obj().build();
        }

        fn dispose(&self) {
            self.obj().stop();
        }
    }

    impl WidgetImpl for ConsoleView {
        fn grab_focus(&self) -> bool {
            self.terminal.grab_focus()
        }
    }

    impl BinImpl for ConsoleView {}
}

glib::wrapper! {
    /// A terminal on a machine's serial port, with what a person does with one: find, copy, paste,
    /// save, zoom. It keeps what was said when the machine is over.
    pub struct ConsoleView(ObjectSubclass<imp::ConsoleView>)
        @extends adw::Bin, gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Default for ConsoleView {
    fn default() -> Self {
        Self::new()
    }
}

impl ConsoleView {
    /// One that is attached to nothing.
    pub fn new() -> Self {
        glib::Object::new()
    }

    /// Shows what is said on `port` and says what is typed. A port it was attached to before is
    /// dropped; when the machine is over, it notices by itself and keeps the text.
    pub fn attach(&self, port: SerialPort) {
        self.detach();
        let imp = self.imp();
        if imp.used.replace(true) {
            self.remark(&gettext("machine was started"));
        }
        let (wake, woken) = async_channel::bounded(1);
        let input = Rc::new(port.input);
        imp.input.replace(Some(input.clone()));
        imp.wake.replace(Some(wake));
        imp.tasks.replace(vec![
            glib::spawn_future_local(show(self.downgrade(), port.output)),
            glib::spawn_future_local(send(self.downgrade(), input, woken)),
        ]);
        imp.terminal.set_input_enabled(true);
        imp.hint.set_visible(true);
        imp.stack.set_visible_child_name("terminal");
        self.refresh();
    }

    /// Lets go of the port at once: what has not been shown or sent yet never is. The text stays.
    pub fn detach(&self) {
        self.stop();
        self.imp().terminal.set_input_enabled(false);
        self.imp().hint.set_visible(false);
        self.show_progress();
        self.refresh();
    }

    /// Whether it is attached to a machine that is not over.
    pub fn is_attached(&self) -> bool {
        self.imp().input.borrow().is_some()
    }

    /// Marks in the text that the guest was reset, and gives the new one a fresh terminal.
    pub fn mark_reset(&self) {
        self.remark(&gettext("machine was reset"));
    }

    /// The terminal.
    pub fn terminal(&self) -> &vte::Terminal {
        &self.imp().terminal
    }

    /// Sends `text` as if it had been typed or pasted.
    pub fn send_text(&self, text: &str) {
        self.queue(text.as_bytes());
    }

    /// How many bytes wait for the guest to read them.
    pub fn unsent(&self) -> usize {
        self.imp().outbox.borrow().len()
    }

    /// Forgets what waits for the guest.
    pub fn cancel_sending(&self) {
        self.imp().outbox.borrow_mut().cancel();
        self.show_progress();
    }

    /// Writes the text to `file`.
    ///
    /// # Errors
    /// When it cannot be written, what GIO says.
    pub async fn save_to(&self, file: &gio::File) -> Result<(), glib::Error> {
        save::save(&self.imp().terminal, file).await
    }

    /// Ends what follows the port.
    fn stop(&self) {
        let imp = self.imp();
        imp.tasks.take().into_iter().for_each(|task| task.abort());
        imp.wake.take();
        imp.input.take();
        imp.outbox.replace(Outbox::default());
        imp.busy.set(false);
        self.say_remarks();
    }

    /// Says `text` between what the machine says.
    fn remark(&self, text: &str) {
        let imp = self.imp();
        imp.remarks.borrow_mut().push(text.into());
        if !imp.busy.get() {
            self.say_remarks();
        }
    }

    /// Says what was to be said between two portions of output: dim, on lines of their own.
    fn say_remarks(&self) {
        let imp = self.imp();
        for text in imp.remarks.take() {
            let above = if imp.line_begun.replace(false) { "\r\n" } else { "" };
            let remark = format!("{MEND}{above}\x1b[2m— {text} —\x1b[22m\r\n");
            imp.terminal.feed(remark.as_bytes());
        }
    }

    /// Shows a portion of what the machine says.
    fn feed(&self, bytes: &[u8]) {
        let imp = self.imp();
        imp.hint.set_visible(false);
        imp.terminal.feed(bytes);
        // The terminal works later: where its cursor will be cannot be asked now.
        imp.line_begun.set(bytes.last().is_some_and(|byte| *byte != b'\n'));
    }

    /// Adds `bytes` to what waits for the guest.
    fn queue(&self, bytes: &[u8]) {
        let imp = self.imp();
        let Some(wake) = imp.wake.borrow().clone() else { return };
        let full = imp.outbox.borrow_mut().put(bytes).is_err();
        // Said once, however often it happens until there is room again.
        if full && !imp.refused.replace(true) {
            self.say(&gettext("This is too much at once for a serial console. Send it in parts of 16 MiB at most."));
        }
        imp.refused.set(full);
        // A token that is still there wakes as well as another would.
        let _ = wake.try_send(());
        self.show_progress();
    }

    fn say(&self, text: &str) {
        self.imp().toasts.add_toast(adw::Toast::new(text));
    }

    /// Shows how far a long text is, or nothing when there is none.
    fn show_progress(&self) {
        let imp = self.imp();
        let outbox = imp.outbox.borrow();
        let shown = imp.sending.reveals_child();
        if outbox.len() > LONG || shown && outbox.len() > 0 {
            imp.progress.set_fraction(outbox.progress());
            imp.sending.set_visible(true);
            imp.sending.set_reveal_child(true);
        } else if shown {
            imp.sending.set_reveal_child(false);
            // So that it takes no room and no focus.
            imp.sending.set_visible(false);
        }
    }

    fn refresh(&self) {
        let imp = self.imp();
        let attached = self.is_attached();
        let state = match (attached, imp.used.get()) {
            (true, _) => gettext("First serial port"),
            (false, true) => gettext("First serial port · the machine is off"),
            (false, false) => String::new(),
        };
        imp.state.set_text(&state);
        self.enable("paste", attached);
        self.enable("send-break", attached);
        self.enable("copy", imp.terminal.has_selection());
        for action in ["find", "save", "select-all", "reset-terminal"] {
            self.enable(action, imp.used.get());
        }
    }

    fn enable(&self, action: &str, enabled: bool) {
        let action = self.imp().actions.lookup_action(action);
        if let Some(action) = action.and_downcast::<gio::SimpleAction>() {
            action.set_enabled(enabled);
        }
    }

    fn zoom(&self, factor: f64) {
        let terminal = &self.imp().terminal;
        let scale = terminal.font_scale() * factor;
        terminal.set_font_scale(scale.clamp(*SCALES.start(), *SCALES.end()));
    }

    fn save_as(&self) {
        let dialog = gtk::FileDialog::builder()
            .title(gettext("Save Console Output"))
            .initial_name(gettext("console.txt"))
            .modal(true)
            .build();
        let window = self.root().and_downcast::<gtk::Window>();
        let view = self.clone();
        glib::spawn_future_local(async move {
            // Dismissed: nothing to say.
            let Ok(file) = dialog.save_future(window.as_ref()).await else { return };
            match view.save_to(&file).await {
                Ok(()) => view.say(&gettext("Console output saved")),
                Err(error) => view.say(
                    &gettext("The output could not be saved: {reason}. Choose another place.")
                        .replace("{reason}", error.message().trim_end_matches('.')),
                ),
            }
        });
    }
}

/// Shows what the machine says until it is over. What the terminal cannot take yet stays in the
/// serial port, where the guest waits when it is too much.
async fn show(view: glib::WeakRef<ConsoleView>, output: SerialOutput) {
    let mut pace = Pace::default();
    while let Some(chunk) = output.recv().await {
        let mut rest = chunk.as_slice();
        while !rest.is_empty() {
            let Some(view) = view.upgrade() else { return };
            let imp = view.imp();
            imp.busy.set(true);
            let (now, later) = rest.split_at(pace.portion(rest));
            view.feed(now);
            rest = later;
            drop(view);
            let asked = Instant::now();
            // Behind all that the window has to do, the terminal's own work included.
            glib::timeout_future_with_priority(glib::Priority::DEFAULT_IDLE, PAUSE).await;
            pace.paused(asked.elapsed());
        }
        let Some(view) = view.upgrade() else { return };
        view.imp().busy.set(false);
        view.say_remarks();
    }
    let Some(view) = view.upgrade() else { return };
    // This task is at its end by itself.
    view.imp().tasks.borrow_mut().clear();
    view.detach();
    view.remark(&gettext("machine is off"));
}

/// Sends what waits for the guest, no faster than it reads.
async fn send(
    view: glib::WeakRef<ConsoleView>,
    input: Rc<SerialInput>,
    woken: async_channel::Receiver<()>,
) {
    while woken.recv().await.is_ok() {
        let mut shown = Instant::now();
        loop {
            let Some(portion) = view.upgrade().map(|view| view.imp().outbox.borrow_mut().take())
            else {
                return;
            };
            if portion.is_empty() {
                break;
            }
            if input.send(&portion).await.is_err() {
                // The machine is over; the output's end says so.
                return;
            }
            if shown.elapsed() >= PROGRESS_EVERY {
                shown = Instant::now();
                if let Some(view) = view.upgrade() {
                    view.show_progress();
                }
                // A guest that reads fast must not keep the window waiting.
                glib::timeout_future(Duration::from_millis(1)).await;
            }
        }
        if let Some(view) = view.upgrade() {
            view.imp().refused.set(false);
            view.show_progress();
        }
    }
}
