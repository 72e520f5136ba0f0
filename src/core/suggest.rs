//! "Did you mean": the nearest names to a miss.

/// Up to three of `known` that are close to `wanted`, nearest first.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let wanted: String = wanted.chars().take(100).collect::<String>().to_lowercase();
    let mut scored: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| {
            let lower = name.to_lowercase();
            let inside = !wanted.is_empty() && (lower.contains(&wanted) || wanted.contains(&lower));
            (strsim::jaro_winkler(&wanted, &lower).max(if inside { 0.9 } else { 0.0 }), name)
        })
        .filter(|(score, _)| *score >= 0.78)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// `" Did you mean "A" or "B"?"`, or nothing when nothing is near.
pub fn did_you_mean(near: &[String]) -> String {
    if near.is_empty() {
        return String::new();
    }
    let quoted: Vec<String> = near.iter().map(|name| format!("{name:?}")).collect();
    format!(" Did you mean {}?", quoted.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_typos_and_parts_but_not_strangers() {
        let known = ["Contacts", "Companies", "Deals"];
        assert_eq!(nearest("contcts", known), ["Contacts"]);
        assert_eq!(nearest("deal", known)[0], "Deals");
        assert!(nearest("zebra", known).is_empty());
    }
}
