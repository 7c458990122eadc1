//! What the driver says of the guest's memory (VIRTIO 1.2 §5.5.6.3).

/// Length of one figure: a tag of two bytes and a value of eight.
const FIGURE_LEN: usize = 10;
/// Figures looked at; the specification has ten.
const MAX_FIGURES: usize = 64;
/// Most bytes of them.
pub(super) const MAX_LEN: usize = MAX_FIGURES * FIGURE_LEN;

/// Tags (§5.5.6.4, `VIRTIO_BALLOON_S_…`).
mod tag {
    pub(super) const MEMFREE: u16 = 4;
    pub(super) const MEMTOT: u16 = 5;
    pub(super) const AVAIL: u16 = 6;
}

/// How the guest uses its memory, by its own word: nothing to rely on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GuestMemory {
    /// Memory that the guest's system has the use of, in bytes: nothing that the balloon holds.
    pub total: u64,
    /// Memory that is used for nothing at all.
    pub free: u64,
    /// Memory that could be used without swapping, caches included.
    pub available: u64,
}

impl GuestMemory {
    /// Reads what the driver wrote. `None` when the least is not there: how much memory there is,
    /// and how much of it is free.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut total, mut free, mut available) = (None, None, None);
        for figure in bytes.chunks_exact(FIGURE_LEN).take(MAX_FIGURES) {
            let (tag, value) = figure.split_at(2);
            let value = Some(u64::from_le_bytes(value.try_into().ok()?));
            match u16::from_le_bytes(tag.try_into().ok()?) {
                tag::MEMTOT => total = value,
                tag::MEMFREE => free = value,
                tag::AVAIL => available = value,
                _ => {}
            }
        }
        let (total, free) = (total?, free?);
        Some(Self { total, free, available: available.unwrap_or(free) })
    }

    /// The same for a system that counts `inflated` bytes of the balloon's as its own, and used.
    pub(super) fn without(self, inflated: u64) -> Self {
        Self { total: self.total.saturating_sub(inflated), ..self }
    }

    /// What programs and the system itself need.
    pub fn used(&self) -> u64 {
        self.total.saturating_sub(self.available)
    }
}
