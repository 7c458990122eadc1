//! The firmware's debug console, port 0x402: bytes written to it are the firmware's log.
//!
//! SeaBIOS and OVMF write there when a read gives 0xE9, which says that somebody listens. Each
//! line goes to the sink that the machine gave.

use parking_lot::Mutex;

use crate::bus::BusDevice;
use crate::state::{Persist, Reset, RestoreError};

/// The one port.
pub const DEBUG_PORT: u64 = 0x402;

/// What a read gives when the console is there.
const PRESENT: u8 = 0xe9;
/// Longer lines are cut into several.
const LINE_BYTES: usize = 512;

type Sink = Box<dyn Fn(&str) + Send + Sync>;

/// The console. Keeps nothing that the guest could see.
pub struct DebugConsole {
    line: Mutex<Vec<u8>>,
    sink: Sink,
}

impl DebugConsole {
    /// A console that gives each line, without its end, to `sink`. The sink is called on vCPU
    /// threads and as often as the guest likes: it should be quick, and bound what it keeps.
    pub fn new(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { line: Mutex::default(), sink: Box::new(sink) }
    }

    fn flush(&self, line: &mut Vec<u8>) {
        if !line.is_empty() {
            (self.sink)(&String::from_utf8_lossy(line));
            line.clear();
        }
    }
}

impl BusDevice for DebugConsole {
    fn read(&self, _: u64, data: &mut [u8]) {
        data.fill(PRESENT);
    }

    fn write(&self, _: u64, data: &[u8]) {
        let mut line = self.line.lock();
        for byte in data {
            match byte {
                b'\n' => self.flush(&mut line),
                // A log is no terminal: no escape sequences from the guest.
                byte if byte.is_ascii_control() && *byte != b'\t' => {}
                byte => {
                    line.push(*byte);
                    if line.len() == LINE_BYTES {
                        self.flush(&mut line);
                    }
                }
            }
        }
    }
}

impl Persist for DebugConsole {
    type State = ();

    fn save(&self) {}

    fn restore(&self, (): ()) -> Result<(), RestoreError> {
        Ok(())
    }
}

impl Reset for DebugConsole {
    fn reset(&self) {
        self.flush(&mut self.line.lock());
    }
}

impl Drop for DebugConsole {
    fn drop(&mut self) {
        self.flush(&mut self.line.lock());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::state::conformance;

    #[test]
    fn gives_lines() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let console = DebugConsole::new({
            let lines = lines.clone();
            move |line| lines.lock().push(line.to_owned())
        });
        let mut data = [0xff];
        console.read(0, &mut data);
        assert_eq!(data, [0xe9]);
        for byte in b"SeaBIOS\r\n\n\x1b[2Jpart" {
            console.write(0, &[*byte]);
        }
        console.write(0, &[b'x'; LINE_BYTES]);
        drop(console);
        let lines = lines.lock();
        assert_eq!(lines[0], "SeaBIOS");
        assert_eq!(lines[1].len(), LINE_BYTES);
        assert!(lines[1].starts_with("[2Jpartxxx"));
        assert_eq!(lines[2], "xxxxxxx");
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn conforms() {
        conformance::check(
            || DebugConsole::new(|_| {}),
            |console| console.write(0, b"abc"),
            |console| {
                let mut data = [0xff; 2];
                console.read(0, &mut data);
                data.to_vec()
            },
        );
    }
}
