//! Texts that depend on a number: ordinals and counted units, as data with one rule for all
//! languages. Also the writing of numbers.

use serde::Deserialize;

/// Templates by number; `%d` stands for the number.
#[derive(Debug, Deserialize)]
#[serde(from = "Written")]
pub(super) struct Counted {
    forms: Vec<(String, String)>,
    /// For the numbers below the length: their form.
    exact: Vec<Option<usize>>,
    /// The form by the remainder of the number.
    cycle: Vec<usize>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    Rule {
        text: Option<String>,
        cycle: Option<usize>,
        #[serde(default)]
        each: Vec<Group>,
        #[serde(default)]
        only: Vec<Group>,
    },
}

#[derive(Deserialize)]
struct Group {
    text: String,
    of: Vec<(usize, usize)>,
}

// No cycle or exception in the data goes further; this only bounds what is allocated.
const MOST: usize = 1_000;

impl From<Written> for Counted {
    fn from(written: Written) -> Counted {
        let (text, cycle, each, only) = match written {
            Written::Text(text) => (Some(text), None, Vec::new(), Vec::new()),
            Written::Rule { text, cycle, each, only } => (text, cycle, each, only),
        };
        let mut out = Counted { forms: Vec::new(), exact: Vec::new(), cycle: vec![0] };
        out.add(text.as_deref().unwrap_or("%d"));
        out.cycle = vec![0; cycle.unwrap_or(1).clamp(1, MOST)];
        for Group { text, of } in each {
            let form = out.add(&text);
            for n in of.iter().flat_map(|(from, to)| *from..=(*to).min(MOST)) {
                if let Some(slot) = out.cycle.get_mut(n) {
                    *slot = form;
                }
            }
        }
        for Group { text, of } in only {
            let form = out.add(&text);
            for n in of.iter().flat_map(|(from, to)| *from..=(*to).min(MOST)) {
                if out.exact.len() <= n {
                    out.exact.resize(n + 1, None);
                }
                if let Some(slot) = out.exact.get_mut(n) {
                    *slot = Some(form);
                }
            }
        }
        out
    }
}

impl Default for Counted {
    fn default() -> Counted {
        Counted::from(Written::Text("%d".to_owned()))
    }
}

impl Counted {
    fn add(&mut self, template: &str) -> usize {
        let form = match template.split_once("%d") {
            Some((before, after)) => (before.to_owned(), format!("%d{after}")),
            None => (template.to_owned(), String::new()),
        };
        self.forms.push(form);
        self.forms.len() - 1
    }

    pub(super) fn write(&self, number: i64, out: &mut String) {
        let size = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
        let exact = self.exact.get(size).copied().flatten();
        let form = exact.or_else(|| self.cycle.get(size % self.cycle.len().max(1)).copied());
        let Some((before, after)) = form.and_then(|form| self.forms.get(form)) else { return };
        out.push_str(before);
        if let Some(after) = after.strip_prefix("%d") {
            push_number(number, 1, out);
            out.push_str(after);
        }
    }
}

const PAIRS: &str = "0001020304050607080910111213141516171819\
    2021222324252627282930313233343536373839\
    4041424344454647484950515253545556575859\
    6061626364656667686970717273747576777879\
    8081828384858687888990919293949596979899";

/// Two digits; of a larger number the last two.
pub(super) fn push_pair(number: u32, out: &mut String) {
    let at = (number % 100) as usize * 2;
    out.push_str(PAIRS.get(at..at + 2).unwrap_or(""));
}

/// The number with zeros up to a width; the sign does not count.
pub(super) fn push_number(number: i64, width: usize, out: &mut String) {
    if number < 0 {
        out.push('-');
    }
    let size = number.unsigned_abs();
    if size < 100 && width <= 2 {
        if size < 10 && width < 2 {
            out.push(char::from(b'0' + size as u8));
        } else {
            push_pair(size as u32, out);
        }
        return;
    }
    let mut digits = [b'0'; 40];
    let mut left = size;
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        if left == 0 && used >= width {
            break;
        }
        *digit = b'0' + (left % 10) as u8;
        left /= 10;
        used += 1;
    }
    let text = digits.len().checked_sub(used).and_then(|from| digits.get(from..)).unwrap_or(&[]);
    out.push_str(std::str::from_utf8(text).unwrap_or(""));
}
