//! Dates as Moment.js 2.31 knows them: units, time zones, locales, formats, reading and relative
//! texts. Instants are milliseconds since the epoch; parts are UTC unless a zone is given. Nothing
//! here reads a clock or the environment: the caller says what "now" is.

mod era;
mod format;
mod lenient;
mod locale;
mod names;
mod number;
mod parse;
mod pattern;
mod relative;
mod resolve;
mod scan;
mod token;
mod unit;
mod zone;

pub use format::Format;
pub use lenient::parse_lenient;
pub use locale::Locale;
pub use parse::{ParseFormat, parse};
pub use relative::{humanize, relative};
use tablewright_core::civil;
pub use tablewright_core::civil::{Civil, EARLIEST, LATEST, civil, instant, iso_week, week};
pub use unit::{Unit, add, diff, start_of};
pub use zone::Zone;

#[cfg(test)]
mod tests;
