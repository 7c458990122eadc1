//! Keys that a person cannot press for the guest, because the desktop takes them for itself.

use async_channel::Sender;
use gettextrs::pgettext;
use vmm_core::machine::{Command, KeyEvent};

// linux/input-event-codes.h
const LEFT_CTRL: u16 = 29;
const LEFT_ALT: u16 = 56;
const LEFT_META: u16 = 125;
const BACKSPACE: u16 = 14;
const TAB: u16 = 15;
const ESCAPE: u16 = 1;
const PRINT: u16 = 99;
const PAUSE: u16 = 119;
const DELETE: u16 = 111;
const F4: u16 = 62;
/// F1 to F12.
const FUNCTION: [u16; 12] = [59, 60, 61, 62, 63, 64, 65, 66, 67, 68, 87, 88];

/// What a combination is for; a menu puts each group into a section of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// For sessions and desktops.
    Session,
    /// Linux' virtual terminals.
    Terminals,
    /// Linux' magic system requests: Alt+SysRq and a letter.
    SystemRequests,
}

/// Keys pressed together, in order, and released in the opposite one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Combo {
    /// A name that stays the same in every language, for actions and settings.
    pub id: String,
    /// What a menu says, in the user's language.
    pub label: String,
    /// Where it belongs.
    pub group: Group,
    keys: Vec<u16>,
}

impl Combo {
    fn new(id: &str, label: String, group: Group, keys: &[u16]) -> Self {
        Self { id: id.to_owned(), label, group, keys: keys.to_vec() }
    }

    /// The keys going down and up.
    pub fn events(&self) -> Vec<KeyEvent> {
        let event = |code: u16, pressed| KeyEvent { code, pressed };
        let down = self.keys.iter().map(|code| event(*code, true));
        let up = self.keys.iter().rev().map(|code| event(*code, false));
        down.chain(up).collect()
    }
}

/// The combinations to offer.
#[derive(Debug, Clone)]
pub struct SendKeys {
    combos: Vec<Combo>,
}

impl Default for SendKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl SendKeys {
    /// All combinations, labelled in the user's language.
    pub fn new() -> Self {
        let session = |id, label, keys: &[u16]| Combo::new(id, label, Group::Session, keys);
        let mut combos = vec![
            session(
                "ctrl-alt-delete",
                pgettext("keys", "Ctrl+Alt+Delete"),
                &[LEFT_CTRL, LEFT_ALT, DELETE],
            ),
            session(
                "ctrl-alt-backspace",
                pgettext("keys", "Ctrl+Alt+Backspace"),
                &[LEFT_CTRL, LEFT_ALT, BACKSPACE],
            ),
            session("alt-tab", pgettext("keys", "Alt+Tab"), &[LEFT_ALT, TAB]),
            session("alt-f4", pgettext("keys", "Alt+F4"), &[LEFT_ALT, F4]),
            session("ctrl-escape", pgettext("keys", "Ctrl+Esc"), &[LEFT_CTRL, ESCAPE]),
            session("super", pgettext("keys", "Super"), &[LEFT_META]),
            session("print", pgettext("keys", "Print Screen"), &[PRINT]),
            session("pause", pgettext("keys", "Pause"), &[PAUSE]),
        ];
        for (number, key) in (1..).zip(FUNCTION) {
            let number = format!("{number}");
            let label = pgettext("keys", "Ctrl+Alt+F{number}").replace("{number}", &number);
            let id = format!("ctrl-alt-f{number}");
            combos.push(Combo::new(&id, label, Group::Terminals, &[LEFT_CTRL, LEFT_ALT, key]));
        }
        // Documentation/admin-guide/sysrq.rst in Linux.
        let requests = [
            ("sysrq-h", 35, pgettext("keys", "SysRq H: List Requests")),
            ("sysrq-r", 19, pgettext("keys", "SysRq R: Take the Keyboard Back")),
            ("sysrq-e", 18, pgettext("keys", "SysRq E: Ask All Processes to End")),
            ("sysrq-i", 23, pgettext("keys", "SysRq I: End All Processes")),
            ("sysrq-s", 31, pgettext("keys", "SysRq S: Write All Data to Disk")),
            ("sysrq-u", 22, pgettext("keys", "SysRq U: Make Disks Read-Only")),
            ("sysrq-b", 48, pgettext("keys", "SysRq B: Restart at Once")),
            ("sysrq-w", 17, pgettext("keys", "SysRq W: List Blocked Tasks")),
            ("sysrq-t", 20, pgettext("keys", "SysRq T: List All Tasks")),
            ("sysrq-c", 46, pgettext("keys", "SysRq C: Crash the Kernel")),
        ];
        combos.extend(requests.into_iter().map(|(id, key, label)| {
            Combo::new(id, label, Group::SystemRequests, &[LEFT_ALT, PRINT, key])
        }));
        Self { combos }
    }

    /// The combinations, group by group.
    pub fn combos(&self) -> &[Combo] {
        &self.combos
    }

    /// The combination with an id.
    pub fn get(&self, id: &str) -> Option<&Combo> {
        self.combos.iter().find(|combo| combo.id == id)
    }
}

/// Types a combination on the guest's keyboard, after what is still being typed.
pub fn send_combo(commands: &Sender<Command>, combo: &Combo) {
    // A machine that is over has no keyboard.
    let _ = commands.try_send(Command::TypeKeys(combo.events()));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_every_key_is_let_go() {
        let keys = SendKeys::new();
        let ids: BTreeSet<_> = keys.combos().iter().map(|combo| &combo.id).collect();
        assert_eq!(ids.len(), keys.combos().len());
        for combo in keys.combos() {
            let mut held = Vec::new();
            for event in combo.events() {
                if event.pressed {
                    held.push(event.code);
                } else {
                    assert_eq!(held.pop(), Some(event.code), "{}", combo.id);
                }
            }
            assert!(held.is_empty(), "{}", combo.id);
        }
    }

    #[test]
    fn sends_what_the_label_says() {
        let keys = SendKeys::new();
        let (sender, receiver) = async_channel::unbounded();
        let terminal = keys.get("ctrl-alt-f11").unwrap();
        assert_eq!(terminal.label, "Ctrl+Alt+F11");
        send_combo(&sender, terminal);
        let codes = [(29, true), (56, true), (87, true), (87, false), (56, false), (29, false)];
        let events = codes.map(|(code, pressed)| KeyEvent { code, pressed }).to_vec();
        assert_eq!(receiver.try_recv(), Ok(Command::TypeKeys(events)));
        assert_eq!(keys.get("sysrq-b").unwrap().events()[1].code, 99);
        receiver.close();
        send_combo(&sender, terminal);
    }
}
