//! How long property tests run.

use proptest::test_runner::Config;

/// What proptest runs of each property when nobody says otherwise.
const DEFAULT: u64 = 256;

/// `cases` of a property in an ordinary run; in a longer or shorter one (`PROPTEST_CASES`, which
/// `make fuzz` sets), as many times more or less as that is of proptest's own default.
pub(crate) fn cases(cases: u32) -> Config {
    let config = Config::default();
    let scaled = u64::from(cases) * u64::from(config.cases) / DEFAULT;
    Config { cases: u32::try_from(scaled).unwrap_or(u32::MAX).max(1), ..config }
}
