//! What a medium must say about itself to be taken for a certain one.

use regex::RegexBuilder;

use crate::media::Volume;
use crate::units::Bytes;

/// The largest a compiled pattern may grow, in bytes. The database's largest need a tenth.
const PATTERN_LIMIT: usize = 4 << 20;

/// Patterns for a medium's descriptors; what has none may say anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Rule {
    pub(super) volume_id: Option<String>,
    pub(super) system_id: Option<String>,
    pub(super) publisher_id: Option<String>,
    pub(super) application_id: Option<String>,
    pub(super) volume_size: Option<Bytes>,
}

impl Rule {
    /// Whether the rule says anything.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the medium is one.
    pub(super) fn matches(&self, volume: &Volume) -> bool {
        let texts = self.texts(volume);
        // Compiling a pattern takes longer than all the rest, so it is left for those few rules
        // that have a chance.
        !self.is_empty()
            && self.volume_size.is_none_or(|size| size == volume.size)
            && texts.iter().all(|(pattern, text)| could_match(pattern, text))
            && texts.iter().all(|(pattern, text)| is_match(pattern, text))
    }

    /// How much the rule asks for: of several that match, the one that asks for most is right.
    pub(super) fn strictness(&self) -> (usize, usize) {
        let patterns = [&self.volume_id, &self.system_id, &self.publisher_id, &self.application_id];
        let given = patterns.iter().filter(|pattern| pattern.is_some()).count();
        let fixed = self.volume_id.as_deref().map_or(0, |pattern| literal_start(pattern).len());
        (given + usize::from(self.volume_size.is_some()), fixed)
    }

    fn texts<'a>(&'a self, volume: &'a Volume) -> Vec<(&'a str, &'a str)> {
        [
            (&self.volume_id, &volume.volume_id),
            (&self.system_id, &volume.system_id),
            (&self.publisher_id, &volume.publisher_id),
            (&self.application_id, &volume.application_id),
        ]
        .into_iter()
        .filter_map(|(pattern, text)| Some((pattern.as_deref()?, text.as_str())))
        .collect()
    }
}

fn could_match(pattern: &str, text: &str) -> bool {
    text.contains(literal_start(pattern))
}

fn is_match(pattern: &str, text: &str) -> bool {
    match RegexBuilder::new(pattern).size_limit(PATTERN_LIMIT).build() {
        Ok(regex) => regex.is_match(text),
        // The database's patterns are Perl's; a handful look ahead, which this kind cannot.
        Err(error) => {
            tracing::debug!(pattern, %error, "a pattern of osinfo-db is left out");
            false
        }
    }
}

/// What every text that matches has in it: the characters before the first that means something.
fn literal_start(pattern: &str) -> &str {
    let start = pattern.strip_prefix('^').unwrap_or(pattern);
    if alternates(start) {
        return "";
    }
    let end = start.find(|c| "\\^$.|?*+()[]{}".contains(c)).unwrap_or(start.len());
    let (fixed, rest) = start.split_at(end);
    // The last character may be missing from the text; also by `+`, which others may follow.
    if rest.starts_with(['?', '*', '+', '{']) {
        let last = fixed.char_indices().next_back().map_or(0, |(index, _)| index);
        return &fixed[..last];
    }
    fixed
}

/// Whether there is another way to match than with the pattern's beginning. May err on the side of
/// yes.
fn alternates(pattern: &str) -> bool {
    let mut depth = 0_u32;
    for c in pattern.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '|' if depth == 0 => return true,
            // Escapes and classes may hide a parenthesis.
            '\\' | '[' if pattern.contains('|') && depth == 0 => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_fixed_beginning_is_in_every_match() {
        for (pattern, start) in [
            ("Debian 12.\\d+ amd64", "Debian 12"),
            ("^Rocky-(A|B)", "Rocky-"),
            ("ab?c", "a"),
            ("a*", ""),
            ("é{2}", ""),
            ("a|b", ""),
            ("ab+", "a"),
            ("a+??", ""),
            ("x(a\\)|b", ""),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(literal_start(pattern), start, "{pattern}");
        }
    }

    #[test]
    fn patterns_that_cannot_be_used_match_nothing() {
        for pattern in ["a(?!b)", "(", "(a{1000}){1000}", "(?P<"] {
            assert!(!is_match(pattern, "ac"), "{pattern}");
        }
    }

    #[test]
    fn an_empty_rule_matches_nothing_and_a_full_one_everything_it_says() {
        let volume = Volume {
            volume_id: "DISC 1".into(),
            system_id: "LINUX".into(),
            size: Bytes(4096),
            ..Volume::default()
        };
        let rule = |volume_id: &str| Rule { volume_id: Some(volume_id.into()), ..Rule::default() };
        assert!(!Rule::default().matches(&volume));
        assert!(rule("SC \\d").matches(&volume));
        assert!(!rule("^SC").matches(&volume));
        assert!(Rule { system_id: Some("LIN".into()), ..rule("1") }.matches(&volume));
        assert!(!Rule { publisher_id: Some("X".into()), ..rule("1") }.matches(&volume));
        assert!(Rule { volume_size: Some(Bytes(4096)), ..rule("1") }.matches(&volume));
        assert!(!Rule { volume_size: Some(Bytes(2048)), ..rule("1") }.matches(&volume));
    }

    proptest! {
        #[test]
        fn the_shortcut_is_never_wrong(
            pattern in "[ab|()\\[\\]?*+{}\\\\.^$]{0,8}",
            text in "[ab(|)]{0,8}",
        ) {
            if let Ok(regex) = regex::Regex::new(&pattern) {
                prop_assert!(!regex.is_match(&text) || could_match(&pattern, &text));
            }
        }
    }
}
