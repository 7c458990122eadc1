pub fn page(_m: &crate::machines::Machines) -> gtk::Box {
    gtk::Box::new(gtk::Orientation::Vertical, 0)
}
