//! The tree of a formula. Children stand before their parents, so a pass over the nodes in
//! order meets every child first.

use crate::function::Function;
use crate::problem::Span;

/// A node's place in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// An operator between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `&`
    Join,
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Operator {
    /// As it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Join => "&",
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    /// The operator written so.
    pub(super) fn of(sign: &str) -> Option<Self> {
        Some(match sign {
            "+" => Self::Add,
            "-" => Self::Subtract,
            "*" => Self::Multiply,
            "/" => Self::Divide,
            "&" => Self::Join,
            "=" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    /// True for the six that compare.
    pub fn compares(self) -> bool {
        matches!(
            self,
            Self::Equal
                | Self::NotEqual
                | Self::Less
                | Self::LessOrEqual
                | Self::Greater
                | Self::GreaterOrEqual
        )
    }

    /// True for the four of arithmetic.
    pub fn calculates(self) -> bool {
        matches!(self, Self::Add | Self::Subtract | Self::Multiply | Self::Divide)
    }
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// A field, by name or id as written.
    Field(String),
    /// A function with its arguments.
    Call(Function, Vec<NodeId>),
    /// A call of a function that does not exist.
    UnknownCall(String, Vec<NodeId>),
    /// `-x`
    Negate(NodeId),
    /// Operators of one precedence from left to right: long sums stay flat.
    Chain(NodeId, Vec<(Operator, NodeId)>),
    /// Where something is missing; only in trees with problems.
    Missing,
}

/// A node and where it stands in the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it stands.
    pub span: Span,
}

/// A formula as a tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    nodes: Vec<Node>,
    /// The whole formula.
    pub root: NodeId,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// A tree without nodes; push some and set the root.
    pub fn new() -> Self {
        Self { nodes: Vec::new(), root: NodeId(0) }
    }

    /// Adds a node whose children are there already.
    pub fn push(&mut self, kind: Kind, span: Span) -> NodeId {
        self.nodes.push(Node { kind, span });
        NodeId(self.nodes.len() as u32 - 1)
    }

    /// The node at `id`.
    ///
    /// # Panics
    /// When `id` is of another tree.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// All nodes, children first.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The children of a node, in order.
    pub fn children(&self, id: NodeId) -> Vec<NodeId> {
        match &self.node(id).kind {
            Kind::Call(_, args) | Kind::UnknownCall(_, args) => args.clone(),
            Kind::Negate(inner) => vec![*inner],
            Kind::Chain(first, rest) => {
                std::iter::once(*first).chain(rest.iter().map(|(_, id)| *id)).collect()
            }
            Kind::Number(_) | Kind::Text(_) | Kind::Field(_) | Kind::Missing => Vec::new(),
        }
    }

    /// True when both say the same, wherever it stands in their texts.
    pub fn same(&self, other: &Self) -> bool {
        self.same_at(self.root, other, other.root)
    }

    fn same_at(&self, here: NodeId, other: &Self, there: NodeId) -> bool {
        let all = |a: &[NodeId], b: &[NodeId]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same_at(*a, other, *b))
        };
        match (&self.node(here).kind, &other.node(there).kind) {
            (Kind::Call(f, a), Kind::Call(g, b)) => f == g && all(a, b),
            (Kind::UnknownCall(f, a), Kind::UnknownCall(g, b)) => f.eq_ignore_ascii_case(g) && all(a, b),
            (Kind::Negate(a), Kind::Negate(b)) => self.same_at(*a, other, *b),
            (Kind::Chain(a, x), Kind::Chain(b, y)) => {
                self.same_at(*a, other, *b)
                    && x.len() == y.len()
                    && x.iter().zip(y).all(|((o, a), (p, b))| o == p && self.same_at(*a, other, *b))
            }
            (a, b) => a == b,
        }
    }
}
