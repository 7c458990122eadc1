//! What waits to be heard by the guest.

use std::collections::VecDeque;

/// Most that can wait, in bytes.
pub(super) const LIMIT: usize = 16 << 20;
/// What goes to the guest at once, in bytes.
const PORTION: usize = 4 << 10;
/// While more than this waits, answers of the terminal are not added: a guest that asks and does
/// not listen gets no more of them.
const ANSWERS: usize = 4 << 10;
/// Answers of the terminal are no longer than this.
const ANSWER_LENGTH: usize = 64;
/// What surrounds a pasted text, where the guest asked for it (xterm, “Bracketed Paste Mode”).
const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// There is no room for what was to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// What waits to be heard by the guest, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<u8>,
    /// How much was put in since it was last empty.
    total: usize,
}

impl Outbox {
    /// Adds `bytes`: all of them, or none.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), Full> {
        if self.waiting.len() + bytes.len() > LIMIT {
            return Err(Full);
        }
        if self.waiting.len() > ANSWERS && is_answer(bytes) {
            return Ok(());
        }
        if self.waiting.is_empty() {
            self.total = 0;
        }
        self.total += bytes.len();
        self.waiting.extend(bytes);
        Ok(())
    }

    /// Takes what is to be sent next; empty when nothing waits.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let portion: Vec<u8> = self.waiting.drain(..self.waiting.len().min(PORTION)).collect();
        if self.waiting.is_empty() {
            // A long text's room is given back.
            self.waiting = VecDeque::new();
        }
        portion
    }

    /// How many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How much of what was put in since it was last empty has been taken, 0 to 1.
    pub(super) fn progress(&self) -> f64 {
        match self.total {
            0 => 1.0,
            total => 1.0 - self.waiting.len() as f64 / total as f64,
        }
    }

    /// Forgets what waits. A paste that had begun is still ended, else the guest would take all
    /// that is typed from then on for a part of it.
    pub(super) fn cancel(&mut self) {
        let length = self.waiting.len();
        let ends = length >= PASTE_ENDS.len()
            && self.waiting.range(length - PASTE_ENDS.len()..).eq(PASTE_ENDS);
        self.waiting = VecDeque::new();
        self.total = 0;
        if ends {
            self.waiting.extend(PASTE_ENDS);
            self.total = PASTE_ENDS.len();
        }
    }
}

fn is_answer(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x1b) && bytes.len() <= ANSWER_LENGTH && !bytes.starts_with(PASTE_BEGINS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_whole() {
        let mut outbox = Outbox::default();
        outbox.put(&vec![1; LIMIT - 1]).unwrap();
        assert_eq!(outbox.put(&[2, 3]), Err(Full));
        assert_eq!(outbox.len(), LIMIT - 1);
        outbox.put(&[2]).unwrap();
    }

    #[test]
    fn answers_do_not_pile_up_and_pastes_do() {
        let mut outbox = Outbox::default();
        for _ in 0..100_000 {
            outbox.put(b"\x1b[24;80R").unwrap();
        }
        assert!(outbox.len() <= ANSWERS + ANSWER_LENGTH);
        let before = outbox.len();
        outbox.put(b"\x1b[200~ls\x1b[201~").unwrap();
        outbox.put(b"x").unwrap();
        assert_eq!(outbox.len(), before + 15);
    }

    #[test]
    fn a_cancelled_paste_is_ended() {
        let mut outbox = Outbox::default();
        outbox.put(b"\x1b[200~a long text\x1b[201~").unwrap();
        outbox.cancel();
        assert_eq!(outbox.take(), PASTE_ENDS);
        outbox.put(b"a plain text").unwrap();
        outbox.cancel();
        assert_eq!(outbox.len(), 0);
    }

    #[test]
    fn progress_is_of_what_waits_together() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.progress(), 1.0);
        outbox.put(&[0; 2 * PORTION]).unwrap();
        assert_eq!(outbox.progress(), 0.0);
        outbox.take();
        assert_eq!(outbox.progress(), 0.5);
    }

    proptest! {
        #[test]
        fn everything_comes_out_in_order(texts in prop::collection::vec(prop::collection::vec(1..20u8, 0..9000), 0..20)) {
            let mut outbox = Outbox::default();
            let mut out = Vec::new();
            for text in &texts {
                outbox.put(text).unwrap();
                out.extend(outbox.take());
            }
            loop {
                let portion = outbox.take();
                if portion.is_empty() { break; }
                out.extend(portion);
            }
            prop_assert_eq!(out, texts.concat());
        }
    }
}
