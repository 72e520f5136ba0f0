//! Bars on standard error that show how far something is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::admin;
use crate::output::shown;

/// Bars, one for each thing that is being done.
pub struct Bars {
    all: MultiProgress,
    bars: Arc<Mutex<HashMap<String, ProgressBar>>>,
}

/// Bars that show how many records are done, and what moves them.
pub fn bars() -> (Bars, admin::Progress) {
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    let bars: Arc<Mutex<HashMap<String, ProgressBar>>> = Arc::default();
    let (held, within) = (bars.clone(), all.clone());
    let progress: admin::Progress = Arc::new(move |what, done, total| {
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = held.entry(what.to_owned()).or_insert_with(|| within.add(bar(what)));
        if bar.length() != Some(total) {
            bar.set_length(total);
        }
        bar.set_position(done);
    });
    (Bars { all, bars }, progress)
}

fn bar(what: &str) -> ProgressBar {
    let bar = ProgressBar::no_length();
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} records {elapsed} {msg}") {
        bar.set_style(style);
    }
    bar.set_message(shown(what));
    bar
}

impl Bars {
    /// Takes the bars away.
    pub fn finish_and_clear(&self) {
        for bar in self.bars.lock().unwrap_or_else(PoisonError::into_inner).values() {
            bar.finish_and_clear();
        }
        let _ = self.all.clear();
    }
}
