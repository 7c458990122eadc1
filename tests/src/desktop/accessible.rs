//! AT-SPI's accessible objects, over D-Bus: what a screen reader sees of a program.
//!
//! The interfaces are those of `org.a11y.atspi` (at-spi2-core, `xml/*.xml`). Objects come and go
//! while they are looked at, so every question can fail.

use std::fmt::{self, Write as _};

use futures_lite::future;
use gio::glib::variant::{FromVariant, ObjectPath};
use gio::glib::{self, MainContext, Variant};
use gio::prelude::*;
use gio::{DBusCallFlags, DBusConnection};

use regex::Regex;

use super::patience;

/// How deep a tree is followed. GTK nests some thirty levels.
const DEPTH: usize = 100;

/// How many of an object's children are looked at together.
const AT_ONCE: usize = 16;

/// Objects as D-Bus has them: the program's bus name, and the object's path.
type Children = Vec<(String, ObjectPath)>;

/// What an object is at the moment: bits of at-spi2-core's `AtspiStateType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// The window that has the keyboard.
    Active = 1,
    /// Switched on, of a switch or check box.
    Checked = 4,
    /// It can be switched on and off, or unfolded.
    Expanded = 10,
    /// It can have the keyboard.
    Focusable = 11,
    /// It has the keyboard.
    Focused = 12,
    /// It was pressed in.
    Pressed = 20,
    /// It is chosen in its list.
    Selected = 23,
    /// It answers to what is done with it.
    Sensitive = 24,
    /// It is on the screen.
    Showing = 25,
    /// What it holds is wrong.
    InvalidEntry = 36,
}

/// An object in the accessibility tree of a program.
#[derive(Clone)]
pub struct Accessible {
    bus: DBusConnection,
    owner: String,
    path: String,
}

impl fmt::Debug for Accessible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.owner, self.path)
    }
}

impl Accessible {
    /// The object at `path` of the program that owns `owner` on an accessibility bus.
    #[must_use]
    pub fn new(bus: &DBusConnection, owner: &str, path: &str) -> Self {
        Self { bus: bus.clone(), owner: owner.into(), path: path.into() }
    }

    /// The bus name of the program.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Its path on the bus.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    fn call(
        &self,
        interface: &str,
        method: &str,
        arguments: Option<&Variant>,
    ) -> Result<Variant, glib::Error> {
        let limit = i32::try_from(patience().as_millis()).expect("minutes at most");
        self.bus.call_sync(
            Some(&self.owner),
            &self.path,
            interface,
            method,
            arguments,
            None,
            DBusCallFlags::NO_AUTO_START,
            limit,
            None::<&gio::Cancellable>,
        )
    }

    /// What `method` of `org.a11y.atspi.INTERFACE` answers, when it is one value.
    fn ask<T: FromVariant>(
        &self,
        interface: &str,
        method: &str,
        arguments: Option<&Variant>,
    ) -> Result<T, glib::Error> {
        let answer = self.call(&format!("org.a11y.atspi.{interface}"), method, arguments)?;
        answer.try_child_value(0).and_then(|value| value.get()).ok_or_else(|| {
            let text = format!("{interface}.{method} answered with {}", answer.type_());
            glib::Error::new(gio::IOErrorEnum::InvalidData, &text)
        })
    }

    fn property<T: FromVariant>(&self, interface: &str, name: &str) -> Result<T, glib::Error> {
        let arguments = (format!("org.a11y.atspi.{interface}"), name).to_variant();
        let answer = self.call("org.freedesktop.DBus.Properties", "Get", Some(&arguments))?;
        let value = answer.try_child_value(0).and_then(|value| value.as_variant());
        value.and_then(|value| value.get()).ok_or_else(|| {
            glib::Error::new(gio::IOErrorEnum::InvalidData, &format!("{interface}.{name}"))
        })
    }

    /// What `method` of `org.a11y.atspi.Accessible` answers, when it is one value.
    async fn answer<T: FromVariant>(&self, method: &str) -> Option<T> {
        let limit = i32::try_from(patience().as_millis()).expect("minutes at most");
        let interface = "org.a11y.atspi.Accessible";
        let flags = DBusCallFlags::NO_AUTO_START;
        let call = self.bus.call_future(
            Some(&self.owner),
            &self.path,
            interface,
            method,
            None,
            None,
            flags,
            limit,
        );
        call.await.ok()?.try_child_value(0)?.get()
    }

    /// Whether its program answers for it.
    pub(super) async fn is_there(&self) -> bool {
        self.answer::<String>("GetRoleName").await.is_some()
    }

    /// What every look at it begins with, asked for at once.
    async fn facts(self) -> Option<Facts> {
        let role = self.answer::<String>("GetRoleName");
        let states = self.answer::<Vec<u32>>("GetState");
        let children = self.answer::<Children>("GetChildren");
        let ((role, states), children) = future::zip(future::zip(role, states), children).await;
        let children = self.objects(children?);
        Some(Facts { role: role?, states: bits(&states?), children, object: self })
    }

    fn objects(&self, children: Children) -> Vec<Self> {
        let object =
            |(owner, path): (String, ObjectPath)| Self::new(&self.bus, &owner, path.as_str());
        children.into_iter().map(object).collect()
    }

    /// What kind of thing it is, such as `button`.
    ///
    /// # Errors
    /// When it is gone.
    pub fn role(&self) -> Result<String, glib::Error> {
        self.ask("Accessible", "GetRoleName", None)
    }

    /// What a screen reader calls it: its name, or else that of its label.
    ///
    /// # Errors
    /// When it is gone.
    pub fn name(&self) -> Result<String, glib::Error> {
        let name = self.own_name()?;
        match name.trim().is_empty() {
            true => Ok(self.label().unwrap_or_default()),
            false => Ok(name),
        }
    }

    fn own_name(&self) -> Result<String, glib::Error> {
        self.property("Accessible", "Name")
    }

    /// The name of what is said to be its label.
    fn label(&self) -> Option<String> {
        type Relations = Vec<(u32, Children)>;
        // AtspiRelationType: 2 is "labelled by".
        const LABELLED_BY: u32 = 2;
        let relations: Relations = self.ask("Accessible", "GetRelationSet", None).ok()?;
        let labels = relations.into_iter().filter(|(kind, _)| *kind == LABELLED_BY);
        labels.flat_map(|(_, labels)| labels).find_map(|(owner, path)| {
            let label = Self::new(&self.bus, &owner, path.as_str());
            // GTK's menus are labelled by what has no name and is not more than its text.
            let name = label.own_name().ok().filter(|name| !name.is_empty());
            name.or_else(|| label.text().ok()).filter(|name| !name.trim().is_empty())
        })
    }

    /// What a screen reader says about it besides its name.
    ///
    /// # Errors
    /// When it is gone.
    pub fn description(&self) -> Result<String, glib::Error> {
        self.property("Accessible", "Description")
    }

    fn state_bits(&self) -> Result<u64, glib::Error> {
        self.ask("Accessible", "GetState", None).map(|words: Vec<u32>| bits(&words))
    }

    /// Whether it is in `state`. Something that is gone is in none.
    #[must_use]
    pub fn is(&self, state: State) -> bool {
        self.state_bits().is_ok_and(|bits| has(bits, state))
    }

    /// What is in it.
    ///
    /// # Errors
    /// When it is gone.
    pub fn children(&self) -> Result<Vec<Self>, glib::Error> {
        self.ask("Accessible", "GetChildren", None).map(|children| self.objects(children))
    }

    /// Whether there is something that [`Self::click`] does.
    #[must_use]
    pub fn has_action(&self) -> bool {
        self.property("Action", "NActions").is_ok_and(|count: i32| count > 0)
    }

    /// Does what a click does.
    ///
    /// # Errors
    /// When it is gone or there is nothing that a click does.
    pub fn click(&self) -> Result<(), glib::Error> {
        self.done(self.ask("Action", "DoAction", Some(&(0i32,).to_variant()))?, "click")
    }

    /// Chooses the child with this index, of a list.
    ///
    /// # Errors
    /// When it is gone or there is no such child.
    pub fn select(&self, index: i32) -> Result<(), glib::Error> {
        self.done(self.ask("Selection", "SelectChild", Some(&(index,).to_variant()))?, "select")
    }

    /// The text in it.
    ///
    /// # Errors
    /// When it is gone or holds no text.
    pub fn text(&self) -> Result<String, glib::Error> {
        // To the end is -1, but not for every entry of GTK's.
        let count: i32 = self.property("Text", "CharacterCount")?;
        self.ask("Text", "GetText", Some(&(0i32, count).to_variant()))
    }

    /// Replaces the text in it.
    ///
    /// # Errors
    /// When it is gone or its text cannot be changed.
    pub fn set_text(&self, text: &str) -> Result<(), glib::Error> {
        let arguments = (text,).to_variant();
        self.done(self.ask("EditableText", "SetTextContents", Some(&arguments))?, "set text")
    }

    /// Its number, of a slider, progress bar and the like.
    ///
    /// # Errors
    /// When it is gone or has none.
    pub fn value(&self) -> Result<f64, glib::Error> {
        self.property("Value", "CurrentValue")
    }

    /// Where it is in its window: x, y, width and height in pixels.
    ///
    /// # Errors
    /// When it is gone.
    pub fn extents(&self) -> Result<(i32, i32, i32, i32), glib::Error> {
        // AtspiCoordType: 1 is relative to the window.
        self.ask("Component", "GetExtents", Some(&(1u32,).to_variant()))
    }

    fn done(&self, done: bool, what: &str) -> Result<(), glib::Error> {
        match done {
            true => Ok(()),
            false => {
                let text = format!("{what}: refused by {self:?}");
                Err(glib::Error::new(gio::IOErrorEnum::Failed, &text))
            }
        }
    }

    /// The first object on the screen, in the order that they are read in, of this role with a name
    /// that matches.
    #[must_use]
    pub fn find(&self, role: &str, name: &Regex) -> Option<Self> {
        self.search(&mut |facts| {
            facts.role == role && facts.object.name().is_ok_and(|found| name.is_match(&found))
        })
    }

    /// What has the keyboard.
    #[must_use]
    pub fn focused(&self) -> Option<Self> {
        let mut innermost = None;
        // Of several that say so, the innermost is it.
        self.search(&mut |facts| {
            if has(facts.states, State::Focused) {
                innermost = Some(facts.object.clone());
            }
            false
        });
        innermost
    }

    fn search(&self, wanted: &mut dyn FnMut(&Facts) -> bool) -> Option<Self> {
        fn look(
            among: &[Accessible],
            depth: usize,
            wanted: &mut dyn FnMut(&Facts) -> bool,
        ) -> Option<Accessible> {
            for some in among.chunks(AT_ONCE) {
                for facts in look_at(some).into_iter().filter(Facts::is_seen) {
                    if wanted(&facts) {
                        return Some(facts.object);
                    }
                    if depth < DEPTH
                        && let Some(found) = look(&facts.children, depth + 1, wanted)
                    {
                        return Some(found);
                    }
                }
            }
            None
        }
        look(&self.children().ok()?, 0, wanted)
    }

    /// This object and all in it that is on the screen, as they are now.
    #[must_use]
    pub fn tree(&self) -> Node {
        Node {
            object: self.clone(),
            role: self.role().unwrap_or_default(),
            name: self.own_name().unwrap_or_default(),
            states: 0,
            children: Node::read(&self.children().unwrap_or_default(), 0),
        }
    }
}

/// What every look at an object begins with.
struct Facts {
    object: Accessible,
    role: String,
    states: u64,
    children: Vec<Accessible>,
}

impl Facts {
    fn is_seen(&self) -> bool {
        has(self.states, State::Showing)
    }
}

/// Asks all of them at once: what takes time is the way there and back. Those that are gone are
/// left out.
fn look_at(objects: &[Accessible]) -> Vec<Facts> {
    let context = MainContext::new();
    let all = async {
        let asked: Vec<_> =
            objects.iter().map(|object| context.spawn_local(object.clone().facts())).collect();
        let mut found = Vec::new();
        for facts in asked {
            found.extend(facts.await.ok().flatten());
        }
        found
    };
    context.with_thread_default(|| context.block_on(all)).expect("a context of our own")
}

fn bits(words: &[u32]) -> u64 {
    let word = |index: usize| u64::from(words.get(index).copied().unwrap_or_default());
    word(0) | word(1) << 32
}

fn has(bits: u64, state: State) -> bool {
    bits & 1 << state as u8 != 0
}

/// An object as it was when it was looked at, with what was in it. What could not be read, because
/// it was gone by then, is empty.
#[derive(Debug, Clone)]
pub struct Node {
    /// The object.
    pub object: Accessible,
    /// What kind of thing it is.
    pub role: String,
    /// What a screen reader calls it.
    pub name: String,
    /// What is in it.
    pub children: Vec<Node>,
    states: u64,
}

impl Node {
    fn read(among: &[Accessible], depth: usize) -> Vec<Self> {
        if depth > DEPTH {
            return Vec::new();
        }
        let node = |facts: Facts| {
            // Only what can be worked with is labelled by something else.
            let name = match has(facts.states, State::Focusable) {
                true => facts.object.name(),
                false => facts.object.own_name(),
            };
            Self {
                role: facts.role,
                name: name.unwrap_or_default(),
                states: facts.states,
                children: Self::read(&facts.children, depth + 1),
                object: facts.object,
            }
        };
        look_at(among).into_iter().filter(Facts::is_seen).map(node).collect()
    }

    /// Whether it was in this state.
    #[must_use]
    pub fn is(&self, state: State) -> bool {
        has(self.states, state)
    }

    /// It and all in it, in the order that they are read in.
    pub fn all(&self) -> Vec<&Self> {
        let mut all = vec![self];
        self.children.iter().for_each(|child| all.extend(child.all()));
        all
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        // Boxes in boxes are of no interest.
        let nameless = self.name.is_empty() && !self.is(State::Focusable);
        let mut depth = depth;
        if !(nameless && matches!(self.role.as_str(), "generic" | "group" | "none" | "tab panel")) {
            write!(f, "{:1$}{2} “{3}”", "", depth * 2, self.role, self.name.escape_debug())?;
            for (state, word) in [
                (State::Focused, "focused"),
                (State::Selected, "selected"),
                (State::Checked, "checked"),
                (State::InvalidEntry, "invalid"),
            ] {
                if self.is(state) {
                    write!(f, ", {word}")?;
                }
            }
            if self.is(State::Focusable) && !self.is(State::Sensitive) {
                f.write_str(", insensitive")?;
            }
            if let Ok(text) = self.object.text()
                && text != self.name
            {
                let shown: String = text.chars().take(200).collect();
                write!(f, ", text “{}”", shown.escape_debug())?;
            }
            f.write_char('\n')?;
            depth += 1;
        }
        self.children.iter().try_for_each(|child| child.write(f, depth))
    }
}

/// A line each.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}
