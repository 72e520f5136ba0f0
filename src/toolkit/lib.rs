//! Tools as data: what they are called, what they take, who may use them, and how one is run.

pub mod answer;
pub mod arguments;
pub mod catalogue;
pub mod prompts;
pub mod registry;
pub mod surface;
pub mod text;

pub use answer::{Answer, Reply};
pub use catalogue::{Catalogue, Wording};
pub use registry::{CallContext, Registry, Tool};
pub use surface::{Selection, Surface};
