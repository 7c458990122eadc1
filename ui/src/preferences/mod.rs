#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnClose {
    Ask,
    KeepRunning,
    ShutDown,
}
pub struct Preferences;
impl Preferences {
    pub fn shared() -> Self {
        Self
    }
    pub fn on_close(&self) -> OnClose {
        OnClose::Ask
    }
}
pub fn present(_p: &adw::ApplicationWindow) {}
