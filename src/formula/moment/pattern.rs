//! A small pattern matcher for the patterns in the locale data: literals, classes, groups,
//! alternatives, repetition and anchors, with JavaScript's order of preference. It keeps its
//! choices on a heap stack, so that no text can exhaust the call stack.

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Char(char),
    Any,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Start,
    End,
    /// Goes on at the first place, and at the second should that fail.
    Split(usize, usize),
    Jump(usize),
    Done,
}

#[derive(Debug, Clone)]
enum Node {
    Step(Step),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat { node: Box<Node>, least: usize, most: Option<usize>, greedy: bool },
}

#[derive(Debug)]
pub(super) struct Pattern {
    steps: Vec<Step>,
    fold: bool,
    /// No match can begin after the start of the text.
    anchored: bool,
}

impl Pattern {
    /// Compiles a pattern; `fold` ignores letter case. What cannot be read matches nothing.
    pub(super) fn new(source: &str, fold: bool) -> Pattern {
        let chars: Vec<char> = source.chars().collect();
        let mut reader = Reader { chars: &chars, at: 0 };
        let node = reader.either();
        let mut steps = Vec::new();
        let mut anchored = false;
        if let Some(node) = node.filter(|_| reader.at == chars.len()) {
            anchored = starts_anchored(&node);
            emit(&node, fold, &mut steps);
            steps.push(Step::Done);
        }
        Pattern { steps, fold, anchored }
    }

    /// Where the leftmost match starts and ends.
    pub(super) fn find(&self, text: &str) -> Option<(usize, usize)> {
        let mut stack = Vec::new();
        if self.anchored {
            return self.run(text, 0, &mut stack).map(|end| (0, end));
        }
        let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        for start in starts {
            if let Some(end) = self.run(text, start, &mut stack) {
                return Some((start, end));
            }
        }
        None
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        self.find(text).is_some()
    }

    fn run(&self, text: &str, from: usize, stack: &mut Vec<(usize, usize)>) -> Option<usize> {
        stack.clear();
        stack.push((0, from));
        while let Some((mut step, mut at)) = stack.pop() {
            loop {
                let next = || text.get(at..).and_then(|rest| rest.chars().next());
                match self.steps.get(step) {
                    None => break,
                    Some(Step::Done) => return Some(at),
                    Some(Step::Jump(to)) => step = *to,
                    Some(Step::Split(first, second)) => {
                        stack.push((*second, at));
                        step = *first;
                    }
                    Some(Step::Start) if at == 0 => step += 1,
                    Some(Step::End) if at == text.len() => step += 1,
                    Some(Step::Start | Step::End) => break,
                    Some(one) => match next().filter(|c| self.takes(one, *c)) {
                        Some(c) => {
                            at += c.len_utf8();
                            step += 1;
                        }
                        None => break,
                    },
                }
            }
        }
        None
    }

    fn takes(&self, step: &Step, c: char) -> bool {
        match step {
            Step::Char(want) => *want == c || (self.fold && *want == fold(c)),
            Step::Any => !is_line_end(c),
            Step::Class { negated, ranges } => {
                let within = |c: char| ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                let folds = || within(fold(c)) || lower(c).is_some_and(within);
                *negated != (within(c) || (self.fold && folds()))
            }
            _ => false,
        }
    }
}

/// Line ends, which `.` does not take.
pub(super) fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// What JavaScript takes for a space.
pub(super) fn is_space(c: char) -> bool {
    c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}')
}

/// The letter that stands for all its cases: upper case, if that is one letter and does not turn
/// a foreign letter into an ASCII one.
fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_uppercase();
    }
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) if !one.is_ascii() => one,
        _ => c,
    }
}

fn lower(c: char) -> Option<char> {
    let mut lower = c.to_lowercase();
    let one = lower.next()?;
    (lower.next().is_none() && fold(one) == fold(c)).then_some(one)
}

fn starts_anchored(node: &Node) -> bool {
    match node {
        Node::Step(step) => *step == Step::Start,
        Node::Sequence(nodes) => nodes.first().is_some_and(starts_anchored),
        Node::Either(nodes) => nodes.iter().all(starts_anchored),
        Node::Repeat { .. } => false,
    }
}

fn emit(node: &Node, folds: bool, steps: &mut Vec<Step>) {
    match node {
        Node::Step(Step::Char(c)) if folds => steps.push(Step::Char(fold(*c))),
        Node::Step(step) => steps.push(step.clone()),
        Node::Sequence(nodes) => nodes.iter().for_each(|node| emit(node, folds, steps)),
        Node::Either(nodes) => emit_either(nodes, folds, steps),
        Node::Repeat { node, least, most, greedy } => {
            (0..*least).for_each(|_| emit(node, folds, steps));
            match most {
                None => {
                    let split = steps.len();
                    steps.push(Step::Done);
                    emit(node, folds, steps);
                    steps.push(Step::Jump(split));
                    close(steps, split, *greedy);
                }
                Some(most) => {
                    let mut splits = Vec::new();
                    for _ in *least..*most {
                        splits.push(steps.len());
                        steps.push(Step::Done);
                        emit(node, folds, steps);
                    }
                    splits.iter().for_each(|split| close(steps, *split, *greedy));
                }
            }
        }
    }
}

/// Turns a reserved step into the choice between what follows it and the present end.
fn close(steps: &mut [Step], split: usize, greedy: bool) {
    let end = steps.len();
    let choice = if greedy { Step::Split(split + 1, end) } else { Step::Split(end, split + 1) };
    if let Some(step) = steps.get_mut(split) {
        *step = choice;
    }
}

fn emit_either(nodes: &[Node], folds: bool, steps: &mut Vec<Step>) {
    let mut jumps = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        if at + 1 == nodes.len() {
            emit(node, folds, steps);
            break;
        }
        let split = steps.len();
        steps.push(Step::Done);
        emit(node, folds, steps);
        jumps.push(steps.len());
        steps.push(Step::Done);
        close(steps, split, true);
    }
    let end = steps.len();
    for jump in jumps {
        if let Some(step) = steps.get_mut(jump) {
            *step = Step::Jump(end);
        }
    }
}

struct Reader<'a> {
    chars: &'a [char],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn take(&mut self, c: char) -> bool {
        let hit = self.peek() == Some(c);
        self.at += usize::from(hit);
        hit
    }

    fn either(&mut self) -> Option<Node> {
        let mut options = vec![self.sequence()?];
        while self.take('|') {
            options.push(self.sequence()?);
        }
        Some(Node::Either(options))
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut nodes = Vec::new();
        while self.peek().is_some_and(|c| c != '|' && c != ')') {
            let node = self.atom()?;
            nodes.push(self.repeated(node)?);
        }
        Some(Node::Sequence(nodes))
    }

    fn atom(&mut self) -> Option<Node> {
        let c = self.peek()?;
        self.at += 1;
        let step = match c {
            '(' => {
                if self.take('?') && !self.take(':') {
                    return None;
                }
                let inner = self.either()?;
                return self.take(')').then_some(inner);
            }
            '[' => self.class()?,
            '.' => Step::Any,
            '^' => Step::Start,
            '$' => Step::End,
            '\\' => match class_escape(self.peek()?) {
                Some(ranges) => {
                    self.at += 1;
                    Step::Class { negated: false, ranges }
                }
                None => Step::Char(self.escaped()?),
            },
            _ => Step::Char(c),
        };
        Some(Node::Step(step))
    }

    /// The character behind a backslash.
    fn escaped(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        if c != 'u' {
            return Some(c);
        }
        let digits: String = self.chars.get(self.at..self.at + 4)?.iter().collect();
        self.at += 4;
        char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
    }

    fn class(&mut self) -> Option<Step> {
        let negated = self.take('^');
        let mut ranges = Vec::new();
        while !self.take(']') {
            if self.peek()? == '\\' {
                let escape = self.chars.get(self.at + 1).copied().and_then(class_escape);
                if let Some(more) = escape {
                    self.at += 2;
                    ranges.extend(more);
                    continue;
                }
            }
            let low = self.member()?;
            let to = self.peek() == Some('-') && self.chars.get(self.at + 1).is_some_and(|c| *c != ']');
            let high = if to {
                self.at += 1;
                self.member()?
            } else {
                low
            };
            ranges.push((low, high));
        }
        Some(Step::Class { negated, ranges })
    }

    fn member(&mut self) -> Option<char> {
        if self.take('\\') {
            return self.escaped();
        }
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn repeated(&mut self, node: Node) -> Option<Node> {
        let (least, most) = match self.peek() {
            Some('?') => (0, Some(1)),
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('{') => {
                self.at += 1;
                let least = self.number()?;
                let most = if self.take(',') { self.number() } else { Some(least) };
                if self.peek() != Some('}') {
                    return None;
                }
                (least, most)
            }
            _ => return Some(node),
        };
        self.at += 1;
        let greedy = !self.take('?');
        Some(Node::Repeat { node: Box::new(node), least, most, greedy })
    }

    fn number(&mut self) -> Option<usize> {
        let from = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let digits: String = self.chars.get(from..self.at)?.iter().collect();
        digits.parse().ok()
    }
}

fn class_escape(c: char) -> Option<Vec<(char, char)>> {
    match c {
        'd' => Some(vec![('0', '9')]),
        's' => {
            let spaces = ('\0'..='\u{ffff}').filter(|c| is_space(*c));
            Some(spaces.map(|c| (c, c)).collect())
        }
        _ => None,
    }
}
