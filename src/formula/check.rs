//! Names and types: which field each name means and what each node can be.

use rustc_hash::FxHashMap;
use tablewright_core::suggest::{did_you_mean, nearest};

use crate::function::{Function, Want};
use crate::kinds::Kinds;
use crate::pattern::{Pattern, PatternFault};
use crate::problem::{Problem, ProblemCode};
use crate::scope::Scope;
use crate::syntax::{Kind, MAX_PROBLEMS, NodeId, Operator, Tree};

/// What is known about each node of a tree.
#[derive(Debug)]
pub struct Facts {
    /// What each node can be.
    pub kinds: Vec<Kinds>,
    /// The field each field node means.
    pub fields: Vec<Option<usize>>,
    /// The regular expressions that are constant, each compiled once, by their text.
    pub patterns: FxHashMap<String, Result<Pattern, PatternFault>>,
}

impl Facts {
    /// What the node can be.
    pub fn kind(&self, id: NodeId) -> Kinds {
        self.kinds.get(id.0 as usize).copied().unwrap_or(Kinds::ANY)
    }

    /// The field the node names.
    pub fn field(&self, id: NodeId) -> Option<usize> {
        self.fields.get(id.0 as usize).copied().flatten()
    }

    /// The places of all fields the formula names, each once, in order.
    pub fn all_fields(&self) -> Vec<usize> {
        let mut found: Vec<usize> = self.fields.iter().flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Resolves names and works out types; unknown names are reported.
pub fn resolve(tree: &Tree, scope: &Scope, problems: &mut Vec<Problem>) -> Facts {
    let mut facts = Facts {
        kinds: Vec::with_capacity(tree.nodes().len()),
        fields: Vec::with_capacity(tree.nodes().len()),
        patterns: FxHashMap::default(),
    };
    // Children stand before their parents, so one pass suffices.
    for node in tree.nodes() {
        let mut field = None;
        let kinds = match &node.kind {
            Kind::Number(_) | Kind::Negate(_) => Kinds::NUM,
            Kind::Text(_) => Kinds::TEXT,
            Kind::Missing | Kind::UnknownCall(..) => Kinds::ANY,
            Kind::Field(name) => {
                field = scope.find(name);
                match field.and_then(|at| scope.field(at)) {
                    Some(found) if found.masked => {
                        if problems.len() < MAX_PROBLEMS {
                            let message = masked(&found.name);
                            problems.push(Problem::error(ProblemCode::MaskedField, node.span, message));
                        }
                        Kinds::ANY
                    }
                    Some(found) => found.kinds,
                    None => {
                        if problems.len() < MAX_PROBLEMS {
                            problems.push(unknown_field(name, node.span, scope));
                        }
                        Kinds::ANY
                    }
                }
            }
            Kind::Chain(_, rest) => match rest.first() {
                Some((Operator::Join, _)) => Kinds::TEXT,
                Some((operator, _)) if operator.compares() => Kinds::BOOL,
                _ => Kinds::NUM,
            },
            Kind::Call(function, args) => {
                patterns(tree, *function, args, &mut facts, problems);
                of_call(*function, args, &facts, scope)
            }
        };
        facts.kinds.push(kinds);
        facts.fields.push(field);
    }
    facts
}

/// What is said of a field whose values are hidden from who asks.
pub(crate) fn masked(name: &str) -> String {
    format!("field {name:?} is masked for you, so no formula or filter of yours may name it.")
}

/// Most different regular expressions of one formula; each one may take milliseconds to compile.
const MAX_PATTERNS: usize = 100;

/// Compiles the constant pattern of a call.
fn patterns(
    tree: &Tree,
    function: Function,
    args: &[NodeId],
    facts: &mut Facts,
    problems: &mut Vec<Problem>,
) {
    let at = function.signature().params.iter().position(|param| param.want == Want::Pattern);
    let Some(arg) = at.and_then(|at| args.get(at)) else { return };
    let Kind::Text(text) = &tree.node(*arg).kind else { return };
    if facts.patterns.contains_key(text) {
        return;
    }
    if facts.patterns.len() >= MAX_PATTERNS {
        if !problems.iter().any(|p| p.code == ProblemCode::TooLong) {
            let message = format!("a formula has at most {MAX_PATTERNS} different regular expressions.");
            let problem = Problem::error(ProblemCode::TooLong, tree.node(*arg).span, message);
            problems.push(problem.fix("Split it over several formula fields."));
        }
        return;
    }
    facts.patterns.insert(text.clone(), Pattern::new(text));
}

fn of_call(function: Function, args: &[NodeId], facts: &Facts, scope: &Scope) -> Kinds {
    let union =
        |ids: &mut dyn Iterator<Item = &NodeId>| ids.fold(Kinds::NONE, |all, id| all.or(facts.kind(*id)));
    match function {
        Function::If => {
            let otherwise = if args.len() < 3 { Kinds::BLANK } else { Kinds::NONE };
            union(&mut args.iter().skip(1)).or(otherwise)
        }
        Function::Switch => {
            let rest = args.get(1..).unwrap_or_default();
            let lone = rest.len() % 2 == 1;
            let otherwise = rest.last().filter(|_| lone).map_or(Kinds::BLANK, |id| facts.kind(*id));
            union(&mut rest.chunks_exact(2).filter_map(|pair| pair.last())).or(otherwise)
        }
        // The earliest and the latest of dates are dates.
        Function::Max | Function::Min => {
            let date = |id: &NodeId| {
                let items = facts.field(*id).and_then(|at| scope.field(at)).map(|field| field.items);
                let kinds = facts.kind(*id).without(Kinds::BLANK);
                kinds == Kinds::DATE || kinds == Kinds::LIST && items == Some(Kinds::DATE_OR_BLANK)
            };
            if args.iter().all(date) { Kinds::DATE_OR_BLANK } else { function.signature().gives }
        }
        function => function.signature().gives,
    }
}

fn unknown_field(name: &str, span: crate::problem::Span, scope: &Scope) -> Problem {
    let shown: String = name.chars().take(80).collect();
    let problem = Problem::error(
        ProblemCode::UnknownField,
        span,
        format!("there is no field {shown:?} in this table."),
    );
    let upper = name.to_uppercase();
    if ["TRUE", "FALSE", "BLANK", "NOW", "TODAY", "ERROR"].contains(&upper.as_str()) {
        return problem.fix(format!("Write {upper}() for the function."));
    }
    let near = nearest(name, scope.fields().iter().map(|f| f.name.as_str()));
    match did_you_mean(&near).trim() {
        "" => {
            let names: Vec<&str> = scope.fields().iter().take(12).map(|f| f.name.as_str()).collect();
            let more = if scope.fields().len() > 12 { ", …" } else { "" };
            if names.is_empty() {
                problem
            } else {
                problem.fix(format!("Fields: {}{more}.", names.join(", ")))
            }
        }
        hint => problem.fix(hint),
    }
}
