//! Laws of this module that need no outside help. The comparison with Moment itself is made with
//! tests-moment.mjs.

use super::civil::{DAY, date_of, days_from};
use super::*;

const NOW: i64 = 1_764_000_000_000; // 2025-11-24T16:00:00Z

/// A plain generator, so that failures repeat.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn instant(&mut self) -> i64 {
        EARLIEST + (self.next() % (LATEST - EARLIEST) as u64) as i64
    }
}

fn text(ms: i64, format: &str) -> String {
    text_in(ms, format, Locale::english(), Zone::utc())
}

fn text_in(ms: i64, format: &str, locale: &'static Locale, zone: &Zone) -> String {
    let mut out = String::new();
    Format::new(format, locale).write(ms, zone, &mut out);
    out
}

fn locale(code: &str) -> &'static Locale {
    Locale::named(code).unwrap_or_else(|| panic!("no locale {code}"))
}

fn zone(name: &str) -> &'static Zone {
    Zone::named(name).unwrap_or_else(|| panic!("no zone {name}"))
}

fn at(text: &str) -> i64 {
    parse_lenient(text).unwrap_or_else(|| panic!("no date {text}"))
}

#[test]
fn every_day_comes_back_and_follows_the_one_before() {
    let (first, last) = (EARLIEST.div_euclid(DAY) + 1, LATEST.div_euclid(DAY));
    let mut before = civil((first - 1) * DAY);
    for day in first..last {
        let (year, month, date) = date_of(day);
        assert_eq!(days_from(year, month, date), day);
        let now = civil(day * DAY);
        assert_eq!((i64::from(now.year), i64::from(now.month), i64::from(now.day)), (year, month, date));
        assert_eq!(now.weekday, (before.weekday + 1) % 7);
        let new_year = (now.month, now.day) == (1, 1);
        assert_eq!(now.day_of_year, if new_year { 1 } else { before.day_of_year + 1 });
        before = now;
    }
}

#[test]
fn parts_and_instants_are_inverse() {
    let mut random = Random(7);
    for _ in 0..20_000 {
        let ms = random.instant();
        let c = civil(ms);
        let back = instant(
            c.year.into(),
            c.month.into(),
            c.day.into(),
            c.hour.into(),
            c.minute.into(),
            c.second.into(),
            c.millisecond.into(),
        );
        assert_eq!(back, Some(ms));
    }
}

#[test]
fn impossible_parts_are_no_instant() {
    assert_eq!(instant(2024, 2, 30, 0, 0, 0, 0), None);
    assert_eq!(instant(2023, 2, 29, 0, 0, 0, 0), None);
    assert_eq!(instant(2024, 13, 1, 0, 0, 0, 0), None);
    assert_eq!(instant(2024, 1, 1, 24, 0, 0, 0), None);
    assert_eq!(instant(i64::MAX, i64::MIN, i64::MAX, 0, 0, 0, 0), None);
    assert_eq!(instant(9_999, 12, 31, 23, 59, 59, 999), Some(LATEST));
    assert_eq!(instant(-9_999, 1, 1, 0, 0, 0, 0), Some(EARLIEST));
    assert_eq!(instant(10_000, 1, 1, 0, 0, 0, 0), None);
}

#[test]
fn no_argument_is_too_extreme() {
    let units = ["ms", "s", "m", "h", "d", "w", "M", "Q", "y"];
    let extremes = [i64::MIN, i64::MIN + 1, EARLIEST, -1, 0, 1, LATEST, i64::MAX - 1, i64::MAX];
    let amounts = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 1e18, -1e18, 0.5];
    for a in extremes {
        civil(a);
        iso_week(a);
        week(a, 255, 0);
        week(a, 0, 255);
        humanize(a, Locale::english());
        text_in(a, "LLLL z Z x X N yo gggg", locale("ja"), zone("Europe/Paris"));
        parse("x", "dddd", Locale::english(), a);
        parse("5", "w", Locale::english(), a);
        for unit in units.iter().filter_map(|name| Unit::named(name)) {
            start_of(a, unit);
            for amount in amounts {
                add(a, amount, unit);
            }
            for b in extremes {
                diff(a, b, unit);
                relative(a, b, Locale::english());
            }
        }
    }
    assert_eq!(add(LATEST, 1.0, Unit::Millisecond), None);
    assert_eq!(add(LATEST, f64::INFINITY, Unit::Year), None);
    assert_eq!(add(0, f64::NAN, Unit::Day), Some(0));
}

#[test]
fn units_are_known_by_all_their_names() {
    assert_eq!(Unit::named("m"), Some(Unit::Minute));
    assert_eq!(Unit::named("M"), Some(Unit::Month));
    assert_eq!(Unit::named("MS"), Some(Unit::Millisecond));
    assert_eq!(Unit::named("Quarters"), Some(Unit::Quarter));
    assert_eq!(Unit::named("q"), None);
    assert_eq!(Unit::named("fortnight"), None);
}

#[test]
fn months_end_where_they_must() {
    assert_eq!(add(at("2024-01-31"), 1.0, Unit::Month), Some(at("2024-02-29")));
    assert_eq!(add(at("2024-01-31"), 13.0, Unit::Month), Some(at("2025-02-28")));
    assert_eq!(add(at("2024-02-29"), -1.0, Unit::Year), Some(at("2023-02-28")));
    assert_eq!(add(at("2024-01-31"), 0.5, Unit::Quarter), Some(at("2024-03-31")));
    assert_eq!(add(at("2024-01-01"), 1.5, Unit::Day), Some(at("2024-01-03")));
    assert_eq!(add(at("2024-01-01"), -1.5, Unit::Day), Some(at("2023-12-30")));
    assert_eq!(add(at("2024-01-01"), 1.5, Unit::Hour), Some(at("2024-01-01T01:30")));
}

#[test]
fn differences_undo_additions() {
    let mut random = Random(11);
    for _ in 0..5_000 {
        let ms = random.instant();
        let n = (random.next() % 2_000) as f64 - 1_000.0;
        for unit in [Unit::Second, Unit::Hour, Unit::Day, Unit::Week] {
            if let Some(to) = add(ms, n, unit) {
                assert_eq!(diff(to, ms, unit), n);
                assert_eq!(diff(ms, to, unit), -n);
            }
        }
        assert!(start_of(ms, Unit::Month) <= ms);
        assert_eq!(diff(ms, ms, Unit::Month).to_bits(), 0.0_f64.to_bits());
    }
    assert_eq!(diff(at("2025-02-28"), at("2024-02-29"), Unit::Month), 12.0);
    assert_eq!(diff(at("2024-03-01"), at("2024-02-01"), Unit::Year), 0.0);
}

#[test]
fn weeks_follow_their_rules() {
    assert_eq!(iso_week(at("2021-01-03")), (2020, 53));
    assert_eq!(iso_week(at("2024-12-30")), (2025, 1));
    assert_eq!(week(at("2021-02-11"), 0, 6), (2021, 7));
    assert_eq!(week(at("2021-12-31"), 0, 6), (2022, 1));
}

#[test]
fn every_zone_is_there_and_as_jiff_has_it() {
    let mut random = Random(3);
    assert_eq!(Zone::names().count(), 342);
    for name in Zone::names() {
        let ours = zone(name);
        let theirs = jiff::tz::TimeZoneDatabase::bundled().get(name).expect(name);
        for round in 0..100 {
            let ms = if round % 2 == 0 { random.instant() } else { (random.next() % (1 << 43)) as i64 };
            let info = theirs.to_offset_info(jiff::Timestamp::from_millisecond(ms).expect(name));
            assert_eq!(ours.offset(ms), (info.offset().seconds(), info.abbreviation()), "{name} {ms}");
        }
    }
    assert!(Zone::named("UTC").is_some());
    assert!(Zone::named("europe/paris").is_none());
    assert!(Zone::named("US/Eastern").is_none());
    let at = 1_772_352_900_000;
    for (link, name) in [("US/Pacific", "America/Los_Angeles"), ("Europe/Kyiv", "Europe/Kiev")] {
        assert_eq!(Zone::iana(link).expect(link).offset(at), zone(name).offset(at));
    }
    assert!(Zone::iana("Mars/Olympus").is_none() && Zone::iana("").is_none());
    assert!(Zone::named("").is_none());
}

#[test]
fn locales_are_complete() {
    assert_eq!(Locale::codes().count(), 88);
    for code in Locale::codes() {
        let locale = locale(code);
        assert_eq!(locale.code(), code);
        for ms in (0..400).map(|day| day * DAY + 12_345_678) {
            let full = text_in(ms, "MMM MMMM dd ddd dddd A a Do DDDo wo Wo Mo Qo do", locale, Zone::utc());
            // Tamil begins the times of day with a space.
            let gap = code != "ta" && full.contains("  ");
            assert!(!gap && !full.ends_with(' '), "{code}: {full}");
        }
    }
    assert!(Locale::named("PT_br").is_some());
    assert!(Locale::named("xx").is_none());
    assert_eq!(Locale::english().code(), "en");
}

#[test]
fn formats_keep_literals() {
    let day = at("2024-03-05T07:08:09.045Z");
    assert_eq!(text(day, "[[x]] YYYY"), "[x] 2024");
    assert_eq!(text(day, "[Q]Q \\Q \\\\ [a] b]"), "Q1 Q  a] b");
    assert_eq!(text(day, "YYYY-MM-DD\nHH"), "2024-03-0507");
    assert_eq!(text(day, ""), "2024-03-05T07:08:09Z");
    assert_eq!(text(day, "SSSSS x X"), "04500 1709622489045 1709622489");
    assert_eq!(text(day, "LLLL | llll"), "Tuesday, March 5, 2024 7:08 AM | Tue, Mar 5, 2024 7:08 AM");
    assert_eq!(text(at("-000043-03-15"), "YYYY y N Y YY"), "-0043 44 BC -0043 -43");
    assert_eq!(text_in(day, "z zz Z", Locale::english(), zone("Asia/Kolkata")), "IST IST +05:30");
    assert_eq!(text(day, "zz ZZ"), "Coordinated Universal Time +0000");
}

#[test]
fn locales_bend_names() {
    let day = at("2024-05-01T15:30:00Z");
    assert_eq!(text_in(day, "Do MMMM", locale("fr"), Zone::utc()), "1er mai");
    assert_eq!(text_in(day, "D MMMM | MMMM", locale("ru"), Zone::utc()), "1 мая | мая");
    assert_eq!(text_in(day, "MMMM", locale("ru"), Zone::utc()), "май");
    assert_eq!(text_in(day, "LT", locale("hi"), Zone::utc()), "दोपहर ३:३० बजे");
}

#[test]
fn texts_are_read_by_their_format() {
    let read = |text, format, code| parse(text, format, locale(code), NOW);
    assert_eq!(read("12-31-24", "MM-DD-YY", "en"), Some(at("2024-12-31")));
    assert_eq!(read("31/12/68", "DD-MM-YY", "en"), Some(at("2068-12-31")));
    assert_eq!(read("31/12/69", "DD-MM-YY", "en"), Some(at("1969-12-31")));
    assert_eq!(read("20240229", "YYYYMMDD", "en"), Some(at("2024-02-29")));
    assert_eq!(read("15 janvier 2024", "D MMMM YYYY", "fr"), Some(at("2024-01-15")));
    assert_eq!(read("2024-W10", "GGGG-[W]WW", "en"), Some(at("2024-03-04")));
    assert_eq!(read("10:30", "HH:mm", "en"), Some(at("2025-11-24T10:30Z")));
    assert_eq!(read("5", "D", "en"), Some(at("2025-11-05")));
    assert_eq!(read("Tuesday 2024-03-04", "dddd YYYY-MM-DD", "en"), None);
    assert_eq!(read("2024-02-30", "YYYY-MM-DD", "en"), None);
    assert_eq!(read("nothing", "YYYY", "en"), None);
    assert_eq!(read("", "YYYY", "en"), None);
    assert_eq!(read("2024-01-05 12 am +0530", "YYYY-MM-DD h a Z", "en"), Some(at("2024-01-04T18:30")));
}

#[test]
fn what_is_written_is_read() {
    let mut random = Random(5);
    for code in Locale::codes() {
        let locale = locale(code);
        for format in ["YYYY-MM-DD HH:mm:ss.SSS", "YYYYMMDDHHmmssSSS", "x", "YYYY DDDD HHmm ss SSS"] {
            let (write, read) = (Format::new(format, locale), ParseFormat::new(format, locale));
            for _ in 0..20 {
                let ms = (random.next() % 200_000_000_000_000) as i64;
                let mut text = String::new();
                write.write(ms, Zone::utc(), &mut text);
                assert_eq!(read.parse(&text, NOW), Some(ms), "{code} {format} {text}");
            }
        }
    }
}

#[test]
fn dates_are_read_without_a_format() {
    let day = Some(1_704_412_800_000); // 2024-01-05
    for text in [
        "2024-01-05",
        "20240105",
        "2024-W01-5",
        "2024W015",
        "2024-005",
        "2024005",
        "+002024-01-05",
        "1/5/2024",
        "01/05/24",
        "1-5-2024",
        "2024/1/5",
        "Jan 5, 2024",
        "January 5th 2024",
        "5 Jan 2024",
        "5-Jan-2024",
        "Friday, January 5, 2024",
        "Fri, 05 Jan 2024 00:00:00 GMT",
        "5 of January, 2024",
        "Fri Jan 05 2024 05:30:00 GMT+0530 (India Standard Time)",
        "1/5/2024 12 AM",
        "1/5/2024, 12:00:00 a.m.",
        "2024-01-05T00:00:00.000Z",
        "2024-01-04 24:00",
        "2024-01-05T05:30+05:30",
        "12 am January 5, 2024",
    ] {
        if text.starts_with("12 am") {
            // A time in front needs a colon, as the number could be a day.
            assert_eq!(parse_lenient(text), None);
            continue;
        }
        assert_eq!(parse_lenient(text), day, "{text}");
    }
    assert_eq!(parse_lenient("5 January 2024 10:30 pm"), Some(1_704_493_800_000));
    assert_eq!(parse_lenient("January 2024"), Some(at("2024-01-01")));
    for text in [
        "",
        "x",
        "2024-02-30",
        "2/30/2024",
        "13/1/2024",
        "Mon, 05 Jan 2024 00:00:00 GMT",
        "Jan 5",
        "2024-W54",
        "5",
        "1/5/2024 25:00",
        "1/5/2024 13:00 pm",
        "1/5/2024 10:30 tomorrow",
        "2024-01-05T10:30:00+",
        "\u{661}/5/2024",
        "1/5/2024 é",
    ] {
        assert_eq!(parse_lenient(text), None, "{text}");
    }
}

#[test]
fn long_texts_do_no_harm() {
    let piece = ["9", "[", "D ", "ا", " ", "\\", "L", "é", "/", "D[", "MMMM"];
    for piece in piece {
        let long = piece.repeat(20_000);
        text(0, &long);
        parse(&long, "MMMM Do A Z dddd", locale("ar"), NOW);
        parse(&long, "MMMM Do A Z dddd N", locale("hi"), NOW);
        text_in(0, &format!("{long} MMMM dddd"), locale("ru"), Zone::utc());
        parse_lenient(&long);
        Locale::named(&long);
        Unit::named(&long);
    }
}

#[test]
fn relative_texts_count_the_calendar() {
    let en = Locale::english();
    assert_eq!(relative(at("2024-06-01"), at("2024-04-01"), en), "2 months");
    assert_eq!(relative(at("2023-06-01"), at("2024-06-01"), en), "a year");
    assert_eq!(relative(at("2024-06-26"), at("2024-06-01"), en), "25 days");
    assert_eq!(relative(0, 0, en), "a few seconds");
    assert_eq!(humanize(-90_000, en), "2 minutes");
    assert_eq!(humanize(60_000, locale("fi")), "minuutin");
    assert_eq!(humanize(-60_000, locale("fi")), "minuutti");
}
