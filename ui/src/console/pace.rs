//! How much output the terminal is given at once.

use std::time::Duration;

/// What it starts with, in bytes: 3 MB a second.
const FIRST: usize = 16 << 10;
const LEAST: usize = 1 << 10;
const MOST: usize = 64 << 10;
/// One escape sequence is let through for so many bytes, as some take the terminal a hundred
/// microseconds. At most 512 at once, then.
const BYTES_PER_SEQUENCE: usize = 128;
/// Between two portions the main loop is left alone for this long.
pub(super) const PAUSE: Duration = Duration::from_millis(5);
/// A main loop that is late by more than this has too much to do.
const LATE: Duration = Duration::from_millis(25);
/// A main loop that is late by less than this could do more.
const PUNCTUAL: Duration = Duration::from_millis(8);

/// How much output the terminal is given at once: what it can digest without holding up the
/// window, found by how late the main loop comes back. What a guest writes costs very differently:
/// a screenful of text little, some escape sequences a thousand times as much.
#[derive(Debug)]
pub(super) struct Pace {
    size: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { size: FIRST }
    }
}

impl Pace {
    /// How many of `bytes` are the next portion: at least one, if there is any.
    pub(super) fn portion(&self, bytes: &[u8]) -> usize {
        let begins_sequence = |(_, byte): &(usize, &u8)| matches!(**byte, 0x1b | 0x9b);
        let most = &bytes[..bytes.len().min(self.size)];
        let first_too_many =
            most.iter().enumerate().filter(begins_sequence).nth(self.size / BYTES_PER_SEQUENCE);
        first_too_many.map_or(most.len(), |(at, _)| at)
    }

    /// A pause of [`PAUSE`] took `elapsed`.
    pub(super) fn paused(&mut self, elapsed: Duration) {
        let late = elapsed.saturating_sub(PAUSE);
        if late > LATE {
            self.size = (self.size / 2).max(LEAST);
        } else if late < PUNCTUAL {
            self.size = (self.size + LEAST).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_fast_and_rises_slowly_within_bounds() {
        let mut pace = Pace::default();
        (0..100).for_each(|_| pace.paused(PAUSE + 2 * LATE));
        assert_eq!(pace.size, LEAST);
        pace.paused(PAUSE);
        assert_eq!(pace.size, 2 * LEAST);
        (0..100).for_each(|_| pace.paused(PAUSE));
        assert_eq!(pace.size, MOST);
        pace.paused(PAUSE + PUNCTUAL);
        assert_eq!(pace.size, MOST, "neither late nor early");
    }

    #[test]
    fn sequences_count_for_more_than_text() {
        let pace = Pace::default();
        assert_eq!(pace.portion(b""), 0);
        assert_eq!(pace.portion(b"abc"), 3);
        assert_eq!(pace.portion(&[b'a'; 100_000]), FIRST);
        assert_eq!(pace.portion(&[0x1b; 100_000]), FIRST / BYTES_PER_SEQUENCE);
        assert_eq!(Pace { size: LEAST }.portion(&[0x9b; 100]), LEAST / BYTES_PER_SEQUENCE);
    }
}
