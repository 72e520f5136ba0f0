//! From the parts found in a text to an instant.

use super::civil::{
    DAY, HOUR, MINUTE, SECOND, civil, date_of, day_of_week, days_from, days_in_month, days_in_year, in_range,
    week_of, weekday_of, weeks_in_year,
};
use super::era::Era;
use super::locale::Locale;
use super::unit::clamp;

/// What a text said. Months are 1 to 12 if they are right; nothing is checked yet.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Some token of a date was there at all.
    pub(super) known: bool,
    /// A name was there that means nothing.
    pub(super) bad: bool,
    pub(super) era: Option<&'static Era>,
    pub(super) year: Option<i64>,
    pub(super) month: Option<i64>,
    pub(super) day: Option<i64>,
    pub(super) hour: Option<i64>,
    pub(super) minute: Option<i64>,
    pub(super) second: Option<i64>,
    pub(super) millisecond: Option<i64>,
    pub(super) meridiem: Option<String>,
    pub(super) day_of_year: Option<i64>,
    pub(super) week_year: Option<i64>,
    pub(super) week: Option<i64>,
    /// 0 is Sunday.
    pub(super) weekday: Option<i64>,
    /// Counted from the locale's first day of the week.
    pub(super) locale_weekday: Option<i64>,
    pub(super) iso_week_year: Option<i64>,
    pub(super) iso_week: Option<i64>,
    pub(super) iso_weekday: Option<i64>,
    /// Minutes east of UTC.
    pub(super) offset: Option<i64>,
    /// The instant itself, in milliseconds.
    pub(super) instant: Option<f64>,
}

// Years further away than this cannot lead to a representable instant; within it nothing overflows.
const YEARS: std::ops::RangeInclusive<i64> = -20_000..=20_000;

impl Found {
    /// The instant, with what is missing taken from `now`: nothing larger than the largest part
    /// that was found, and the start of everything smaller.
    pub(super) fn resolve(mut self, locale: &Locale, now: i64) -> Option<i64> {
        if !self.known || self.bad {
            return None;
        }
        if let Some(word) = self.meridiem.take() {
            if !self.has_parts() {
                return None;
            }
            match locale.read_meridiem.hour(self.hour, &word) {
                Some(hour) => self.hour = hour,
                // With an instant the hour does not matter.
                None if self.instant.is_some() => self.hour = None,
                None => return None,
            }
        }
        if let Some(era) = self.era {
            self.year = Some(era.year(self.year));
        }
        if let Some(instant) = self.instant {
            return self.instant(instant);
        }
        let today = civil(clamp(now));
        if self.has_week() && self.day.is_none() && self.month.is_none() {
            self.week_to_day(locale, &today)?;
        }
        if let Some(day) = self.day_of_year {
            let year = self.year.unwrap_or(i64::from(today.year));
            if !YEARS.contains(&year) || !(1..=days_in_year(year)).contains(&day) {
                return None;
            }
            let (_, month, day) = date_of(days_from(year, 1, 1) + day - 1);
            (self.month, self.day) = (Some(month), Some(day));
        }
        let (year, month, day) = self.date(i64::from(today.year), today.month, today.day);
        let days = checked_days(year, month, day)?;
        let clock = self.clock()?;
        // With 24:00 the weekday must be that of the next day, as Moment has it.
        let shown = days + clock / DAY;
        if self.weekday.is_some_and(|weekday| weekday != weekday_of(shown)) {
            return None;
        }
        in_range(days * DAY + clock - self.offset.unwrap_or(0) * MINUTE)
    }

    fn has_parts(&self) -> bool {
        let date = [self.year, self.month, self.day, self.hour];
        let clock = [self.minute, self.second, self.millisecond];
        date.iter().chain(&clock).any(Option::is_some)
    }

    fn has_week(&self) -> bool {
        let local = [self.week_year, self.week, self.weekday, self.locale_weekday];
        let iso = [self.iso_week_year, self.iso_week, self.iso_weekday];
        local.iter().chain(&iso).any(Option::is_some)
    }

    /// With an instant the other parts only must not be impossible.
    fn instant(&self, instant: f64) -> Option<i64> {
        let month = self.month.is_none_or(|month| (1..=12).contains(&month));
        let longest = match (self.year, self.month) {
            (Some(year), Some(month)) => days_in_month(year, month),
            _ => i64::MAX,
        };
        let day = self.day.is_none_or(|day| (1..=longest).contains(&day));
        let rest = [self.minute, self.second, self.millisecond] == [Some(0); 3];
        let hour = self.hour.is_none_or(|hour| (0..24).contains(&hour) || (hour == 24 && rest));
        let sixty = |part: Option<i64>| part.is_none_or(|part| (0..60).contains(&part));
        let possible = month && day && hour && sixty(self.minute) && sixty(self.second);
        // The conversion cuts, and takes what is too large to the nearest end, which is out of range.
        if possible && !instant.is_nan() { in_range(instant as i64) } else { None }
    }

    /// Turns weeks and weekdays into a day of the year.
    fn week_to_day(&mut self, locale: &Locale, today: &super::Civil) -> Option<()> {
        let iso = [self.iso_week_year, self.iso_week, self.iso_weekday].iter().any(Option::is_some);
        let (dow, doy) = if iso { (1, 4) } else { locale.week };
        let (this_year, this_week) = week_of(today, dow, doy);
        let (dow, doy) = (i64::from(dow), i64::from(doy));
        let (year, week, weekday) = if iso {
            let weekday = self.iso_weekday.unwrap_or(1);
            (1..=7).contains(&weekday).then_some(())?;
            let year = self.iso_week_year.or(self.year).unwrap_or(this_year);
            (year, self.iso_week.unwrap_or(1), weekday)
        } else {
            let weekday = match (self.weekday, self.locale_weekday) {
                (Some(weekday), _) => (0..=6).contains(&weekday).then_some(weekday)?,
                (None, Some(local)) => (0..=6).contains(&local).then_some(local + dow)?,
                (None, None) => dow,
            };
            let year = self.week_year.or(self.year).unwrap_or(this_year);
            (year, self.week.unwrap_or(this_week), weekday)
        };
        if !YEARS.contains(&year) || !(1..=weeks_in_year(year, dow, doy)).contains(&week) {
            return None;
        }
        let (year, day) = day_of_week(year, week, weekday, dow, doy);
        (self.year, self.day_of_year) = (Some(year), Some(day));
        Some(())
    }

    /// Today as far as nothing was found, then the start of what is smaller.
    fn date(&self, year: i64, month: u8, day: u8) -> (i64, i64, i64) {
        match (self.year, self.month, self.day) {
            (None, None, None) => (year, i64::from(month), i64::from(day)),
            (None, None, Some(found)) => (year, i64::from(month), found),
            (found, month, day) => (found.unwrap_or(year), month.unwrap_or(1), day.unwrap_or(1)),
        }
    }

    fn clock(&self) -> Option<i64> {
        let hour = self.hour.unwrap_or(0);
        let minute = self.minute.unwrap_or(0);
        let second = self.second.unwrap_or(0);
        let ms = self.millisecond.unwrap_or(0);
        let midnight = hour == 24 && (minute, second, ms) == (0, 0, 0);
        let possible = (0..24).contains(&hour) || midnight;
        let clock = possible && (0..60).contains(&minute) && (0..60).contains(&second);
        clock.then_some(hour * HOUR + minute * MINUTE + second * SECOND + ms)
    }
}

/// The days since the epoch of a date that exists.
pub(super) fn checked_days(year: i64, month: i64, day: i64) -> Option<i64> {
    let possible =
        YEARS.contains(&year) && (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    possible.then(|| days_from(year, month, day))
}
