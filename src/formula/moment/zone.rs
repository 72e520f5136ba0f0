//! Time zones by name, from jiff's bundled data.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use tablewright_core::model::cell::push_instant;

// The names that may be used, one a line. More could be resolved; more is not accepted.
const NAMES: &str = include_str!("zones.txt");

// Transitions are tabled up to 2100-01-01; after that jiff is asked each time.
const TABLED: i64 = 4_102_444_800_000;

/// A time zone. Looking it up builds a table of its transitions once.
#[derive(Debug)]
pub struct Zone {
    utc: bool,
    /// When each stretch starts, with what holds from there. The first one starts at the beginning.
    starts: Vec<i64>,
    stretches: Vec<Stretch>,
    /// Asked for instants after the table; none where the table is complete.
    later: Option<TimeZone>,
}

#[derive(Debug)]
struct Stretch {
    seconds: i32,
    abbreviation: String,
}

static UTC: LazyLock<Zone> = LazyLock::new(|| Zone {
    utc: true,
    starts: vec![i64::MIN],
    stretches: vec![Stretch { seconds: 0, abbreviation: "UTC".to_owned() }],
    later: None,
});

// Not `TimeZone::get`: that would rather read the system's files.
static BUNDLED: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

static ZONES: LazyLock<HashMap<&'static str, OnceLock<Option<Zone>>>> =
    LazyLock::new(|| NAMES.lines().map(|name| (name, OnceLock::new())).collect());

// Every name of the database, among them links such as `US/Pacific` and what came later.
static ALL: LazyLock<HashMap<String, OnceLock<Option<Zone>>>> =
    LazyLock::new(|| BUNDLED.available().map(|name| (name.to_string(), OnceLock::new())).collect());

impl Zone {
    pub fn utc() -> &'static Zone {
        &UTC
    }

    /// A zone by its exact name.
    pub fn named(name: &str) -> Option<&'static Zone> {
        if name == "UTC" {
            return Some(Zone::utc());
        }
        let (name, slot) = ZONES.get_key_value(name)?;
        slot.get_or_init(|| build(name)).as_ref()
    }

    /// A zone by any name of the IANA database, whether formulas know it or not.
    pub fn iana(name: &str) -> Option<&'static Zone> {
        Self::named(name).or_else(|| {
            let (name, slot) = ALL.get_key_value(name)?;
            slot.get_or_init(|| build(name)).as_ref()
        })
    }

    /// All names that `named` knows, apart from UTC.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.lines()
    }

    /// Seconds east of UTC at an instant, and the abbreviation in use.
    pub fn offset(&self, ms: i64) -> (i32, &str) {
        let found = match &self.later {
            Some(zone) if ms >= TABLED => return self.later_offset(zone, ms),
            _ if self.utc => self.stretches.first(),
            _ => self.stretches.get(self.starts.partition_point(|start| *start <= ms).wrapping_sub(1)),
        };
        found.map_or((0, ""), |s| (s.seconds, s.abbreviation.as_str()))
    }

    /// Appends an instant as the clocks of the zone show it, with the offset: `2026-01-05T11:00:00+01:00`.
    pub fn push_instant(&self, out: &mut String, ms: i64) {
        use std::fmt::Write as _;
        let seconds = self.offset(ms).0;
        push_instant(out, ms + i64::from(seconds) * 1_000);
        out.truncate(out.len() - 1);
        if out.ends_with(".000") {
            out.truncate(out.len() - 4);
        }
        let sign = if seconds < 0 { '-' } else { '+' };
        let minutes = seconds.abs() / 60;
        let _ = write!(out, "{sign}{:02}:{:02}", minutes / 60, minutes % 60);
    }

    /// As `offset`, without the abbreviation.
    pub(super) fn seconds(&self, ms: i64) -> i32 {
        if self.utc { 0 } else { self.offset(ms).0 }
    }

    pub(super) fn is_utc(&self) -> bool {
        self.utc
    }

    fn later_offset(&self, zone: &TimeZone, ms: i64) -> (i32, &str) {
        let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        let info = zone.to_offset_info(at);
        let seconds = info.offset().seconds();
        // The rule after the table repeats what the table ends with.
        let known = self.stretches.iter().rev().find(|s| s.abbreviation == info.abbreviation());
        (seconds, known.map_or("", |s| s.abbreviation.as_str()))
    }
}

fn build(name: &str) -> Option<Zone> {
    let zone = BUNDLED.get(name).ok()?;
    let first = zone.to_offset_info(Timestamp::MIN);
    let mut starts = vec![i64::MIN];
    let mut stretches =
        vec![Stretch { seconds: first.offset().seconds(), abbreviation: first.abbreviation().to_owned() }];
    let mut more = false;
    for change in zone.following(Timestamp::MIN) {
        let at = change.timestamp().as_millisecond();
        if at >= TABLED {
            more = true;
            break;
        }
        starts.push(at);
        stretches.push(Stretch {
            seconds: change.offset().seconds(),
            abbreviation: change.abbreviation().to_owned(),
        });
    }
    Some(Zone { utc: false, starts, stretches, later: more.then_some(zone) })
}
