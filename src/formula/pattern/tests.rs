use super::*;

fn found(pattern: &str, text: &str) -> Option<String> {
    Pattern::new(pattern).unwrap().find(text).map(str::to_string)
}

fn replaced(pattern: &str, text: &str, replacement: &str) -> String {
    let mut out = String::new();
    assert!(Pattern::new(pattern).unwrap().replace_all(text, replacement, &mut out, 1000));
    out
}

fn refusal(pattern: &str) -> PatternFault {
    Pattern::new(pattern).expect_err(pattern)
}

#[track_caller]
fn finds(pattern: &str, text: &str, wanted: &str) {
    assert_eq!(found(pattern, text).as_deref(), Some(wanted), "{pattern} in {text}");
}

#[track_caller]
fn misses(pattern: &str, text: &str) {
    assert_eq!(found(pattern, text), None, "{pattern} in {text}");
}

#[test]
fn perl_and_posix_classes_are_ascii() {
    finds(r"\d+", "٣12", "12");
    finds(r"\w+", "éab_1é", "ab_1");
    finds(r"\W", "é", "é");
    misses(r"\s", "\u{b}\u{a0}");
    finds("[[:space:]]", "\u{b}", "\u{b}");
    finds(r"\bb", "éb", "b");
    finds("[[:alpha:]]+[[:^alpha:]]", "éab1", "ab1");
    finds(r"[\D]+", "12ab", "ab");
}

#[test]
fn unicode_classes() {
    finds(r"\p{Greek}+", "abγδ", "γδ");
    finds(r"\pL+", "1é2", "é");
    finds(r"\PL+", "é12", "12");
    finds(r"\p{^Greek}", "γa", "a");
    finds(r"\P{^Greek}", "aγ", "γ");
    finds(r"[^\P{Lu}]", "aÉ", "É");
    misses(r"\p{C}", "\u{378}");
    for name in [r"\p{greek}", r"\p{Letter}", r"\p{sc=Greek}", r"\p{Cn}", r"\pα", r"\p", r"\p{L"] {
        refusal(name);
    }
}

#[test]
fn flags_go_with_groups() {
    finds("a.c", "a\nc abc", "abc");
    finds("(?s)a.c", "a\nc", "a\nc");
    misses("^b", "a\nb");
    finds("(?m)^b$", "a\nb\nc", "b");
    misses("a$", "a\n");
    finds("(?i)ΣK", "ς\u{212a}", "ς\u{212a}");
    finds(r"(?i)\w", "ſ", "ſ");
    finds("(?U)a+", "aaa", "a");
    finds("(?U)a+?", "aaa", "aaa");
    finds("(?U:a+)a+", "aaa", "aaa");
    finds("a(?i)b|c", "C", "C");
    misses("(a(?i)b)c", "abC");
    finds("a(?i)*", "aaa", "aaa");
    for flags in ["(?x)a", "(?u)a", "(?R)a", "(?-)a", "(?i-)a", "(?--i)a", "(?i"] {
        refusal(flags);
    }
}

#[test]
fn characters_that_look_special_in_one_engine_only() {
    finds("[a&&b]+", "x&ab", "&ab");
    finds("[[x]]", "[]", "[]");
    finds("[+--b]+", "a,-b", ",-b");
    finds("[~~]", "~", "~");
    finds("[]a]+", "]a", "]a");
    finds(r"\<\>\#\ \_", "<># _", "<># _");
    finds("# a", "# a", "# a");
    for text in ["a{", "a{,3}", "{x}", "a{01}", "a{1", "a{2,x}", "a{10000000000}"] {
        finds(text, text, text);
    }
}

#[test]
fn escapes() {
    finds(r"\a\f\t\n\r\v", "\x07\x0c\t\n\r\x0b", "\x07\x0c\t\n\r\x0b");
    finds(r"\123\07\0128", "S\x07\n8", "S\x07\n8");
    finds(r"\x41\x{1F600}", "A😀", "A😀");
    finds(r"\Qa.b*\E+", "a.b**", "a.b**");
    finds(r"\Qa\", r"a\", r"a\");
    finds(r"\Aa\z", "a", "a");
    misses(r"\x{D800}|[\x{D800}-\x{DFFF}]", "a\u{d7ff}\u{e000}");
    finds(r"[^\x{D800}]", "a", "a");
    finds(r"[\x{D700}-\x{E000}]", "\u{e000}", "\u{e000}");
    for bad in [
        r"\y",
        r"\Z",
        r"\1",
        r"\8",
        r"\E",
        r"\C",
        r"\é",
        r"\u{41}",
        r"\b{start}+*",
        r"\x4",
        r"\x{}",
        r"\x{110000}",
        r"\x+1",
        r"\x{+1}",
        r"[\b]",
        r"\",
    ] {
        refusal(bad);
    }
}

#[test]
fn refusals_name_the_place_and_the_way_out() {
    for (pattern, at, part) in [
        ("ab(?=c)", 2, "RE2 does not have look-ahead"),
        ("a(?<!b)c", 1, "negative look-behind"),
        ("(?>a)", 0, "atomic groups; use (?:...)"),
        (r"(a)\1", 3, "back-references"),
        ("aa++", 2, "possessive"),
        ("a**", 1, "bad repetition operator `**`"),
        ("a{2}{3}", 1, "bad repetition operator `{2}{3}`"),
        ("a|*", 2, "nothing for `*` to repeat"),
        ("a{1001}", 1, "up to 1000"),
        ("(a{100}){11}", 8, "multiply to over 1000"),
        ("a{3,2}", 1, "wrong order"),
        (r"é\Z", 2, r"use `\z`"),
        ("x(a", 1, "no matching `)`"),
        ("a)", 1, "no matching `(`"),
        ("a[b", 1, "no matching `]`"),
        ("[z-a]", 1, "`z-a` is in the wrong order"),
        ("[[:foo:]]", 1, "`[:foo:]` is no class"),
        ("(?P<a b>c)", 0, "no group name"),
        (r"\pL{1000}", 0, "would pass 2 MB"),
    ] {
        let fault = refusal(pattern);
        assert!(fault.message.contains(part), "{pattern}: {fault}");
        assert_eq!(fault.at, at, "{pattern}: {fault}");
    }
}

#[test]
fn replacing_follows_global_replace() {
    assert_eq!(replaced("b*", "abc", "-"), "-a-c-");
    assert_eq!(replaced("", "aé", "-"), "-a-é-");
    assert_eq!(replaced("a*?", "aa", "-"), "-a-a-");
    assert_eq!(replaced("(a)|(b)", "abc", "[$1|$2]"), "[a|][|b]c");
    assert_eq!(replaced("(a)", "a", "$0$1$2$$1$x$"), "aa$2$a$x$");
    assert_eq!(replaced("(a)(x){0}", "a", "<$2$3>"), "<$3>");
    assert_eq!(replaced("(?P<n>.)(?<m>.)", "ab", "$2$10"), "ba0");
    assert_eq!(replaced("^a", "aaa", "-"), "-aa");
    assert_eq!(replaced("x", "abc", "-"), "abc");
}

#[test]
fn replacing_stops_at_the_limit() {
    let pattern = Pattern::new("a").unwrap();
    let mut out = "ab".to_string();
    assert!(pattern.replace_all("aca", "xyz", &mut out, 9));
    assert_eq!(out, "abxyzcxyz");
    assert!(!pattern.replace_all("a", "x", &mut out, 9));
    assert!(!pattern.replace_all("", "", &mut out, 8));
    assert_eq!(out, "abxyzcxyz");
    assert!(pattern.replace_all("", "", &mut out, 9));
}

#[test]
fn bounds() {
    assert!(Pattern::new(&"a".repeat(10_000)).is_ok());
    assert!(refusal(&"a".repeat(10_001)).message.contains("10001 bytes"));
    let nested = |n: usize| "(|a".repeat(n) + "a" + &")*b".repeat(n);
    assert!(refusal(&nested(1600)).message.contains("deep"));
    assert!(refusal(&format!("a*{}", "(?i)*".repeat(1900))).message.contains("deep"));
    assert!(refusal(&format!("(?i){}", "[b-\u{10ffff}]".repeat(900))).message.contains("too many wide"));
    assert!(refusal(&nested(32)).message.contains("deep"));
    // The deepest pattern fits on the stack of a test thread, also in a debug build.
    let deep = format!(r"(?i){}[a\W]{}", "(|a".repeat(31), ")*b".repeat(31));
    let builder = std::thread::Builder::new().stack_size(3 << 19);
    let thread = builder.spawn(move || Pattern::new(&deep).unwrap().is_match("b"));
    assert!(thread.unwrap().join().unwrap());
}

#[test]
fn patterns_are_shared_between_threads() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Pattern>();
}
