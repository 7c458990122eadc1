//! Dates and times of day as the clock chip's registers spell them.

use serde::{Deserialize, Serialize};

pub(super) const MINUTE: i64 = 60;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// Days from 0000-03-01 to 1970-01-01 in the Gregorian calendar.
const EPOCH_FROM_MARCH_ZERO: i64 = 719_468;
/// Days in 400 Gregorian years, after which the calendar repeats.
const DAYS_OF_ERA: i64 = 146_097;
/// In the registers of a twelve-hour clock: afternoon.
const PM: u8 = 0x80;

/// How register B says the time registers are written (MC146818 datasheet, "Register B").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Format {
    /// Binary numbers rather than binary-coded decimal.
    pub(super) binary: bool,
    /// Hours 0 to 23 rather than 1 to 12 with a mark for the afternoon.
    pub(super) hours24: bool,
}

impl Format {
    fn encode(self, number: i64) -> u8 {
        // Callers pass 0 to 99.
        let number = number as u8;
        if self.binary { number } else { ((number / 10) << 4) | (number % 10) }
    }

    /// The number a register holds. Registers hold what the guest wrote: up to 255.
    pub(super) fn decode(self, register: u8) -> i64 {
        let (tens, ones) = (i64::from(register >> 4), i64::from(register & 0xf));
        if self.binary { i64::from(register) } else { tens * 10 + ones }
    }

    fn encode_hour(self, hour: i64) -> u8 {
        if self.hours24 {
            return self.encode(hour);
        }
        let mark = if hour >= 12 { PM } else { 0 };
        self.encode((hour + 11) % 12 + 1) | mark
    }

    /// The hour of the day that an hour register holds.
    pub(super) fn decode_hour(self, register: u8) -> i64 {
        if self.hours24 {
            return self.decode(register);
        }
        let afternoon = if register & PM != 0 { 12 } else { 0 };
        self.decode(register & !PM) % 12 + afternoon
    }
}

/// The time registers' contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Registers {
    pub(super) second: u8,
    pub(super) minute: u8,
    pub(super) hour: u8,
    /// 1 is Sunday.
    pub(super) weekday: u8,
    pub(super) day: u8,
    pub(super) month: u8,
    /// Of the century.
    pub(super) year: u8,
    pub(super) century: u8,
}

impl Registers {
    /// The registers at `time`, seconds since 1970.
    pub(super) fn at(time: i64, format: Format) -> Self {
        let (days, second) = (time.div_euclid(DAY), time.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        Self {
            second: format.encode(second % MINUTE),
            minute: format.encode(second % HOUR / MINUTE),
            hour: format.encode_hour(second / HOUR),
            // 1970-01-01 was a Thursday.
            weekday: format.encode((days + 4).rem_euclid(7) + 1),
            day: format.encode(day),
            month: format.encode(month),
            year: format.encode(year.rem_euclid(100)),
            century: format.encode(year.div_euclid(100).rem_euclid(100)),
        }
    }

    /// Seconds since 1970. What is beyond its range carries into the next larger unit, as
    /// 30 February becomes 2 March; the weekday is not looked at.
    pub(super) fn time(self, format: Format) -> i64 {
        let year = format.decode(self.century) * 100 + format.decode(self.year);
        let month = format.decode(self.month).clamp(1, 12);
        days(year, month, format.decode(self.day)) * DAY
            + format.decode_hour(self.hour) * HOUR
            + format.decode(self.minute) * MINUTE
            + format.decode(self.second)
    }
}

/// Days since 1970-01-01 of a date. Years begin in March here, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    // Months of 31 and 30 days alternate in fives from March on: 153 days each five.
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * DAYS_OF_ERA + year * 365 + year / 4 - year / 100 + day_of_year - EPOCH_FROM_MARCH_ZERO
}

/// Year, month and day of `days` since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_FROM_MARCH_ZERO;
    let (era, day) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
    // Take out the leap days before this one, then years have 365.
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year + i64::from(month <= 2);
    (year, month, day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCD24: Format = Format { binary: false, hours24: true };

    #[test]
    fn known_dates() {
        for (time, date) in [
            (0, (1970, 1, 1)),
            (951_782_400, (2000, 2, 29)),
            (951_868_800, (2000, 3, 1)),
            (4_107_456_000, (2100, 2, 28)),
            (4_107_542_400, (2100, 3, 1)),
            (-1, (1969, 12, 31)),
        ] {
            assert_eq!(civil(i64::div_euclid(time, DAY)), date, "{time}");
        }
        let registers = Registers::at(1_763_921_010, BCD24);
        assert_eq!(
            registers,
            Registers {
                second: 0x30,
                minute: 0x03,
                hour: 0x18,
                weekday: 1,
                day: 0x23,
                month: 0x11,
                year: 0x25,
                century: 0x20
            }
        );
    }

    #[test]
    fn twelve_hour_clocks_have_no_zero() {
        let format = Format { binary: false, hours24: false };
        for (hour, register) in [(0, 0x12), (1, 0x01), (11, 0x11), (12, 0x92), (23, 0x91)] {
            assert_eq!(format.encode_hour(hour), register);
            assert_eq!(format.decode_hour(register), hour);
        }
    }

    proptest::proptest! {
        #[test]
        fn round_trips(time in -62_000_000_000i64..250_000_000_000, binary: bool, hours24: bool) {
            let format = Format { binary, hours24 };
            proptest::prop_assert_eq!(Registers::at(time, format).time(format), time);
        }

        #[test]
        fn any_registers_are_a_time(bytes: [u8; 8], binary: bool, hours24: bool) {
            let [second, minute, hour, weekday, day, month, year, century] = bytes;
            let registers =
                Registers { second, minute, hour, weekday, day, month, year, century };
            registers.time(Format { binary, hours24 });
        }
    }
}
