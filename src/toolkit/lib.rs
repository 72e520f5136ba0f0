//! Tools as data: what they are called, what they take, who may use them, and how one is run.

pub mod answer;
pub mod arguments;
pub mod careful;
pub mod catalogue;
pub mod progress;
pub mod prompts;
pub mod registry;
pub mod surface;
pub mod text;

pub use answer::{Answer, Reply};
pub use careful::{Ask, Nobody, Said};
pub use catalogue::{Catalogue, Wording};
pub use progress::Progress;
pub use registry::{CallContext, Called, Conditions, Registry, Tool};
pub use surface::{Selection, Surface};
