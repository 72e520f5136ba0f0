//! Classes: `[...]`, `[:alpha:]`, `\d` and `\p{Greek}`.

use super::translate::{NONE, Scanned, Scanner, fault, plain};

/// Classes of all and of no characters, without a wide range that (?i) would go through.
pub(super) const ALL: &str = "[^0&&1]";

/// About the size of `\pL`, counted for every named class.
const NAMED_CLASS: u32 = 150_000;

const POSIX_CLASSES: &str =
    "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit";

/// `C` is here what RE2 takes it for: no unassigned code points.
const OTHER: &str = r"\p{Cc}\p{Cf}\p{Co}";

/// The names that RE2 knows, spelled as it wants them.
const CATEGORIES: &str = "Cc Cf Co L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No \
    P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs";

const SCRIPTS: &str = "\
Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak \
Bengali Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian \
Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common Coptic Cuneiform Cypriot \
Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs \
Elbasan Elymaic Ethiopic Garay Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi \
Gurmukhi Gurung_Khema Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana \
Imperial_Aramaic Inherited Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada \
Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Kirat_Rai Lao \
Latin Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic \
Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive \
Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari \
New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Ol_Onal Old_Hungarian \
Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic \
Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician \
Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala \
Sogdian Sora_Sompeng Soyombo Sundanese Sunuwar Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le \
Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Todhri \
Toto Tulu_Tigalari Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square";

/// What to write between brackets for the class of that name.
fn named_class(name: &str) -> Option<String> {
    let listed = |names: &str| names.split_ascii_whitespace().any(|known| known == name);
    match name {
        "Any" => Some(ALL.to_string()),
        "C" => Some(OTHER.to_string()),
        // Surrogates never occur in UTF-8 text.
        "Cs" => Some(NONE.to_string()),
        _ if listed(CATEGORIES) => Some(format!(r"\p{{{name}}}")),
        _ if listed(SCRIPTS) => Some(format!(r"\p{{sc={name}}}")),
        _ => None,
    }
}

/// Items of a class such as `\W`.
pub(super) struct Set {
    body: String,
    negated: bool,
}

impl Set {
    pub(super) fn bracketed(&self) -> String {
        let caret = if self.negated { "^" } else { "" };
        format!("[{caret}{}]", self.body)
    }
}

impl Scanner<'_> {
    /// `[...]`
    pub(super) fn class(&mut self) -> Scanned<()> {
        let begun = self.at;
        self.at += 1;
        let negated = self.eat("^");
        let mut body = String::new();
        let mut first = true;
        // A `]` right at the start is a character.
        while first || !self.eat("]") {
            first = false;
            if let Some(posix) = self.posix_class()? {
                body.push_str(&posix);
            } else if let Some(set) = self.set_escape()? {
                // A nested class is what negation needs; for the rest it makes no difference.
                body.push_str(&set.bracketed());
            } else {
                body.push_str(&self.range(begun)?);
            }
        }
        self.set(&Set { body, negated }.bracketed())
    }

    fn posix_class(&mut self) -> Scanned<Option<String>> {
        let rest = self.rest();
        // RE2 looks for the end in all of the rest, and so is strict with `[[:]a:]`.
        let Some(length) = rest.strip_prefix("[:").and_then(|inner| inner.find(":]")) else {
            return Ok(None);
        };
        let whole = &rest[..length + 4];
        let name = &rest[2..length + 2];
        let bare = name.strip_prefix('^').unwrap_or(name);
        if !POSIX_CLASSES.split(' ').any(|known| known == bare) {
            return fault(self.at, format!("`{whole}` is no class; write `\\[` for the character"));
        }
        self.at += whole.len();
        Ok(Some(whole.to_string()))
    }

    /// A character or a range of them in the class that starts at `class`.
    fn range(&mut self, class: usize) -> Scanned<String> {
        let begun = self.at;
        let low = self.class_char(class)?;
        let mut high = low;
        if self.rest().starts_with('-') && !self.rest().starts_with("-]") {
            self.at += 1;
            high = self.class_char(class)?;
        }
        if high < low {
            let range = &self.text[begun..self.at];
            return fault(begun, format!("the range `{range}` is in the wrong order"));
        }
        self.count_folded(high - low, begun)?;
        // Surrogates at an end are cut off, since the crate does not take them.
        let low = char::from_u32(low).unwrap_or('\u{E000}');
        let high = char::from_u32(high).unwrap_or('\u{D7FF}');
        Ok(match low <= high {
            true => format!("{}-{}", plain(low), plain(high)),
            false => NONE.to_string(),
        })
    }

    fn class_char(&mut self, class: usize) -> Scanned<u32> {
        match self.peek() {
            None => fault(class, "this `[` has no matching `]`; write `\\[` for the character"),
            Some('\\') => self.escaped_char(),
            Some(c) => {
                self.at += c.len_utf8();
                Ok(u32::from(c))
            }
        }
    }

    /// An escape for several characters, which may also stand in a class.
    pub(super) fn set_escape(&mut self) -> Scanned<Option<Set>> {
        let begun = self.at;
        let mut letters = self.rest().chars();
        let (Some('\\'), Some(letter)) = (letters.next(), letters.next()) else {
            return Ok(None);
        };
        let body = match letter.to_ascii_lowercase() {
            'd' => "0-9",
            's' => r"\t\n\x0C\r ",
            'w' => "0-9A-Za-z_",
            'p' => "",
            _ => return Ok(None),
        };
        self.at += 2;
        let mut negated = letter.is_ascii_uppercase();
        if !body.is_empty() {
            return Ok(Some(Set { body: body.to_string(), negated }));
        }
        let rest = self.rest();
        let (name, length) = match self.peek() {
            None => {
                return fault(begun, r"a class name such as L or {Greek} has to follow `\p`");
            }
            Some('{') => match rest.find('}') {
                None => return fault(begun, r"this `\p{` has no closing `}`"),
                Some(end) => (&rest[1..end], end + 1),
            },
            Some(c) => (&rest[..c.len_utf8()], c.len_utf8()),
        };
        self.at += length;
        let bare = name.strip_prefix('^').unwrap_or(name);
        negated ^= bare.len() < name.len();
        self.count_folded(NAMED_CLASS, begun)?;
        match named_class(bare) {
            Some(body) => Ok(Some(Set { body, negated })),
            None => fault(
                begun,
                format!(
                    "`{bare}` is no Unicode class of RE2; it has categories such as Lu and scripts such as Greek"
                ),
            ),
        }
    }
}
