//! Which fields are computed, how, and in which order.

use rustc_hash::{FxHashMap, FxHashSet};
use tablewright_core::model::field::ThroughLink;
use tablewright_core::model::{Base, Field, FieldId, FieldType, TableId};
use tablewright_formula::{Program, Scope, compile};

use super::depend::{Place, needs, places};

/// Where values come from: the link field here, the table it leads to, the field there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Through {
    /// The place of the link field in its own table.
    pub link: usize,
    /// The linked field.
    pub source: Place,
    /// The field of the linked table that mirrors the link.
    pub mirror: Option<usize>,
}

/// How a field is worked out.
#[derive(Debug)]
pub enum Job {
    /// A formula over its row.
    Formula(Program),
    /// A formula over the linked values.
    Rollup(Through, Program),
    /// The linked values.
    Lookup(Through),
    /// How many records are linked.
    Count(usize),
    /// What stands on a button, and the formula of the address it opens.
    Button(String, Program),
}

/// One computed field.
#[derive(Debug)]
pub struct Computed {
    /// Where it is.
    pub place: Place,
    /// How it is worked out.
    pub job: Job,
    /// Values of other tables it reads: through which link, from which field.
    pub reads: Vec<Through>,
    /// Fields of its own row it reads.
    pub needs: Vec<usize>,
    /// Fields further away, whose change reaches every row.
    pub distant: Vec<Place>,
    /// True when its value changes with the time of day.
    pub volatile: bool,
}

impl Computed {
    /// True when it asks when its record was last edited.
    pub fn watches_edits(&self) -> bool {
        matches!(&self.job, Job::Formula(program) | Job::Button(_, program) if !program.watched().is_empty())
    }
}

/// The edits LAST_MODIFIED_TIME asks for: of these fields, or of all when none are named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// The places of the fields, in order.
    pub fields: Vec<usize>,
    /// The key its times are stored under, beside the cells.
    pub key: String,
}

/// All computed fields of a base, each after those it depends on.
#[derive(Debug, Default)]
pub struct Plan {
    /// The fields.
    pub fields: Vec<Computed>,
    places: FxHashMap<Place, usize>,
    watches: FxHashMap<TableId, Vec<Watch>>,
    /// Fields of a copy whose values change with the time of day.
    timely: FxHashSet<Place>,
}

impl Plan {
    /// The plan of a settled schema.
    pub fn of(base: &Base) -> Self {
        let mut plan = Self::default();
        let places = places(base);
        let mut waiting: Vec<(Place, Vec<Place>)> = Vec::new();
        for (table, t) in base.tables.iter().enumerate() {
            let scope = Scope::of_table(t);
            // Filters ask when a record was edited, whether or not a field does.
            plan.watch(t, &[]);
            for (field, f) in t.fields.iter().enumerate() {
                let place = Place { table, field };
                let Some(computed) = computed(base, &places, &scope, place, f) else { continue };
                if let Job::Formula(program) | Job::Button(_, program) = &computed.job {
                    for fields in program.watched() {
                        plan.watch(t, fields);
                    }
                }
                waiting.push((place, needs(base, &places, place)));
                plan.fields.push(computed);
            }
        }
        plan.sort(waiting);
        plan
    }

    /// The plan of a copy: nothing is worked out, but it is known which fields change with the time
    /// of day.
    pub fn of_copy(base: &Base) -> Self {
        let places = places(base);
        let mut timely: FxHashSet<Place> = FxHashSet::default();
        let mut waiting: Vec<(Place, Vec<Place>)> = Vec::new();
        for (table, t) in base.tables.iter().enumerate() {
            let scope = Scope::of_table(t);
            for (field, f) in t.fields.iter().enumerate().filter(|(_, f)| f.kind.is_computed()) {
                let place = Place { table, field };
                match &f.kind {
                    FieldType::Formula { formula, .. }
                        if compile(formula, &scope).is_ok_and(|(program, _)| program.is_volatile()) =>
                    {
                        timely.insert(place);
                    }
                    _ => waiting.push((place, needs(base, &places, place))),
                }
            }
        }
        loop {
            let before = waiting.len();
            waiting.retain(|(place, needs)| {
                let reads = needs.iter().any(|need| timely.contains(need));
                reads.then(|| timely.insert(*place));
                !reads
            });
            if waiting.len() == before {
                return Self { timely, ..Self::default() };
            }
        }
    }

    fn watch(&mut self, table: &tablewright_core::model::Table, fields: &[usize]) {
        let ids: Vec<String> =
            fields.iter().filter_map(|at| table.fields.get(*at)).map(|f| f.id.to_string()).collect();
        let watch = Watch { fields: fields.to_vec(), key: format!("~{}", ids.join("+")) };
        let all = self.watches.entry(table.id).or_default();
        if !all.contains(&watch) {
            all.push(watch);
        }
    }

    /// Puts every field behind those it needs; the schema was checked for circles.
    fn sort(&mut self, mut waiting: Vec<(Place, Vec<Place>)>) {
        let ours: FxHashSet<Place> = waiting.iter().map(|(place, _)| *place).collect();
        let mut done: FxHashSet<Place> = FxHashSet::default();
        let mut order: FxHashMap<Place, usize> = FxHashMap::default();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|(place, needs)| {
                let ready = needs.iter().all(|need| !ours.contains(need) || done.contains(need));
                if ready {
                    order.insert(*place, order.len());
                    done.insert(*place);
                }
                !ready
            });
            if waiting.len() == before {
                break;
            }
        }
        self.fields.retain(|computed| order.contains_key(&computed.place));
        self.fields.sort_by_key(|computed| order.get(&computed.place).copied().unwrap_or(usize::MAX));
        self.places = self.fields.iter().enumerate().map(|(at, computed)| (computed.place, at)).collect();
        self.look_further();
    }

    /// A field that reads a lookup depends on what that one depends on: the names behind a lookup
    /// of links change without the lookup's own cells. Fields stand behind those they need, so one
    /// pass goes all the way.
    fn look_further(&mut self) {
        for at in 0..self.fields.len() {
            let here = &self.fields[at];
            let sources = here.reads.iter().map(|through| through.source);
            let own = here.needs.iter().map(|field| Place { table: here.place.table, field: *field });
            let lookups = sources.chain(own).filter_map(|place| self.at(place));
            let lookups = lookups.filter(|found| matches!(found.job, Job::Lookup(_)));
            let further: Vec<Place> = lookups.flat_map(|found| found.distant.iter().copied()).collect();
            let distant = &mut self.fields[at].distant;
            distant.extend(further);
            distant.sort_unstable_by_key(|place| (place.table, place.field));
            distant.dedup();
        }
    }

    /// The computed field at a place.
    pub fn at(&self, place: Place) -> Option<&Computed> {
        self.places.get(&place).and_then(|at| self.fields.get(*at))
    }

    /// True when the engine works the field out, so that its cells are not stored.
    pub fn computes(&self, table: usize, field: usize) -> bool {
        self.places.contains_key(&Place { table, field })
    }

    /// Forgets the edits of a table of which nothing may be known.
    pub(crate) fn retain_watches(&mut self, table: TableId, known: impl Fn(&Watch) -> bool) {
        if let Some(watches) = self.watches.get_mut(&table) {
            watches.retain(known);
        }
    }

    /// True for a formula that is LAST_MODIFIED_TIME of this watch and nothing else.
    pub fn asks_for(&self, place: Place, watch: &Watch) -> bool {
        match self.at(place).map(|computed| &computed.job) {
            Some(Job::Formula(program)) => program.len() == 1 && program.watched().contains(&watch.fields),
            _ => false,
        }
    }

    /// The edits that are kept for a table.
    pub fn watches(&self, table: TableId) -> &[Watch] {
        self.watches.get(&table).map_or(&[], Vec::as_slice)
    }

    /// True for a field of a copy whose values change with the time of day: they are as old as the
    /// record's last fetch.
    pub fn is_timely(&self, place: Place) -> bool {
        self.timely.contains(&place)
    }

    /// True when some value changes with the time of day.
    pub fn is_volatile(&self) -> bool {
        self.fields.iter().any(|computed| computed.volatile)
    }
}

fn through(
    base: &Base,
    places: &FxHashMap<FieldId, Place>,
    place: Place,
    link: &ThroughLink,
) -> Option<Through> {
    let here = &base.tables[place.table];
    let at = here.field_index(link.record_link_field_id?)?;
    leading(base, places, here, at, *places.get(&link.field_id_in_linked_table?)?)
}

/// The way through the link field at `link` to `source`.
fn leading(
    base: &Base,
    places: &FxHashMap<FieldId, Place>,
    here: &tablewright_core::model::Table,
    link: usize,
    source: Place,
) -> Option<Through> {
    let options = here.fields[link].link()?;
    (base.tables[source.table].id == options.linked_table_id).then_some(())?;
    let mirror = options.inverse_link_field_id.and_then(|id| places.get(&id)).map(|place| place.field);
    Some(Through { link, source, mirror })
}

fn computed(
    base: &Base,
    places: &FxHashMap<FieldId, Place>,
    scope: &Scope,
    place: Place,
    field: &Field,
) -> Option<Computed> {
    let here = &base.tables[place.table];
    let mut computed = Computed {
        place,
        job: Job::Count(0),
        reads: Vec::new(),
        needs: Vec::new(),
        distant: Vec::new(),
        volatile: false,
    };
    match &field.kind {
        FieldType::Formula { formula, .. } | FieldType::Button { formula: Some(formula), .. } => {
            let (program, _) = compile(formula, scope).ok()?;
            computed.needs = program.fields().to_vec();
            computed.volatile = program.is_volatile();
            for at in program.fields() {
                // A link reads as the names of its records.
                let primary = here.fields[*at]
                    .link()
                    .and_then(|link| base.table_by_id(link.linked_table_id))
                    .and_then(|linked| places.get(&linked.primary_field_id));
                computed.reads.extend(primary.and_then(|primary| leading(base, places, here, *at, *primary)));
            }
            computed.job = match &field.kind {
                FieldType::Button { label, .. } => Job::Button(label.clone(), program),
                _ => Job::Formula(program),
            };
        }
        FieldType::Rollup(link, _) => {
            let through = through(base, places, place, link)?;
            let source = &base.tables[through.source.table].fields[through.source.field];
            let (program, _) = compile(link.formula.as_deref()?, &Scope::of_rollup(Some(source))).ok()?;
            computed.needs.push(through.link);
            computed.reads.push(through);
            computed.volatile = program.is_volatile();
            computed.job = Job::Rollup(through, program);
        }
        FieldType::Lookup(link) => {
            let through = through(base, places, place, link)?;
            computed.needs.push(through.link);
            computed.reads.push(through);
            computed.job = Job::Lookup(through);
        }
        FieldType::Count(link) => {
            let at = here.field_index(link.record_link_field_id?)?;
            here.fields[at].link()?;
            computed.needs.push(at);
            computed.job = Job::Count(at);
        }
        _ => return None,
    }
    // A link behind a link reads as names that are two tables away.
    for through in &computed.reads {
        let source = &base.tables[through.source.table].fields[through.source.field];
        let linked = source.link().and_then(|link| base.table_by_id(link.linked_table_id));
        computed.distant.extend(linked.and_then(|t| places.get(&t.primary_field_id)));
    }
    Some(computed)
}
