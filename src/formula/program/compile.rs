//! Tree to program: names become places, constant arguments are prepared, constant parts folded.

use memchr::memmem::Finder;

use super::{Op, Program, Ready, Step, StepId};
use crate::check::{Facts, resolve};
use crate::function::Function;
use crate::lint;
use crate::moment::{Format, Locale, ParseFormat, Unit, Zone};
use crate::problem::Problem;
use crate::scope::Scope;
use crate::syntax::{Kind, NodeId, Tree, parse};
use crate::value::Owned;

/// Reads, checks and compiles a formula. Problems that leave it standing come beside the program.
pub fn compile(text: &str, scope: &Scope) -> Result<(Program, Vec<Problem>), Vec<Problem>> {
    let (tree, mut problems) = parse(text);
    let facts = resolve(&tree, scope, &mut problems);
    lint::check(&tree, &facts, scope, &mut problems);
    problems.sort_by_key(|p| p.span.start);
    if problems.iter().any(Problem::is_error) {
        return Err(problems);
    }
    Ok((Program::of(&tree, &facts), problems))
}

impl Program {
    /// The program of a tree without errors.
    pub fn of(tree: &Tree, facts: &Facts) -> Self {
        let mut compiler = Compiler { tree, facts, steps: Vec::new() };
        let root = compiler.node(tree.root);
        let calls = |wanted: &[Function]| {
            tree.nodes().iter().any(|n| matches!(&n.kind, Kind::Call(f, _) if wanted.contains(f)))
        };
        let mut watched: Vec<Vec<usize>> = compiler
            .steps
            .iter()
            .filter_map(|step| match &step.op {
                Op::LastModifiedTime(fields) => Some(fields.to_vec()),
                _ => None,
            })
            .collect();
        watched.sort();
        watched.dedup();
        Self {
            steps: compiler.steps,
            root,
            kinds: facts.kind(tree.root),
            fields: facts.all_fields(),
            volatile: calls(&[Function::Now, Function::Today, Function::FromNow, Function::ToNow]),
            watched,
        }
    }
}

pub(super) struct Compiler<'t> {
    tree: &'t Tree,
    facts: &'t Facts,
    pub(super) steps: Vec<Step>,
}

impl Compiler<'_> {
    fn push(&mut self, op: Op, id: NodeId) -> StepId {
        self.steps.push(Step { op, span: self.tree.node(id).span });
        StepId(self.steps.len() as u32 - 1)
    }

    fn node(&mut self, id: NodeId) -> StepId {
        let op = match &self.tree.node(id).kind {
            Kind::Number(number) => Op::Constant(Owned::Number(*number)),
            Kind::Text(text) => Op::Constant(Owned::Text(text.as_str().into())),
            Kind::Field(_) => self.facts.field(id).map_or(Op::Constant(Owned::Blank), Op::Field),
            Kind::Missing | Kind::UnknownCall(..) => Op::Constant(Owned::Blank),
            Kind::Negate(inner) => Op::Negate(self.node(*inner)),
            Kind::Chain(first, rest) => {
                let first = self.node(*first);
                Op::Chain(first, rest.iter().map(|(operator, id)| (*operator, self.node(*id))).collect())
            }
            Kind::Call(function, args) => self.call(*function, args),
        };
        let at = self.push(op, id);
        self.fold(at);
        at
    }

    fn call(&mut self, function: Function, args: &[NodeId]) -> Op {
        match function {
            Function::RecordId => return Op::RecordId,
            Function::CreatedTime => return Op::CreatedTime,
            Function::LastModifiedTime => {
                return Op::LastModifiedTime(args.iter().filter_map(|arg| self.facts.field(*arg)).collect());
            }
            _ => {}
        }
        let steps: Vec<StepId> = args.iter().map(|arg| self.node(*arg)).collect();
        match (function, steps.as_slice()) {
            (Function::If, [condition, then, rest @ ..]) => Op::If(*condition, *then, rest.first().copied()),
            (Function::Switch, [subject, rest @ ..]) => {
                let cases = rest.chunks_exact(2);
                let otherwise = cases.remainder().first().copied();
                Op::Switch {
                    subject: *subject,
                    cases: cases.filter_map(|pair| Some((*pair.first()?, *pair.last()?))).collect(),
                    otherwise,
                }
            }
            (Function::And, all) => Op::Until(false, all.into()),
            (Function::Or, all) => Op::Until(true, all.into()),
            (Function::IsError, [value]) => Op::IsError(*value),
            (Function::True, _) => Op::Constant(Owned::Bool(true)),
            (Function::False, _) => Op::Constant(Owned::Bool(false)),
            (Function::Blank, _) => Op::Constant(Owned::Blank),
            (Function::Error, _) => Op::Constant(Owned::Error(crate::fault::Fault::Called)),
            (function, all) => {
                let ready = self.ready(function, all);
                Op::Call(function, all.into(), ready)
            }
        }
    }

    fn ready(&self, function: Function, args: &[StepId]) -> Ready {
        let text = |at: usize| match self.constant(*args.get(at)?)? {
            Owned::Text(text) => Some(text.as_str()),
            _ => None,
        };
        let found = match function {
            Function::RegexMatch | Function::RegexExtract | Function::RegexReplace => {
                let known = |text: &str| self.facts.patterns.get(text)?.as_ref().ok().cloned();
                text(1).map(|pattern| Ready::Pattern(known(pattern)))
            }
            Function::DatetimeFormat => text(1).filter(|format| !format.is_empty()).map(|format| {
                let locale = self.locale_of(args.first().copied());
                Ready::Format(Box::new(Format::new(format, locale)), locale)
            }),
            Function::DatetimeParse => text(1).and_then(|format| {
                let locale = match args.get(2) {
                    None => Locale::english(),
                    Some(_) => Locale::named(text(2)?)?,
                };
                Some(Ready::Parse(Box::new(ParseFormat::new(format, locale))))
            }),
            Function::DateAdd | Function::DatetimeDiff | Function::IsSame => {
                text(2).map(|unit| Ready::Unit(Unit::named(unit)))
            }
            Function::SetTimezone => text(1).map(|zone| Ready::Zone(Zone::named(zone))),
            Function::SetLocale => text(1).map(|code| Ready::Locale(Locale::named(code))),
            Function::Find | Function::Substitute => {
                let at = usize::from(function == Function::Substitute);
                text(at).map(|needle| Ready::Needle(Box::new(Finder::new(needle.as_bytes()).into_owned())))
            }
            _ => None,
        };
        found.unwrap_or_default()
    }

    /// The locale a date will most likely be written in: that of a SET_LOCALE around it.
    fn locale_of(&self, date: Option<StepId>) -> &'static Locale {
        let mut at = date;
        while let Some(StepId(step)) = at {
            at = match &self.steps[step as usize].op {
                Op::Call(Function::SetLocale, _, Ready::Locale(Some(locale))) => return locale,
                Op::Call(Function::SetTimezone, args, _) => args.first().copied(),
                _ => None,
            };
        }
        Locale::english()
    }
}
