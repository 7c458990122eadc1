//! A file dragged onto a window, as a file manager does it: version 5 of the XDND protocol
//! (freedesktop.org, "Drag-and-Drop Protocol for the X Window System").

use std::path::Path;
use std::thread;

use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ClientMessageEvent,
    ConnectionExt as _, CreateWindowAux, EventMask, PropMode, SELECTION_NOTIFY_EVENT,
    SelectionNotifyEvent, SelectionRequestEvent, Window, WindowClass,
};
use x11rb::wrapper::ConnectionExt as _;

use super::x11::X11;
use super::{LOOK, patience, wait};

const VERSION: u32 = 5;
/// The window that is dragged from, in the corner at the bottom right: its width and height.
const SOURCE: u16 = 8;

x11rb::atom_manager! {
    /// The names that the protocol needs.
    Atoms: AtomsCookie {
        XdndAware,
        XdndEnter,
        XdndPosition,
        XdndStatus,
        XdndDrop,
        XdndLeave,
        XdndFinished,
        XdndSelection,
        XdndActionCopy,
        URIS: b"text/uri-list",
    }
}

impl X11 {
    /// Drags a file from a window of its own to a place on the screen and drops it there. Whether
    /// it was taken.
    ///
    /// # Panics
    /// When there is no window that takes anything, or it never answers.
    #[must_use]
    pub fn drag(&self, file: &Path, (x, y): (i32, i32)) -> bool {
        let drag = Drag::start(self, file, (x, y));
        self.point(x, y);
        // The window may have to think about it: as a hand does, go on pointing.
        let taken = wait(patience() / 10, || drag.is_welcome().then_some(())).is_some();
        self.fake(BUTTON_RELEASE_EVENT, 1, (0, 0));
        if taken {
            drag.drop()
        } else {
            drag.leave()
        }
        let _ = self.connection.destroy_window(drag.source);
        self.sync();
        taken
    }

    /// The topmost window at this place that something can be dropped on.
    fn takes_drops(&self, aware: Atom, (x, y): (i32, i32)) -> Option<Window> {
        let is_there = |window: &Window| {
            let place = self.connection.get_geometry(*window).ok()?.reply().ok()?;
            let within = |at: i32, start: i16, len: u16| {
                (i32::from(start)..i32::from(start) + i32::from(len)).contains(&at)
            };
            let there = within(x, place.x, place.width) && within(y, place.y, place.height);
            let asked = self.connection.get_property(false, *window, aware, AtomEnum::ATOM, 0, 1);
            Some(there && asked.ok()?.reply().ok()?.length == 1)
        };
        self.visible().into_iter().rev().find(|window| is_there(window) == Some(true))
    }
}

struct Drag<'a> {
    x11: &'a X11,
    atoms: Atoms,
    source: Window,
    target: Window,
    place: (i32, i32),
    /// The file's URI, in a line of its own (RFC 2483, section 5).
    uris: String,
}

impl<'a> Drag<'a> {
    /// Takes hold of the file.
    fn start(x11: &'a X11, file: &Path, place: (i32, i32)) -> Self {
        let connection = &x11.connection;
        let atoms = Atoms::new(connection).map(|asked| asked.reply());
        let atoms = atoms.expect("the X server").expect("atoms");
        let target = x11.takes_drops(atoms.XdndAware, place);
        let source = connection.generate_id().expect("a window's name");
        let (width, height) = x11.size;
        let corner = |len: u16| i16::try_from(len - SOURCE).expect("a screen's size");
        connection
            .create_window(
                x11rb::COPY_DEPTH_FROM_PARENT,
                source,
                x11.root,
                corner(width),
                corner(height),
                SOURCE,
                SOURCE,
                0,
                WindowClass::INPUT_OUTPUT,
                x11rb::COPY_FROM_PARENT,
                &CreateWindowAux::new().override_redirect(1),
            )
            .expect("the X server");
        connection.map_window(source).expect("the X server");
        connection
            .set_selection_owner(source, atoms.XdndSelection, x11rb::CURRENT_TIME)
            .expect("the X server");
        x11.point((width - 1).into(), (height - 1).into());
        x11.fake(BUTTON_PRESS_EVENT, 1, (0, 0));
        let drag = Self {
            x11,
            source,
            target: target.expect("a window that takes drops"),
            place,
            uris: format!("{}\r\n", gio::prelude::FileExt::uri(&gio::File::for_path(file))),
            atoms,
        };
        drag.tell(drag.atoms.XdndEnter, [VERSION << 24, drag.atoms.URIS, 0, 0]);
        drag
    }

    /// Points at the place; whether the window says that it takes the file there.
    fn is_welcome(&self) -> bool {
        let (x, y) = self.place;
        let place = u32::try_from(x << 16 | y).expect("a place on the screen");
        self.tell(
            self.atoms.XdndPosition,
            [0, place, x11rb::CURRENT_TIME, self.atoms.XdndActionCopy],
        );
        let status = self.answer(self.atoms.XdndStatus).expect("the window answers");
        status.data.as_data32()[1] & 1 == 1
    }

    /// Lets the file go, and waits until the window has read where it is.
    fn drop(&self) {
        self.tell(self.atoms.XdndDrop, [0, x11rb::CURRENT_TIME, 0, 0]);
        let finished = self.answer(self.atoms.XdndFinished).expect("the window takes the file");
        assert_eq!(finished.data.as_data32()[1] & 1, 1, "the window dropped the file");
    }

    fn leave(&self) {
        self.tell(self.atoms.XdndLeave, [0; 4]);
    }

    fn tell(&self, message: Atom, [a, b, c, d]: [u32; 4]) {
        let event = ClientMessageEvent::new(32, self.target, message, [self.source, a, b, c, d]);
        self.x11
            .connection
            .send_event(false, self.target, EventMask::NO_EVENT, event)
            .expect("the X server");
        self.x11.sync();
    }

    /// Waits for a message from the window, telling it meanwhile what file it is.
    fn answer(&self, message: Atom) -> Option<ClientMessageEvent> {
        wait(patience(), || {
            while let Some(event) = self.x11.connection.poll_for_event().expect("the X server") {
                match event {
                    Event::ClientMessage(event) if event.type_ == message => return Some(event),
                    Event::SelectionRequest(request) => self.hand_over(request),
                    _ => {}
                }
            }
            None
        })
    }

    fn hand_over(&self, request: SelectionRequestEvent) {
        let connection = &self.x11.connection;
        let known = request.target == self.atoms.URIS;
        if known {
            connection
                .change_property8(
                    PropMode::REPLACE,
                    request.requestor,
                    request.property,
                    self.atoms.URIS,
                    self.uris.as_bytes(),
                )
                .expect("the X server");
        }
        let answer = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: request.time,
            requestor: request.requestor,
            selection: request.selection,
            target: request.target,
            property: if known { request.property } else { x11rb::NONE },
        };
        connection
            .send_event(false, request.requestor, EventMask::NO_EVENT, answer)
            .expect("the X server");
        self.x11.sync();
        thread::sleep(LOOK);
    }
}
