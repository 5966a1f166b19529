//! All collectors, and what can be done with them: by name over RPC, by the number of a series from our own workers.

use crate::cellar::{Cellar, WorkerId};
use crate::definition::{Definition, Kind};
use crate::error::{Cause, Error, Operation};
use crate::family::{Family, Value};
use crate::own::{self, reserved};
use crate::text::Page;
use parking_lot::Mutex;
use rr_shm::cells::Cells;
use rr_wire::metrics::{Change, Grant};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

/// Bounds of what is kept.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Series of all collectors together (`metrics.max_series`); a collector counts as one.
    pub series: usize,
}

/// Gives out series of its own when somebody asks. Their names must be among those that `own.rs` reserves.
pub trait Collect: Send + Sync {
    /// Puts families on the page.
    fn collect(&self, page: &mut Page);
}

const fn operation(change: Change) -> Operation {
    match change {
        Change::Add => Operation::Add,
        Change::Sub => Operation::Sub,
        Change::Set => Operation::Set,
        Change::Observe => Operation::Observe,
    }
}

/// The collectors of a server.
pub struct Registry {
    inner: Mutex<Inner>,
    sources: Mutex<Vec<Arc<dyn Collect>>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

struct Inner {
    limits: Limits,
    families: BTreeMap<Arc<str>, Family>,
    /// Where the series of a number is.
    ids: HashMap<u32, (Arc<str>, usize)>,
    next_id: u32,
    /// Names of lines that are taken.
    lines: HashSet<String>,
    cellar: Cellar,
    /// Series and changes that were refused.
    refused: u64,
    /// Changes of series that are no more.
    lost: u64,
}

impl Registry {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let inner = Inner {
            limits,
            families: BTreeMap::new(),
            ids: HashMap::new(),
            next_id: 1,
            lines: reserved().chain(OWN.iter().map(|(name, ..)| (*name).to_owned())).collect(),
            cellar: Cellar::new(),
            refused: 0,
            lost: 0,
        };
        Self { inner: Mutex::new(inner), sources: Mutex::default() }
    }

    /// Has `source` give out its series too.
    pub fn offer(&self, source: Arc<dyn Collect>) {
        self.sources.lock().push(source);
    }

    /// Takes other bounds from now on; what there is beyond them stays.
    pub fn limit(&self, limits: Limits) {
        self.inner.lock().limits = limits;
    }

    /// `false`: there was one of that name already, which stays as it is.
    ///
    /// # Errors
    /// What Prometheus would not take, or no room.
    pub fn declare(&self, definition: Definition) -> Result<bool, Error> {
        self.inner.lock().declare(definition).map_err(|cause| cause.during(Operation::Declare))
    }

    /// The numbers of its series are forgotten, and workers that count for it find out at their next count.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn unregister(&self, name: &str) -> Result<(), Error> {
        self.inner.lock().unregister(name).map_err(|cause| cause.during(Operation::Unregister))
    }

    /// changes the series of these label values, by position (ME-03).
    ///
    /// # Errors
    /// RoadRunner's, with its texts.
    pub fn change(&self, change: Change, name: &str, value: f64, labels: &[String]) -> Result<(), Error> {
        let now = Instant::now();
        let mut inner = self.inner.lock();
        inner.change(change, name, value, labels, now).map_err(|cause| cause.during(operation(change)))
    }

    /// Lets a worker count a series: declares the collector if there is none of its name, and finds or makes the
    /// series. A definition without labels fits a collector with some, one without help any help.
    ///
    /// # Errors
    /// The collector of that name is another, the label values do not fit it, or no room.
    pub fn grant(
        &self,
        worker: &WorkerId,
        definition: Definition,
        values: &[String],
    ) -> Result<Grant, Cause> {
        self.inner.lock().grant(worker, definition, values)
    }

    /// A change that a worker sends for a series it was granted. One of a series that is no more, or that makes no
    /// sense, is counted as lost: nobody waits for an answer.
    pub fn record(&self, change: Change, series: u32, value: f64) {
        let now = Instant::now();
        let mut inner = self.inner.lock();
        if inner.record(change, series, value, now).is_none() {
            inner.lost += 1;
        }
    }

    /// A worker has begun; `cells` is its memory.
    pub fn worker_began(&self, worker: WorkerId, cells: Cells) {
        self.inner.lock().cellar.attach(worker, cells);
    }

    /// A worker's process has ended.
    pub fn worker_ended(&self, worker: &WorkerId) {
        self.inner.lock().cellar.retire(worker);
    }

    /// The text for Prometheus.
    #[must_use]
    pub fn text(&self) -> String {
        let sources = self.sources.lock().clone();
        let mut inner = self.inner.lock();
        let mut page = Page::with_capacity(64 * (inner.ids.len() + 64));
        inner.write(&mut page, Instant::now());
        drop(inner);
        for source in sources {
            source.collect(&mut page);
        }
        page.finish()
    }
}

/// What the registry says of itself.
const OWN: [(&str, Kind, &str); 4] = [
    ("rr_metrics_series", Kind::Gauge, "Series of declared collectors."),
    ("rr_metrics_refused_total", Kind::Counter, "Changes and declarations that were refused with an error."),
    ("rr_metrics_lost_total", Kind::Counter, "Changes from workers for collectors that are no more."),
    (
        "rr_metrics_broken_workers_total",
        Kind::Counter,
        "Workers whose counts were no numbers and were left out.",
    ),
];

impl Inner {
    fn refuse<T>(&mut self, result: Result<T, Cause>) -> Result<T, Cause> {
        self.refused += u64::from(result.is_err());
        result
    }

    fn declare(&mut self, definition: Definition) -> Result<bool, Cause> {
        if self.families.contains_key(&*definition.name) {
            return Ok(false);
        }
        let result = self.add(definition);
        self.refuse(result).map(|()| true)
    }

    fn add(&mut self, definition: Definition) -> Result<(), Cause> {
        let definition = definition.settled()?;
        self.room(&definition.name)?;
        let lines = definition.line_names();
        if lines.iter().any(|line| self.lines.contains(line)) {
            return Err(Cause::Duplicate(definition.full_name()));
        }
        self.lines.extend(lines);
        let name: Arc<str> = definition.name.as_str().into();
        let plain = definition.labels.is_empty();
        self.families.insert(Arc::clone(&name), Family::new(definition));
        if plain {
            // There from the start, at 0, as in Prometheus' own clients.
            self.series(&name, &[])?;
        }
        Ok(())
    }

    fn room(&self, name: &str) -> Result<(), Cause> {
        let limit = self.limits.series;
        // A collector without series takes room as well.
        if self.ids.len() + self.families.len() / 2 >= limit {
            return Err(Cause::Full { name: name.to_owned(), limit });
        }
        Ok(())
    }

    fn unregister(&mut self, name: &str) -> Result<(), Cause> {
        let Some(family) = self.families.remove(name) else {
            let result = Err(Cause::Undefined { name: name.to_owned(), hint: false });
            return self.refuse(result);
        };
        for line in family.definition.line_names() {
            self.lines.remove(&line);
        }
        for series in &family.series {
            self.ids.remove(&series.id);
        }
        self.cellar.invalidate();
        Ok(())
    }

    /// The series of these values, made if need be.
    fn series(&mut self, name: &str, values: &[String]) -> Result<usize, Cause> {
        let undefined = || Cause::Undefined { name: name.to_owned(), hint: false };
        let family = self.families.get(name).ok_or_else(undefined)?;
        let values = family.values(values)?;
        if let Some(index) = family.find(values) {
            return Ok(index);
        }
        self.room(name)?;
        let (key, family) = self.families.get_key_value(name).ok_or_else(undefined)?;
        let (key, cells) = (Arc::clone(key), family.cells());
        let cell = if cells > 0 { self.cellar.assign(cells) } else { None };
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let family = self.families.get_mut(name).ok_or_else(undefined)?;
        let index = family.insert(values, id, cell);
        self.ids.insert(id, (key, index));
        Ok(index)
    }

    fn change(
        &mut self,
        change: Change,
        name: &str,
        value: f64,
        labels: &[String],
        now: Instant,
    ) -> Result<(), Cause> {
        let result = self.try_change(change, name, value, labels, now);
        self.refuse(result)
    }

    fn try_change(
        &mut self,
        change: Change,
        name: &str,
        value: f64,
        labels: &[String],
        now: Instant,
    ) -> Result<(), Cause> {
        let Some(family) = self.families.get(name) else {
            return Err(Cause::Undefined { name: name.to_owned(), hint: change == Change::Add });
        };
        fits(change, family, value)?;
        let index = self.series(name, labels)?;
        if let Some(family) = self.families.get_mut(name) {
            apply(change, family, index, value, now);
        }
        Ok(())
    }

    fn record(&mut self, change: Change, series: u32, value: f64, now: Instant) -> Option<()> {
        let (name, index) = self.ids.get(&series)?;
        let family = self.families.get_mut(name)?;
        fits(change, family, value).ok()?;
        apply(change, family, *index, value, now);
        Some(())
    }

    fn grant(
        &mut self,
        worker: &WorkerId,
        definition: Definition,
        values: &[String],
    ) -> Result<Grant, Cause> {
        let result = self.try_grant(worker, definition, values);
        self.refuse(result)
    }

    fn try_grant(
        &mut self,
        worker: &WorkerId,
        definition: Definition,
        values: &[String],
    ) -> Result<Grant, Cause> {
        let name = definition.name.clone();
        match self.families.get(&*name) {
            Some(family) => agrees(&definition, family)?,
            None => self.add(definition)?,
        }
        if let Some(family) = self.families.get(&*name)
            && family.definition.labels.is_empty()
            && !values.is_empty()
        {
            return Err(Cause::Cardinality { expected: 0, given: values.len(), values: values.to_vec() });
        }
        let index = self.series(&name, values)?;
        let Some(family) = self.families.get(&*name) else {
            return Err(Cause::Undefined { name, hint: false });
        };
        let (series, cells) = (&family.series[index], family.cells());
        let cell = series.cell.filter(|first| self.cellar.grant(worker, *first, cells));
        let cell = cell.and_then(|cell| u32::try_from(cell).ok());
        Ok(Grant { series: series.id, cell, buckets: family.definition.buckets.clone() })
    }

    fn write(&mut self, page: &mut Page, now: Instant) {
        let sums = self.cellar.totals();
        let mut families: Vec<&mut Family> = self.families.values_mut().collect();
        families.sort_by(|one, other| one.full_name.cmp(&other.full_name));
        for family in families {
            // One without series would be a head without lines.
            if !family.series.is_empty() {
                family.write(page, &sums, now);
            }
        }
        let own = [self.ids.len() as u64, self.refused, self.lost, self.cellar.garbage()];
        for ((name, kind, help), value) in OWN.into_iter().zip(own) {
            page.family(name, kind, help);
            page.line(name, "", "", None, value as f64);
        }
        own::php(page, &self.cellar.living(), &sums);
    }
}

/// Whether what PHP takes a collector for is what it is.
fn agrees(asked: &Definition, family: &Family) -> Result<(), Cause> {
    let is = &family.definition;
    let labels = |definition: &Definition| match &*definition.labels {
        [] => definition.kind.to_string(),
        labels => format!("{} with the labels {}", definition.kind, labels.join(", ")),
    };
    if asked.kind != is.kind || !asked.labels.is_empty() && asked.labels != is.labels {
        return Err(Cause::Mismatch { name: is.name.clone(), is: labels(is), asked: labels(asked) });
    }
    Ok(())
}

/// Whether a change is one for this collector.
fn fits(change: Change, family: &Family, value: f64) -> Result<(), Cause> {
    let name = &family.definition.name;
    let method = match (change, family.definition.kind) {
        (Change::Add, Kind::Counter) if value < 0.0 => return Err(Cause::Decrease),
        (Change::Add, Kind::Counter) | (Change::Observe, Kind::Histogram | Kind::Summary) => {
            return if value.is_finite() { Ok(()) } else { Err(Cause::NotFinite(name.clone())) };
        }
        (Change::Add | Change::Sub | Change::Set, Kind::Gauge) => return Ok(()),
        (Change::Add, _) => return Err(Cause::Unsupported { name: name.clone(), method: "`Add`" }),
        (Change::Sub, _) => "`Sub`",
        (Change::Set, _) => "Set",
        (Change::Observe, _) => "`Observe`",
    };
    Err(Cause::Unsupported { name: format!("`{name}`"), method })
}

fn apply(change: Change, family: &mut Family, series: usize, value: f64, now: Instant) {
    if let Value::Number(number) = &mut family.series[series].value {
        match change {
            Change::Add => *number += value,
            Change::Sub => *number -= value,
            Change::Set => *number = value,
            Change::Observe => {}
        }
        return;
    }
    family.observe(series, value, now);
}
