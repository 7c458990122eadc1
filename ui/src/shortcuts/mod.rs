pub fn present(_p: &adw::ApplicationWindow) {}
