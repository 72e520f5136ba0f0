//! The parameters of lists and of single records, from a query string or a body.

use serde_json::{Map, Value};
use tablewright_door::Call;
use tablewright_formula::moment::{Locale, Zone};

use super::query::{List, Pairs, number, out_of_range, truth, unknown};
use super::refusal::Refusal;

/// Most records of a page.
pub(super) const MAX_PAGE: u32 = 100;
/// Most steps of an order.
const MAX_SORTS: u32 = 100;

/// How cells are written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shape {
    /// As texts a person would read, in a zone and a language; as JSON values otherwise.
    pub(super) text: Option<Reader>,
    /// Fields by id instead of by name.
    pub(super) by_id: bool,
    /// Links as objects, as clients that know of date dependencies want them.
    pub(super) link_objects: bool,
}

/// For whom texts are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader {
    /// Where they are.
    pub(super) zone: &'static Zone,
    /// The language of their dates.
    pub(super) locale: &'static Locale,
}

/// Which records are listed, and how.
#[derive(Debug, Default)]
pub(super) struct ListParams {
    /// Records per page (1 to 100).
    pub(super) page_size: Option<u32>,
    /// Records in all.
    pub(super) max_records: Option<u32>,
    /// Where to go on; never empty.
    pub(super) offset: Option<String>,
    /// A view by name or id.
    pub(super) view: Option<String>,
    /// Fields by name or id, and true for descending.
    pub(super) sorts: Vec<(String, bool)>,
    /// A formula; never empty.
    pub(super) filter: Option<String>,
    /// Fields by name or id; all when absent.
    pub(super) fields: Option<Vec<String>>,
    /// Whether records say how many comments they have.
    pub(super) comment_count: bool,
    /// How cells are written.
    pub(super) shape: Shape,
}

/// The parameters that say how cells are written, while they are read.
#[derive(Debug, Default)]
struct ShapeParams {
    text: bool,
    zone: Option<&'static Zone>,
    locale: Option<&'static Locale>,
    by_id: bool,
    link_objects: bool,
}

impl ShapeParams {
    /// Takes a parameter; false when it is none of these.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, Refusal> {
        match name {
            "cellFormat" => {
                self.text = match value {
                    "json" => false,
                    "string" => true,
                    _ => return Err(Refusal::parameter("cellFormat must be \"json\" or \"string\"")),
                }
            }
            "timeZone" => {
                let zone =
                    if value.eq_ignore_ascii_case("utc") { Some(Zone::utc()) } else { Zone::iana(value) };
                let bad =
                    || Refusal::parameter("timeZone must be \"utc\" or a name such as \"Europe/London\"");
                self.zone = Some(zone.ok_or_else(bad)?);
            }
            "userLocale" => {
                let bad = || Refusal::parameter("userLocale must be a language such as \"en-gb\"");
                self.locale = Some(locale(value).ok_or_else(bad)?);
            }
            "returnFieldsByFieldId" => self.by_id = truth(name, value)?,
            "includeDateDependencyMetadata" => self.link_objects = truth(name, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self, usual: Usual) -> Result<Shape, Refusal> {
        let text = match (self.text, self.zone.or(usual.zone), self.locale.or(usual.locale)) {
            (false, ..) => None,
            (true, Some(zone), Some(locale)) => Some(Reader { zone, locale }),
            _ => return Err(Refusal::parameter("cellFormat \"string\" needs timeZone and userLocale")),
        };
        Ok(Shape { text, by_id: self.by_id, link_objects: self.link_objects })
    }
}

/// What a caller has said of themselves, for requests that do not say it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usual {
    zone: Option<&'static Zone>,
    locale: Option<&'static Locale>,
}

impl Usual {
    /// Of whoever makes a call.
    pub(super) fn of(call: &Call) -> Self {
        Self { zone: call.zone(), locale: call.locale().and_then(locale) }
    }
}

/// A language by its code; the language alone when the place is not known.
fn locale(code: &str) -> Option<&'static Locale> {
    // Moment calls American English plainly English.
    let known = |code: &str| Locale::named(if code.eq_ignore_ascii_case("en-us") { "en" } else { code });
    known(code).or_else(|| known(code.split(['-', '_']).next()?))
}

/// The parameters of one record.
pub(super) fn of_record(pairs: &Pairs, usual: Usual) -> Result<Shape, Refusal> {
    let mut shape = ShapeParams::default();
    for (key, value) in pairs.iter() {
        let key = key?;
        if !(key.is(key.name) && shape.take(key.name, value)?) {
            return Err(unknown(key.name));
        }
    }
    shape.finish(usual)
}

fn comment_count(name: &str) -> Result<bool, Refusal> {
    match name {
        "commentCount" => Ok(true),
        _ => Err(Refusal::parameter("recordMetadata may hold \"commentCount\"")),
    }
}

fn descending(direction: &str) -> Result<bool, Refusal> {
    match direction {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _ => Err(Refusal::parameter("the direction of a sort must be \"asc\" or \"desc\"")),
    }
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

impl ListParams {
    /// Reads a query string.
    pub(super) fn of_query(pairs: &Pairs, usual: Usual) -> Result<Self, Refusal> {
        let (mut params, mut shape) = (Self::default(), ShapeParams::default());
        let (mut fields, mut named) = (List::default(), false);
        let mut sorts: Vec<(u32, Option<String>, bool)> = Vec::new();
        for (key, value) in pairs.iter() {
            let key = key?;
            match (key.name, key.index, key.part) {
                ("pageSize" | "limit", None, None) => {
                    params.page_size = Some(number(key.name, value, 1..=MAX_PAGE)?);
                }
                ("maxRecords", None, None) => {
                    params.max_records = Some(number("maxRecords", value, 1..=u32::MAX)?);
                }
                ("offset", None, None) => params.offset = filled(value),
                ("view", None, None) => params.view = filled(value),
                ("filterByFormula", None, None) => params.filter = filled(value),
                ("fields", index, None) => {
                    named = true;
                    fields.add(index, value);
                }
                ("recordMetadata", _, None) => params.comment_count |= comment_count(value)?,
                ("sort", Some(at @ 0..MAX_SORTS), Some(part)) => {
                    let place = sorts.iter().position(|(index, ..)| *index == at);
                    let place = place.unwrap_or_else(|| {
                        sorts.push((at, None, false));
                        sorts.len() - 1
                    });
                    match part {
                        "field" => sorts[place].1 = Some(value.to_owned()),
                        "direction" => sorts[place].2 = descending(value)?,
                        _ => return Err(unknown(key.name)),
                    }
                }
                (name, None, None) if shape.take(name, value)? => {}
                (name, ..) => return Err(unknown(name)),
            }
        }
        sorts.sort_by_key(|(index, ..)| *index);
        let sort = |(_, field, descending): (u32, Option<String>, bool)| {
            let field = field.ok_or_else(|| Refusal::parameter("a sort needs a field"))?;
            Ok((field, descending))
        };
        params.sorts = sorts.into_iter().map(sort).collect::<Result<_, Refusal>>()?;
        params.fields = named.then(|| fields.items());
        params.shape = shape.finish(usual)?;
        Ok(params)
    }

    /// Reads a body, with the query string beside it: clients send zone and language there, and
    /// what the body says of them does not count.
    pub(super) fn of_body(pairs: &Pairs, body: &Map<String, Value>, usual: Usual) -> Result<Self, Refusal> {
        let (mut params, mut shape) = (Self::default(), ShapeParams::default());
        for (key, value) in pairs.iter() {
            let key = key?;
            let here = key.is("timeZone") || key.is("userLocale");
            if !(here && shape.take(key.name, value)?) {
                return Err(unknown(key.name));
            }
        }
        for (key, value) in body {
            let text = || value.as_str().ok_or_else(|| wrong(key, "a text"));
            let list = || value.as_array().ok_or_else(|| wrong(key, "a list"));
            match key.as_str() {
                "pageSize" => params.page_size = Some(whole(key, value, 1..=MAX_PAGE)?),
                "maxRecords" => params.max_records = Some(whole(key, value, 1..=u32::MAX)?),
                "offset" => params.offset = filled(text()?),
                "view" => params.view = filled(text()?),
                "filterByFormula" => params.filter = filled(text()?),
                "fields" => {
                    let name = |item: &Value| {
                        item.as_str().map(str::to_owned).ok_or_else(|| wrong(key, "a list of texts"))
                    };
                    let names: Vec<String> = list()?.iter().map(name).collect::<Result<_, _>>()?;
                    // In a query string an empty list is no parameter at all.
                    params.fields = (!names.is_empty()).then_some(names);
                }
                "sort" => params.sorts = list()?.iter().map(sort).collect::<Result<_, _>>()?,
                "recordMetadata" => {
                    for item in list()? {
                        params.comment_count |= comment_count(item.as_str().unwrap_or_default())?;
                    }
                }
                "cellFormat" => {
                    shape.take(key, text()?)?;
                }
                "returnFieldsByFieldId" => shape.by_id = flag(key, value)?,
                "includeDateDependencyMetadata" => shape.link_objects = flag(key, value)?,
                "method" | "timeZone" | "userLocale" => {}
                _ => return Err(unknown_key(key)),
            }
        }
        if params.sorts.len() > MAX_SORTS as usize {
            return Err(Refusal::parameter(format_args!("sort takes at most {MAX_SORTS} fields")));
        }
        params.shape = shape.finish(usual)?;
        Ok(params)
    }
}

/// Refuses a key that a body does not take.
pub(super) fn unknown_key(key: &str) -> Refusal {
    let key: String = key.chars().take(60).collect();
    Refusal::parameter(format_args!("the body takes no {key:?}"))
}

/// Refuses a value of the wrong type.
pub(super) fn wrong(key: &str, wants: &str) -> Refusal {
    Refusal::parameter(format_args!("{key} must be {wants}"))
}

/// A truth in a body.
pub(super) fn flag(key: &str, value: &Value) -> Result<bool, Refusal> {
    value.as_bool().ok_or_else(|| wrong(key, "true or false"))
}

fn whole(key: &str, value: &Value, range: std::ops::RangeInclusive<u32>) -> Result<u32, Refusal> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.filter(|number| range.contains(number)).ok_or_else(|| out_of_range(key, &range))
}

fn sort(item: &Value) -> Result<(String, bool), Refusal> {
    let bad = || wrong("sort", "a list such as [{\"field\": \"Name\", \"direction\": \"desc\"}]");
    let item = item.as_object().ok_or_else(bad)?;
    if item.keys().any(|key| key != "field" && key != "direction") {
        return Err(bad());
    }
    let field = item.get("field").and_then(Value::as_str).ok_or_else(bad)?;
    let down = match item.get("direction") {
        None => false,
        Some(direction) => descending(direction.as_str().unwrap_or_default())?,
    };
    Ok((field.to_owned(), down))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn query(text: &str) -> Result<ListParams, Refusal> {
        ListParams::of_query(&Pairs::of(Some(text)).unwrap(), Usual::default())
    }

    fn body(query: &str, body: Value) -> Result<ListParams, Refusal> {
        ListParams::of_body(&Pairs::of(Some(query)).unwrap(), body.as_object().unwrap(), Usual::default())
    }

    #[test]
    fn what_clients_send_is_read() {
        let sent = "filterByFormula=%7BA%7D%3D%27x+y%27&view=Grid+view&pageSize=10&maxRecords=20&cellFormat=string&timeZone=Europe%2FLondon&userLocale=en-gb&returnFieldsByFieldId=1&fields%5B%5D=A&fields%5B%5D=B+c&sort%5B0%5D%5Bdirection%5D=asc&sort%5B0%5D%5Bfield%5D=A&sort%5B1%5D%5Bdirection%5D=desc&sort%5B1%5D%5Bfield%5D=B+c&recordMetadata%5B%5D=commentCount";
        let params = query(sent).unwrap();
        assert_eq!((params.page_size, params.max_records), (Some(10), Some(20)));
        assert_eq!(params.filter.as_deref(), Some("{A}='x y'"));
        assert_eq!(params.fields.unwrap(), ["A", "B c"]);
        assert_eq!(params.sorts, [("A".to_owned(), false), ("B c".to_owned(), true)]);
        assert!(params.comment_count && params.shape.by_id);
        assert_eq!(params.shape.text.unwrap().locale.code(), "en-gb");
    }

    #[test]
    fn an_empty_offset_is_none_and_limit_is_the_page_size() {
        let params = query("offset=&limit=5&view=").unwrap();
        assert_eq!((params.offset, params.page_size, params.view), (None, Some(5), None));
        assert_eq!(body("", json!({"offset": ""})).unwrap().offset, None);
    }

    #[test]
    fn wrong_parameters_are_refused() {
        for bad in [
            "pageSize=0",
            "pageSize=101",
            "pageSize=x",
            "pageSize=1e1",
            "maxRecords=0",
            "maxRecords=-1",
            "colour=red",
            "sort=A",
            "sort[0]=A",
            "sort[0][direction]=asc",
            "sort[0][field]=A&sort[0][direction]=up",
            "sort[0][colour]=A",
            "sort[100][field]=A",
            "cellFormat=xml",
            "cellFormat=string",
            "cellFormat=string&timeZone=utc",
            "timeZone=Mars",
            "userLocale=",
            "recordMetadata[]=colour",
            "returnFieldsByFieldId=yes",
            "fields[x]=A",
        ] {
            assert!(query(bad).is_err(), "{bad}");
        }
        for good in [
            "timeZone=utc",
            "timeZone=UTC",
            "userLocale=en-us",
            "userLocale=de-xx",
            "returnFieldsByFieldId=false",
        ] {
            assert!(query(good).unwrap().shape.text.is_none(), "{good}");
        }
    }

    #[test]
    fn bodies_take_the_same_but_zone_and_language_come_with_the_query() {
        let sent = json!({"fields": ["A"], "sort": [{"field": "A", "direction": "desc"}, {"field": "B"}], "pageSize": 5,
            "maxRecords": 7, "cellFormat": "string", "method": "post", "timeZone": 4, "userLocale": "xx",
            "recordMetadata": ["commentCount"], "returnFieldsByFieldId": true});
        let params = body("timeZone=utc&userLocale=de", sent.clone()).unwrap();
        assert_eq!(params.sorts, [("A".to_owned(), true), ("B".to_owned(), false)]);
        assert_eq!(params.shape.text.unwrap().locale.code(), "de");
        assert!(body("", sent).is_err());
        for bad in [
            json!({"pageSize": "5"}),
            json!({"pageSize": 5.5}),
            json!({"fields": "A"}),
            json!({"fields": [1]}),
            json!({"sort": ["A"]}),
            json!({"sort": [{"field": "A", "direction": 1}]}),
            json!({"colour": 1}),
            json!({"returnFieldsByFieldId": 1}),
            json!({"recordMetadata": [1]}),
        ] {
            assert!(body("", bad.clone()).is_err(), "{bad}");
        }
        assert!(body("pageSize=5", json!({})).is_err());
        assert_eq!(body("", json!({"fields": []})).unwrap().fields, None);
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(text in "(sort|fields|view|pageSize|cellFormat|[a-z]{0,4})(\\[[0-9a-z]{0,3}\\]){0,3}=.{0,10}") {
            let _ = query(&text);
        }

        #[test]
        fn lists_come_back(fields in proptest::collection::vec("[^&=+%]{1,9}", 1..6)) {
            let sent: Vec<String> = fields.iter().rev().enumerate().map(|(n, f)| format!("fields[{}]={f}", fields.len() - n)).collect();
            let read = query(&sent.join("&")).unwrap().fields.unwrap();
            prop_assert_eq!(read, fields);
        }
    }
}
