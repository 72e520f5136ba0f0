//! Resources, prompts, completion, pages, subscriptions: in both eras, over pipes and HTTP.

mod completion;
mod pages;
pub(crate) mod peer;
mod prompts;
mod resources;
mod subscriptions;
