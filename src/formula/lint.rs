//! What works but is hardly meant: types, comparisons, units, formats, constant conditions.

use crate::check::Facts;
use crate::function::{Function, Want};
use crate::kinds::{Kinds, ResultType};
use crate::moment::{Locale, Unit, Zone};
use crate::problem::{Problem, ProblemCode, Span};
use crate::scope::Scope;
use crate::syntax::{Kind, MAX_PROBLEMS, NodeId, Operator, Tree};
use crate::value::numeric;

/// Adds warnings about a tree whose names are resolved.
pub(crate) fn check(tree: &Tree, facts: &Facts, scope: &Scope, problems: &mut Vec<Problem>) {
    let lint = Lint { tree, facts, scope };
    let mut found = Vec::new();
    for node in tree.nodes() {
        match &node.kind {
            Kind::Call(function, args) => lint.call(*function, args, &mut found),
            Kind::Chain(first, rest) => lint.chain(*first, rest, node.span, &mut found),
            _ => {}
        }
    }
    if facts.kind(tree.root).result() == ResultType::Mixed && !problems.iter().any(Problem::is_error) {
        let kinds = facts.kind(tree.root).without(Kinds::BLANK.or(Kinds::ERROR));
        let zero = if kinds.meets(Kinds::NUM) { ", and a number 0 shows as nothing" } else { "" };
        let message = format!("the result is {}; the whole field becomes text{zero}.", kinds.words());
        found.push(
            Problem::warning(ProblemCode::MixedResult, tree.node(tree.root).span, message)
                .fix("Give one type in every branch; BLANK() instead of \"\" leaves the type as it is."),
        );
    }
    found.truncate(MAX_PROBLEMS);
    problems.extend(found);
}

struct Lint<'t> {
    tree: &'t Tree,
    facts: &'t Facts,
    scope: &'t Scope,
}

impl Lint<'_> {
    fn span(&self, id: NodeId) -> Span {
        self.tree.node(id).span
    }

    fn constant_text(&self, id: NodeId) -> Option<&str> {
        match &self.tree.node(id).kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    fn call(&self, function: Function, args: &[NodeId], found: &mut Vec<Problem>) {
        let signature = function.signature();
        for (at, arg) in args.iter().enumerate() {
            let Some(param) = signature.param(at) else { continue };
            let wrong = |message: String| Problem::warning(ProblemCode::WrongType, self.span(*arg), message);
            let kinds = self.facts.kind(*arg);
            let text = self.constant_text(*arg);
            match (param.want, text) {
                (Want::Number, Some(text)) if numeric(text).is_none() => found.push(wrong(format!(
                    "{} wants a number for {}; {text:?} is none.",
                    signature.name, param.name
                ))),
                (Want::Number, None) if kinds == Kinds::DATE => found.push(wrong(format!(
                    "{} wants a number for {}, and this is a date.",
                    signature.name, param.name
                ))),
                (Want::Date, Some(text)) if crate::moment::parse_lenient(text).is_none() => found.push(
                    wrong(format!("{} wants a date for {}; {text:?} cannot be read as one.", signature.name, param.name))
                        .fix("Use an ISO date such as \"2026-01-31\", or DATETIME_PARSE(text, format)."),
                ),
                (Want::Date, None) if kinds.without(Kinds::BLANK).within(Kinds::NUM.or(Kinds::BOOL)) && kinds != Kinds::BLANK => {
                    found.push(wrong(format!(
                        "{} wants a date for {}, and this is {}.",
                        signature.name,
                        param.name,
                        kinds.without(Kinds::BLANK).words()
                    )));
                }
                (Want::Truth, _) => self.condition(function, *arg, found),
                (Want::Unit, Some(text)) if Unit::named(text).is_none() => found.push(
                    Problem::warning(ProblemCode::UnknownUnit, self.span(*arg), format!("{text:?} is not a unit of time."))
                        .fix("Use \"milliseconds\", \"seconds\", \"minutes\", \"hours\", \"days\", \"weeks\", \"months\", \"quarters\" or \"years\"."),
                ),
                (Want::Unit, Some("m")) => found.push(
                    Problem::warning(ProblemCode::UnknownUnit, self.span(*arg), "\"m\" is minutes; months are \"M\".")
                        .fix("Write \"minutes\" or \"months\"."),
                ),
                (Want::Zone, Some(text)) if Zone::named(text).is_none() => found.push(
                    Problem::warning(ProblemCode::UnknownZone, self.span(*arg), format!("{text:?} is not one of Airtable's time zones."))
                        .fix("Use a name such as \"America/New_York\" or \"Europe/Paris\", letter for letter."),
                ),
                (Want::Locale, Some(text)) if Locale::named(text).is_none() => found.push(
                    Problem::warning(ProblemCode::UnknownLocale, self.span(*arg), format!("{text:?} is not one of Airtable's locales."))
                        .fix("Use a code such as \"fr\", \"en-gb\" or \"zh-cn\"."),
                ),
                (Want::Pattern, Some(text)) => {
                    if let Some(Err(fault)) = self.facts.patterns.get(text) {
                        found.push(Problem::warning(
                            ProblemCode::BadPattern,
                            self.span(*arg),
                            format!("the regular expression cannot be used: {fault}"),
                        ));
                    }
                }
                (Want::Format, Some(text)) => {
                    if let Some((message, fix)) = suspicious_format(text) {
                        found.push(Problem::warning(ProblemCode::SuspiciousFormat, self.span(*arg), message).fix(fix));
                    }
                }
                _ => {}
            }
        }
        if function == Function::Switch && args.len() > 3 {
            for pattern in args.iter().skip(1).step_by(2).take((args.len() - 1) / 2) {
                if let Some(&subject) = args.first() {
                    self.comparison(subject, *pattern, self.span(*pattern), found);
                }
            }
        }
    }

    /// A condition that has one outcome.
    fn condition(&self, function: Function, id: NodeId, found: &mut Vec<Problem>) {
        let outcome = match &self.tree.node(id).kind {
            Kind::Number(number) => *number != 0.0,
            Kind::Text(text) => !text.is_empty(),
            Kind::Call(Function::True, _) => true,
            Kind::Call(Function::False | Function::Blank, _) => false,
            _ => return,
        };
        let name = function.signature().name;
        let problem = Problem::warning(
            ProblemCode::AlwaysTrue,
            self.span(id),
            format!("this condition of {name} is always {outcome}."),
        );
        found.push(match (&self.tree.node(id).kind, function) {
            (Kind::Text(text), Function::Or | Function::And) => problem.fix(format!(
                "To compare with several values, write each: {name}({{Field}} = \"…\", {{Field}} = {text:?})."
            )),
            _ => problem.fix("Remove the condition, or compare a field."),
        });
    }

    fn chain(&self, first: NodeId, rest: &[(Operator, NodeId)], span: Span, found: &mut Vec<Problem>) {
        let Some((operator, second)) = rest.first() else { return };
        if operator.compares() {
            if rest.len() > 1 {
                found.push(
                    Problem::warning(
                        ProblemCode::ImpossibleComparison,
                        span,
                        "a comparison gives 1 or 0, and that is what the next one compares.",
                    )
                    .fix("Write AND(a < b, b < c)."),
                );
            }
            self.comparison(first, *second, span, found);
            return;
        }
        let is_date = |id: NodeId| self.facts.kind(id).without(Kinds::BLANK) == Kinds::DATE;
        if operator.calculates() && (is_date(first) || rest.iter().any(|(_, id)| is_date(*id))) {
            found.push(
                Problem::warning(
                    ProblemCode::WrongType,
                    span,
                    "dates have no arithmetic of their own; date - date is seconds here.",
                )
                .fix("Use DATETIME_DIFF(end, start, \"days\") or DATEADD(date, amount, \"days\")."),
            );
        }
        for id in std::iter::once(first).chain(rest.iter().map(|(_, id)| *id)) {
            if operator.calculates() && self.constant_text(id).is_some_and(|text| numeric(text).is_none()) {
                found.push(
                    Problem::warning(
                        ProblemCode::WrongType,
                        self.span(id),
                        format!("{} works on numbers, and this is text.", operator.sign()),
                    )
                    .fix("Use & to join texts."),
                );
            }
        }
    }

    /// Comparisons that cannot come out true, or cannot come out false.
    fn comparison(&self, left: NodeId, right: NodeId, span: Span, found: &mut Vec<Problem>) {
        let (a, b) = (&self.tree.node(left).kind, &self.tree.node(right).kind);
        if matches!(a, Kind::Field(_)) && a == b {
            found.push(Problem::warning(ProblemCode::AlwaysTrue, span, "both sides are the same field."));
            return;
        }
        for (field, other) in [(left, right), (right, left)] {
            let Some(text) = self.constant_text(other).filter(|text| !text.is_empty()) else { continue };
            let kinds = self.facts.kind(field).without(Kinds::BLANK);
            let impossible = |message: String| {
                Problem::warning(ProblemCode::ImpossibleComparison, self.span(other), message)
            };
            let choices =
                self.facts.field(field).and_then(|at| self.scope.field(at)).and_then(|f| f.choices.as_ref());
            if let Some(choices) = choices.filter(|_| kinds == Kinds::TEXT)
                && !choices.iter().any(|choice| choice == text)
            {
                let near = tablewright_core::suggest::nearest(text, choices.iter().map(String::as_str));
                let hint = tablewright_core::suggest::did_you_mean(&near);
                let problem = impossible(format!("{text:?} is not a choice of this field."));
                found.push(match hint.trim() {
                    "" => problem.fix(format!(
                        "Choices: {}.",
                        choices.iter().take(12).map(String::as_str).collect::<Vec<_>>().join(", ")
                    )),
                    hint => problem.fix(hint),
                });
            } else if kinds != Kinds::NONE
                && kinds.within(Kinds::NUM.or(Kinds::BOOL))
                && numeric(text).is_none()
            {
                found.push(impossible(format!("{} is never equal to the text {text:?}.", kinds.words())));
            } else if kinds == Kinds::DATE && crate::moment::parse_lenient(text).is_none() {
                found.push(
                    impossible(format!("a date is compared with {text:?}, which is no date."))
                        .fix("Use an ISO date such as \"2026-01-31\"."),
                );
            }
        }
    }
}

/// Formats that mean something else than they seem to.
fn suspicious_format(format: &str) -> Option<(String, String)> {
    let bare: String = {
        let mut depth = 0;
        format
            .chars()
            .filter(|c| {
                if *c == '[' {
                    depth += 1
                }
                let keep = depth == 0;
                if *c == ']' {
                    depth = 0
                }
                keep
            })
            .collect()
    };
    let warn = |message: &str, fix: &str| Some((message.to_owned(), fix.to_owned()));
    for (wrong, right) in [("HH:MM", "HH:mm"), ("hh:MM", "hh:mm"), ("H:MM", "H:mm"), ("h:MM", "h:mm")] {
        if bare.contains(wrong) {
            return warn("MM is the month; minutes are mm.", &format!("Write {right}."));
        }
    }
    if ["YYYY-mm", "mm/DD", "DD/mm", "mm-DD", "DD-mm", "mm/YYYY", "DD.mm", "YYYYmm"]
        .iter()
        .any(|wrong| bare.contains(wrong))
    {
        return warn("mm is minutes; the month is MM.", "Write MM.");
    }
    if bare.contains("yy") {
        return warn("years are YY or YYYY; small y is the year of an era.", "Write YYYY.");
    }
    if bare.contains("dd") && !bare.contains("ddd") && (bare.contains("MM") || bare.contains("YY")) {
        return warn("dd is the day of the week (Mo, Tu); the day of the month is DD.", "Write DD.");
    }
    if bare.contains("DDD") && bare.contains("MM") {
        return warn("DDD is the day of the year; the day of the month is D or DD.", "Write DD.");
    }
    if bare.contains('h') && !bare.contains('H') && !bare.contains(['a', 'A']) && bare.contains('m') {
        return warn(
            "h counts to 12, and neither a nor A tells morning from evening.",
            "Add A, or write HH.",
        );
    }
    if bare.contains("HH") && bare.contains(['a', 'A']) {
        return warn("HH counts to 24 and stands beside am/pm.", "Write hh with A, or HH alone.");
    }
    None
}
