//! The rows of a page and where the next one begins.

use std::sync::Arc;

use tablewright_core::model::id::{IteratorId, RecordKind};
use tablewright_core::model::{Sort, View};
use tablewright_core::{Code, Fault};
use tablewright_door::TableView;
use tablewright_engine::base::query::After;
use tablewright_engine::base::{Filter, Query};
use tablewright_formula::{ProblemCode, compile};

use super::Gateway;
use super::kept::{Order, Source};
use super::offset::{Lost, Place};
use super::params::{ListParams, MAX_PAGE};
use super::refusal::{Refusal, While};

/// Rows from which filtering and ordering are done aside, so that other requests go on.
const LARGE: usize = 2_000;

/// One list: which rows, in which order.
pub(super) struct List<'a> {
    gateway: &'a Gateway,
    view: &'a TableView,
    filter: Option<Arc<Filter>>,
    sorts: Vec<Sort>,
    page_size: usize,
    max_records: usize,
    /// What stands for the query.
    digest: u64,
    now: i64,
}

/// The rows of one page.
pub(super) struct Page {
    /// Their slots, in order.
    pub(super) slots: Vec<usize>,
    /// True when there are rows behind them.
    more: bool,
    way: Way,
}

/// How a list goes on.
enum Way {
    /// Behind the position of the last row; how many rows came before this page.
    Own { returned: usize },
    /// In an order that is kept, or will be; the places of this page's rows in it.
    Kept { order: Order, id: Option<IteratorId>, places: Vec<u32> },
}

fn refused(fault: Fault) -> Refusal {
    Refusal::of(&fault, While::Reading)
}

/// What a formula for filtering is refused with.
fn wrong_formula(view: &TableView, formula: &str) -> Refusal {
    let problems = compile(formula, &view.scope()).err().unwrap_or_default();
    let unknown: Vec<String> = problems
        .iter()
        .filter(|problem| problem.code == ProblemCode::UnknownField)
        .map(|problem| problem.span.of(formula).trim_matches(['{', '}']).to_lowercase())
        .collect();
    if unknown.is_empty() {
        Refusal::formula("Invalid formula. Please check your formula text.")
    } else {
        Refusal::formula(&format!("Unknown field names: {}", unknown.join(", ")))
    }
}

impl<'a> List<'a> {
    /// The list that `params` ask for, through the view they name.
    pub(super) fn new(
        gateway: &'a Gateway,
        view: &'a TableView,
        named: Option<&View>,
        params: &ListParams,
        now: i64,
    ) -> Result<Self, Refusal> {
        let table = view.schema();
        let sorts = match params.sorts.as_slice() {
            [] => named.map(|view| view.sorts.clone()).unwrap_or_default(),
            asked => asked
                .iter()
                .map(|(name, descending)| {
                    let field = table.field(name).map_err(|_| Refusal::field(name))?;
                    Ok(Sort { field: field.id, descending: *descending })
                })
                .collect::<Result<_, Refusal>>()?,
        };
        let mut filter = Filter::at(now);
        if let Some(formula) = named.and_then(|view| view.filter_formula.as_deref()) {
            filter = filter.and(&view.scope(), formula, "the filter of the view").map_err(refused)?;
        }
        if let Some(formula) = params.filter.as_deref() {
            let wrong = |_| wrong_formula(view, formula);
            filter = filter.and(&view.scope(), formula, "filterByFormula").map_err(wrong)?;
        }
        let order: Vec<_> = sorts.iter().map(|sort| (sort.field, sort.descending)).collect();
        let base = view.base().schema().id;
        let named = named.map(|view| (view.id, view.filter_formula.as_deref()));
        let query = (base, table.id, named, order, params.filter.as_deref(), params.max_records);
        Ok(Self {
            gateway,
            view,
            filter: (!filter.is_empty()).then(|| Arc::new(filter)),
            sorts,
            page_size: params.page_size.unwrap_or(MAX_PAGE) as usize,
            max_records: params.max_records.map_or(usize::MAX, |most| most as usize),
            digest: gateway.offsets.digest(&query),
            now,
        })
    }

    /// True when which rows it has depends on when they were edited.
    pub(super) fn asks_for_edits(&self) -> bool {
        self.filter.as_deref().is_some_and(Filter::asks_for_edits)
    }

    /// The places of the fields that decide which rows it has and in which order.
    pub(super) fn reads(&self) -> impl Iterator<Item = usize> {
        let sorted = self.sorts.iter().filter_map(|sort| self.view.schema().field_index(sort.field));
        self.filter.as_deref().into_iter().flat_map(Filter::fields).chain(sorted)
    }

    /// The page at `offset`, or the first.
    pub(super) async fn page(&self, offset: Option<&str>) -> Result<Page, Refusal> {
        let read = |text: &str| {
            self.gateway.offsets.read::<RecordKind>(text, self.digest, self.now).map_err(|lost| match lost {
                Lost::Garbage => Refusal::offset(text),
                Lost::Gone => Refusal::iterator(),
            })
        };
        match (self.sorts.is_empty(), offset.map(read).transpose()?) {
            (true, None) => self.in_own_order(None).await,
            (true, Some(Place::After { position, returned })) => {
                self.in_own_order(Some((position, returned as usize))).await
            }
            (false, None) => self.first_sorted().await,
            (false, Some(Place::Kept { id, index })) => {
                let order = self.gateway.kept.get(id, self.now).ok_or_else(Refusal::iterator)?;
                Ok(self.in_order(order, Some(id), index as usize))
            }
            (true, Some(Place::Kept { .. })) | (false, Some(Place::After { .. })) => Err(Refusal::iterator()),
        }
    }

    /// The offset behind the first `written` rows of a page; `None` when nothing follows.
    pub(super) fn next(&self, page: &Page, written: usize) -> Result<Option<String>, Refusal> {
        let cut = written < page.slots.len();
        let Some(last) = written.checked_sub(1).and_then(|last| page.slots.get(last)) else {
            return Ok(None);
        };
        let place = match &page.way {
            Way::Own { returned } => {
                let returned = returned + written;
                if returned >= self.max_records || !(cut || page.more) {
                    return Ok(None);
                }
                let returned = u32::try_from(returned).unwrap_or(u32::MAX);
                Place::After { position: self.view.row(*last).position, returned }
            }
            Way::Kept { .. } if !(cut || page.more) => return Ok(None),
            Way::Kept { order, id, places } => {
                let keep = || self.gateway.kept.keep(self.source(), order.clone(), self.now);
                let too_large =
                    || refused(Fault::new(Code::LimitExceeded, "too many records to sort; add a filter"));
                let id = id.or_else(keep).ok_or_else(too_large)?;
                Place::Kept { id, index: places.get(written - 1).map_or(0, |place| place + 1) }
            }
        };
        Ok(Some(self.gateway.offsets.write::<RecordKind>(place, self.digest, self.now)))
    }

    async fn run(&self, query: Query) -> Result<tablewright_engine::base::Page, Refusal> {
        let work = query.filter.is_some() || !query.sorts.is_empty();
        if !work || self.view.len() < LARGE {
            return self.view.page(&query).map_err(refused);
        }
        let view = self.view.clone();
        let done = tokio::task::spawn_blocking(move || view.page(&query)).await;
        done.map_err(|e| Fault::new(Code::Internal, e.to_string())).flatten().map_err(refused)
    }

    async fn in_own_order(&self, after: Option<(i64, usize)>) -> Result<Page, Refusal> {
        let returned = after.map_or(0, |(_, returned)| returned);
        let query = Query {
            filter: self.filter.clone(),
            sorts: Vec::new(),
            limit: self.page_size.min(self.max_records.saturating_sub(returned)),
            after: after.map(|(position, offset)| After { offset, position, version: self.view.version() }),
        };
        let page = self.run(query).await?;
        Ok(Page { slots: page.slots, more: page.next.is_some(), way: Way::Own { returned } })
    }

    /// The first page of a sorted list: in the order that is kept, or in a new one.
    async fn first_sorted(&self) -> Result<Page, Refusal> {
        if let Some((id, order)) = self.gateway.kept.of(&self.source(), self.now) {
            return Ok(self.in_order(order, Some(id), 0));
        }
        let query = Query {
            filter: self.filter.clone(),
            sorts: self.sorts.clone(),
            limit: self.max_records,
            after: None,
        };
        let page = self.run(query).await?;
        let order: Order = page.slots.iter().map(|slot| self.view.row(*slot).position).collect();
        Ok(self.in_order(order, None, 0))
    }

    /// A page of an order: the rows from `start` on that are still there.
    fn in_order(&self, order: Order, id: Option<IteratorId>, start: usize) -> Page {
        let (mut slots, mut places, mut more) = (Vec::new(), Vec::new(), false);
        for (place, position) in order.iter().enumerate().skip(start) {
            let Some(slot) = self.view.slot_at(*position) else { continue };
            if slots.len() == self.page_size {
                more = true;
                break;
            }
            slots.push(slot);
            places.push(u32::try_from(place).unwrap_or(u32::MAX));
        }
        Page { slots, more, way: Way::Kept { order, id, places } }
    }

    fn source(&self) -> Source {
        let volatile = self.filter.as_ref().is_some_and(|filter| filter.is_volatile());
        Source {
            base: self.view.base().schema().id,
            versions: (self.view.base().version(), self.view.version()),
            query: self.digest,
            now: volatile.then_some(self.now),
        }
    }
}
