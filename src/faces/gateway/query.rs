//! Query strings: pairs, and lists in every encoding that clients use.

use percent_encoding::percent_decode_str;

use super::refusal::Refusal;

/// The pairs of a query string, decoded, in order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Pairs(Vec<(String, String)>);

/// A parameter's key, taken apart: `sort[0][field]` is `sort`, `0`, `field`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key<'a> {
    /// What stands before the brackets.
    pub(super) name: &'a str,
    /// The index of an item, when there is one; `[]` says nothing.
    pub(super) index: Option<u32>,
    /// What stands in the second pair of brackets.
    pub(super) part: Option<&'a str>,
}

fn decode(text: &str) -> Result<String, Refusal> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| Refusal::parameter("the query string is not UTF-8"))
}

impl Pairs {
    /// Takes a query string apart; nothing and `?` alone are no pairs.
    pub(super) fn of(query: Option<&str>) -> Result<Self, Refusal> {
        let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(Self::default()) };
        query
            .split('&')
            .filter(|piece| !piece.is_empty())
            .map(|piece| {
                let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
                Ok((decode(key)?, decode(value)?))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The pairs, their keys taken apart.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Result<Key<'_>, Refusal>, &str)> {
        self.0.iter().map(|(key, value)| (Key::of(key), value.as_str()))
    }

    /// The keys as they were written.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// Refuses what an endpoint without parameters does not take.
    pub(super) fn none(&self) -> Result<(), Refusal> {
        match self.0.first() {
            None => Ok(()),
            Some((key, _)) => Err(unknown(key)),
        }
    }
}

/// Refuses a parameter that an endpoint does not take.
pub(super) fn unknown(key: &str) -> Refusal {
    let key: String = key.chars().take(60).collect();
    Refusal::parameter(format_args!("there is no parameter {key:?}"))
}

impl<'a> Key<'a> {
    fn of(text: &'a str) -> Result<Self, Refusal> {
        let bad = || unknown(text);
        let Some(open) = text.find('[') else { return Ok(Self { name: text, index: None, part: None }) };
        let (name, brackets) = text.split_at(open);
        let inside = brackets.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or_else(bad)?;
        let (index, part) = match inside.split_once("][") {
            Some((index, part)) => (index, Some(part)),
            None => (inside, None),
        };
        let index = match index {
            "" => None,
            digits if digits.len() <= 6 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().map_err(|_| bad())?)
            }
            _ => return Err(bad()),
        };
        Ok(Self { name, index, part })
    }

    /// True when it is `name`, without brackets.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name && self.index.is_none() && self.part.is_none()
    }
}

/// A list parameter being gathered: `name[]`, `name` several times, and `name[3]`.
#[derive(Debug, Default)]
pub(super) struct List(Vec<(u32, String)>);

impl List {
    /// Adds an item; one without an index stands behind all that came before.
    pub(super) fn add(&mut self, index: Option<u32>, value: &str) {
        let behind = self.0.iter().map(|(index, _)| index + 1).max().unwrap_or_default();
        self.0.push((index.unwrap_or(behind), value.to_owned()));
    }

    /// The items in the order of their indices.
    pub(super) fn items(mut self) -> Vec<String> {
        self.0.sort_by_key(|(index, _)| *index);
        self.0.into_iter().map(|(_, value)| value).collect()
    }
}

/// A number in a range.
pub(super) fn number(name: &str, value: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32, Refusal> {
    value.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| out_of_range(name, &range))
}

/// Refuses a number that is none or is out of range.
pub(super) fn out_of_range(name: &str, range: &std::ops::RangeInclusive<u32>) -> Refusal {
    let (least, most) = (range.start(), range.end());
    Refusal::parameter(match most {
        &u32::MAX => format!("{name} must be a whole number from {least} on"),
        most => format!("{name} must be a whole number from {least} to {most}"),
    })
}

/// `1`, `0`, `true` or `false`.
pub(super) fn truth(name: &str, value: &str) -> Result<bool, Refusal> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(Refusal::parameter(format_args!("{name} must be true or false"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(query: &str) -> Vec<(String, String)> {
        Pairs::of(Some(query)).unwrap().0
    }

    #[test]
    fn pairs_are_decoded() {
        assert_eq!(Pairs::of(None).unwrap(), Pairs::default());
        assert_eq!(pairs(""), []);
        assert_eq!(pairs("&&"), []);
        let read = pairs("a=x+y%20z&b%5B%5D=%C3%A9&c&d=1=2&e=%2B%zz");
        let wanted = [("a", "x y z"), ("b[]", "é"), ("c", ""), ("d", "1=2"), ("e", "+%zz")]
            .map(|(k, v)| (k.into(), v.into()));
        assert_eq!(read, wanted);
        assert!(Pairs::of(Some("a=%ff")).is_err());
    }

    #[test]
    fn keys_are_taken_apart() {
        for (text, index, part) in [
            ("sort", None, None),
            ("sort[]", None, None),
            ("sort[3]", Some(3), None),
            ("sort[0][field]", Some(0), Some("field")),
        ] {
            assert_eq!(Key::of(text).unwrap(), Key { name: "sort", index, part }, "{text}");
        }
        for bad in ["sort[", "sort]", "sort[x]", "sort[-1]", "sort[0]x", "sort[9999999]", "[", "sort[0][a"] {
            let key = Key::of(bad);
            assert!(key.is_err() || key.is_ok_and(|key| key.name != "sort"), "{bad}");
        }
    }

    #[test]
    fn lists_come_in_every_encoding() {
        let gather = |query: &str| {
            let mut list = List::default();
            for (key, value) in Pairs::of(Some(query)).unwrap().iter() {
                list.add(key.unwrap().index, value);
            }
            list.items()
        };
        for query in ["f[]=a&f[]=b", "f=a&f=b", "f[0]=a&f[1]=b", "f[1]=b&f[0]=a", "f%5B%5D=a&f%5B%5D=b"] {
            assert_eq!(gather(query), ["a", "b"], "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(query in ".{0,200}") {
            if let Ok(pairs) = Pairs::of(Some(&query)) {
                for (key, _) in pairs.iter() {
                    let _ = key;
                }
            }
        }

        #[test]
        fn what_is_encoded_comes_back(values in proptest::collection::vec(("[a-z]{1,8}", ".{0,20}"), 0..8)) {
            let encode = |text: &str| {
                let set = percent_encoding::NON_ALPHANUMERIC;
                percent_encoding::utf8_percent_encode(text, set).to_string().replace("%20", "+")
            };
            let query: Vec<String> = values.iter().map(|(k, v)| format!("{k}={}", encode(v))).collect();
            prop_assert_eq!(pairs(&query.join("&")), values);
        }
    }
}
