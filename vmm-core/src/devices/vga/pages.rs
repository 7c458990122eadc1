//! Sets of pages of video memory: what changed since somebody looked.

use super::vram;

/// Bytes in a page: the granularity of KVM's dirty log.
pub(super) const PAGE: usize = 4096;
/// Pages in video memory.
pub(super) const PAGES: usize = vram::SIZE / PAGE;
/// 64-bit words that hold one bit a page.
pub(super) const WORDS: usize = PAGES / 64;

/// One bit a page, lowest bit first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PageSet([u64; WORDS]);

impl Default for PageSet {
    fn default() -> Self {
        Self([0; WORDS])
    }
}

impl PageSet {
    /// The bits themselves.
    pub(super) fn words_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }

    /// Adds every page.
    pub(super) fn fill(&mut self) {
        self.0.fill(u64::MAX);
    }

    /// Adds the pages of `other`.
    pub(super) fn merge(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    /// The pages in the set, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(index, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(index * 64 + bit)
            })
        })
    }
}

/// When each page last changed, counted in generations of the picture.
pub(super) struct Stamps(Box<[u64]>);

impl Default for Stamps {
    fn default() -> Self {
        Self(vec![0; PAGES].into_boxed_slice())
    }
}

impl Stamps {
    /// The pages in `set` changed in `generation`.
    pub(super) fn stamp(&mut self, set: &PageSet, generation: u64) {
        for page in set.iter() {
            self.0[page] = generation;
        }
    }

    /// Whether a byte of `from..to` may have changed after generation `since`.
    pub(super) fn changed(&self, from: usize, to: usize, since: u64) -> bool {
        let first = (from / PAGE).min(PAGES);
        let last = to.div_ceil(PAGE).clamp(first, PAGES);
        self.0[first..last].iter().any(|&stamp| stamp > since)
    }

    /// The stretches of `from..to` that may have changed after generation `since`, in order.
    pub(super) fn changed_runs(
        &self,
        from: usize,
        to: usize,
        since: u64,
    ) -> impl Iterator<Item = (usize, usize)> + '_ {
        let first = (from / PAGE).min(PAGES);
        let last = to.div_ceil(PAGE).clamp(first, PAGES);
        let mut pages = first..last;
        std::iter::from_fn(move || {
            let start = pages.by_ref().find(|&page| self.0[page] > since)?;
            let end = pages.by_ref().find(|&page| self.0[page] <= since).unwrap_or(last);
            Some(((start * PAGE).max(from), (end * PAGE).min(to)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_join_neighbours_and_are_clipped() {
        let mut set = PageSet::default();
        set.words_mut()[0] = 0b1_0110;
        let mut stamps = Stamps::default();
        stamps.stamp(&set, 5);
        let runs = |from, to, since| stamps.changed_runs(from, to, since).collect::<Vec<_>>();
        assert_eq!(runs(0, 100 * PAGE, 4), [(PAGE, 3 * PAGE), (4 * PAGE, 5 * PAGE)]);
        assert_eq!(runs(PAGE + 10, 2 * PAGE + 1, 4), [(PAGE + 10, 2 * PAGE + 1)]);
        assert!(runs(0, 100 * PAGE, 5).is_empty());
        assert!(stamps.changed(2 * PAGE, 2 * PAGE + 1, 0));
        assert!(!stamps.changed(3 * PAGE, 4 * PAGE, 0));
        assert!(runs(usize::MAX - 1, usize::MAX, 0).is_empty());
    }
}
