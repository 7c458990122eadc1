//! Controls without a name, which a screen reader could not tell from one another.

use super::accessible::{Node, State};

/// What can be worked with even where it is out of the keyboard's reach. The words are GTK's.
const CONTROLS: [&str; 17] = [
    "button",
    "check box",
    "combo box",
    "link",
    "menu item",
    "menu item checkbox",
    "menu item radio",
    "meter",
    "progress bar",
    "radio",
    "search box",
    "slider",
    "spin button",
    "switch",
    "tab",
    "text box",
    "toggle button",
];

/// What takes the keyboard only to pass it on to what is in it.
const PASSAGES: [&str; 7] =
    ["generic", "group", "list", "list box", "none", "tab list", "tab panel"];

/// Every control in `tree` that has no name, not even from a label, with where it is.
#[must_use]
pub fn unnamed(tree: &Node) -> Vec<String> {
    let mut found = Vec::new();
    collect(tree, "", &mut found);
    found
}

fn collect(node: &Node, path: &str, found: &mut Vec<String>) {
    let path = match node.name.is_empty() {
        true => format!("{path}/{}", node.role),
        false => format!("{path}/{} “{}”", node.role, node.name),
    };
    let passage = PASSAGES.contains(&node.role.as_str());
    let control = CONTROLS.contains(&node.role.as_str()) || node.is(State::Focusable) && !passage;
    if control && node.name.trim().is_empty() {
        found.push(path.clone());
    }
    // What a combo box shows as chosen is in a list of its own, which is read with the box.
    if node.role != "combo box" {
        node.children.iter().for_each(|child| collect(child, &path, found));
    }
}
