//! One pass over what matches the words: the best of what every facet lets through, and the counts of each facet.
//!
//! Never a second pass per facet: an entry that misses exactly one condition counts for that facet alone
//! (`tidm_space::catalog::search::Misses`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::{DocAddress, DocId, Score, SegmentOrdinal, SegmentReader};

use tidm_space::catalog::search::{Counts, Facet, FacetCounts, Filter, Misses, code};
use tidm_space::policy::terms::Price;

use super::place::{CHANGED, FORMAT, FREE, GRADES, MARKS, PLACE, PRICE, PROVIDER};

/// Values of one facet that are shown: more than anybody chooses from.
const VALUES: usize = 50;
/// Values of one facet that are looked at in one part of the index: a hostile catalogue may name a format of its own
/// in each entry.
const LOOKED_AT: usize = 2000;

/// Where an entry stands in the order of results: higher is earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// Bits of a number that is not negative sort as the number does.
    pub score: u32,
    pub changed: u64,
    /// Of no meaning, but always the same.
    pub place: u64,
}

pub(super) struct Collect {
    pub wanted: Filter,
    /// Only what stands behind.
    pub after: Option<Rank>,
    pub most: usize,
    pub count: bool,
}

pub(super) struct Collected {
    pub best: Vec<(Rank, DocAddress)>,
    pub facets: Option<FacetCounts>,
}

/// The filter in one part of the index: values by their numbers there.
struct Conditions {
    /// `None`: any.
    formats: Option<Vec<u64>>,
    provider: Option<Option<u64>>,
    grade: Option<Option<u64>>,
    /// From, to.
    prices: Option<Option<(u64, u64)>>,
    free: bool,
}

pub(super) struct Part {
    ordinal: SegmentOrdinal,
    conditions: Conditions,
    after: Option<Rank>,
    most: usize,
    count: bool,
    formats: Option<StrColumn>,
    providers: Option<StrColumn>,
    marks: Column<u64>,
    prices: Column<u64>,
    changed: Column<u64>,
    places: Column<u64>,
    best: BinaryHeap<Reverse<(Rank, DocId)>>,
    by_format: Vec<u64>,
    by_provider: Vec<u64>,
    by_marks: [[u64; GRADES.len() * FREE.len()]; 2],
    by_price: BTreeMap<u64, u64>,
}

/// Which of the two tables of marks a count goes to.
const BY_GRADE: usize = 0;
const BY_FREE: usize = 1;

pub(super) struct PartFound {
    best: Vec<(Rank, DocAddress)>,
    format: Counts,
    provider: Counts,
    grade: Counts,
    free: Counts,
    price: Counts,
}

impl Collector for Collect {
    type Fruit = Collected;
    type Child = Part;

    fn for_segment(&self, ordinal: SegmentOrdinal, part: &SegmentReader) -> tantivy::Result<Part> {
        let fast = part.fast_fields();
        let (formats, providers) = (fast.str(FORMAT)?, fast.str(PROVIDER)?);
        let terms = |it: &Option<StrColumn>| it.as_ref().map_or(0, |it| it.num_terms());
        Ok(Part {
            ordinal,
            conditions: conditions(&self.wanted, formats.as_ref(), providers.as_ref())?,
            after: self.after,
            most: self.most,
            count: self.count,
            by_format: vec![0; if self.count { terms(&formats) } else { 0 }],
            by_provider: vec![0; if self.count { terms(&providers) } else { 0 }],
            formats,
            providers,
            marks: fast.u64(MARKS)?,
            prices: fast.u64(PRICE)?,
            changed: fast.u64(CHANGED)?,
            places: fast.u64(PLACE)?,
            best: BinaryHeap::with_capacity(self.most + 1),
            by_marks: Default::default(),
            by_price: BTreeMap::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        !self.wanted.words.is_empty()
    }

    fn merge_fruits(&self, parts: Vec<PartFound>) -> tantivy::Result<Collected> {
        let mut best = Vec::new();
        let mut all: [BTreeMap<String, u64>; 5] = Default::default();
        for part in parts {
            best.extend(part.best);
            let found = [part.format, part.grade, part.provider, part.price, part.free];
            for (sum, one) in all.iter_mut().zip(found) {
                for (value, many) in one {
                    *sum.entry(value).or_default() += many;
                }
            }
        }
        best.sort_unstable_by(|a, b| b.cmp(a));
        best.truncate(self.most);
        let [format, grade, provider, price, free] =
            all.map(|it| first(it.into_iter().collect(), VALUES));
        let facets = FacetCounts { format, grade, provider, price, free };
        Ok(Collected { best, facets: self.count.then_some(facets) })
    }
}

fn first(mut counts: Counts, most: usize) -> Counts {
    counts.sort_unstable_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    counts.truncate(most);
    counts
}

fn conditions(
    wanted: &Filter,
    formats: Option<&StrColumn>,
    providers: Option<&StrColumn>,
) -> tantivy::Result<Conditions> {
    let format = wanted.format.as_ref().map(|it| same(formats, it)).transpose()?;
    let provider = match (&wanted.provider, providers) {
        (None, _) => None,
        (Some(_), None) => Some(None),
        (Some(it), Some(column)) => Some(column.dictionary().term_ord(it.as_bytes())?),
    };
    let grade = wanted.grade.as_ref().map(|it| GRADES.iter().position(|known| known == it));
    let prices = wanted.max_price.as_ref().map(|most| {
        let currency = most.currency.clone()?;
        let most = code::of_price(&Price { micros: most.micros, currency });
        Some((code::group(most), most))
    });
    Ok(Conditions {
        formats: format,
        provider,
        grade: grade.map(|it| it.map(|it| it as u64)),
        prices,
        free: wanted.free,
    })
}

/// The numbers of a format in whatever case.
fn same(column: Option<&StrColumn>, wanted: &str) -> tantivy::Result<Vec<u64>> {
    let Some(column) = column else { return Ok(vec![]) };
    if column.num_terms() > LOOKED_AT {
        return Ok(column.dictionary().term_ord(wanted.as_bytes())?.into_iter().collect());
    }
    let lower = wanted.to_lowercase();
    let (mut all, mut text) = (vec![], String::new());
    for ord in 0..column.num_terms() as u64 {
        text.clear();
        if column.ord_to_str(ord, &mut text)? && text.to_lowercase() == lower {
            all.push(ord);
        }
    }
    Ok(all)
}

impl Part {
    fn misses(&self, doc: DocId, marks: usize) -> Misses {
        let it = &self.conditions;
        let format = it.formats.as_ref().is_none_or(|wanted| {
            let mut had = self.formats.iter().flat_map(|column| column.term_ords(doc));
            had.any(|ord| wanted.contains(&ord))
        });
        let provider = it.provider.is_none_or(|wanted| {
            wanted.is_some()
                && self.providers.as_ref().and_then(|it| it.ords().first(doc)) == wanted
        });
        let grade = it.grade.is_none_or(|wanted| wanted == Some((marks % GRADES.len()) as u64));
        let free = marks / GRADES.len() == 0;
        let price = it.prices.is_none_or(|range| {
            free || range.is_some_and(|(from, to)| {
                self.prices.values_for_doc(doc).any(|it| (from..=to).contains(&it))
            })
        });
        Misses::none()
            .unless(Facet::Format, format)
            .unless(Facet::Grade, grade)
            .unless(Facet::Provider, provider)
            .unless(Facet::Price, price)
            .unless(Facet::Free, !it.free || free)
    }

    fn count(&mut self, doc: DocId, marks: usize, misses: Misses) {
        if misses.counts_for(Facet::Format)
            && let Some(column) = &self.formats
        {
            for ord in column.term_ords(doc) {
                bump(&mut self.by_format, ord);
            }
        }
        if misses.counts_for(Facet::Provider)
            && let Some(ord) = self.providers.as_ref().and_then(|it| it.ords().first(doc))
        {
            bump(&mut self.by_provider, ord);
        }
        for (facet, table) in [(Facet::Grade, BY_GRADE), (Facet::Free, BY_FREE)] {
            if misses.counts_for(facet) {
                bump(&mut self.by_marks[table], marks as u64);
            }
        }
        if misses.counts_for(Facet::Price) {
            // Sorted as they were written: one currency is counted once.
            let mut last = None;
            for price in self.prices.values_for_doc(doc).map(code::group) {
                if last != Some(price) {
                    *self.by_price.entry(price).or_default() += 1;
                }
                last = Some(price);
            }
        }
    }
}

fn bump(table: &mut [u64], at: u64) {
    if let Some(it) = usize::try_from(at).ok().and_then(|at| table.get_mut(at)) {
        *it += 1;
    }
}

impl SegmentCollector for Part {
    type Fruit = PartFound;

    fn collect(&mut self, doc: DocId, score: Score) {
        let last = GRADES.len() * FREE.len() - 1;
        let marks = self.marks.first(doc).and_then(|it| usize::try_from(it).ok());
        let marks = marks.unwrap_or(last).min(last);
        let misses = self.misses(doc, marks);
        if self.count {
            self.count(doc, marks, misses);
        }
        if !misses.is_none() {
            return;
        }
        let score = score.max(0.0).to_bits();
        let worst = (self.best.len() == self.most).then(|| self.best.peek()).flatten();
        if worst.is_some_and(|Reverse((rank, _))| score < rank.score) {
            return;
        }
        let changed = self.changed.first(doc).unwrap_or(0);
        let rank = Rank { score, changed, place: self.places.first(doc).unwrap_or(0) };
        if self.after.is_some_and(|after| rank >= after) {
            return;
        }
        self.best.push(Reverse((rank, doc)));
        if self.best.len() > self.most {
            self.best.pop();
        }
    }

    fn harvest(self) -> PartFound {
        let names = |column: &Option<StrColumn>, counts: &[u64]| {
            let mut found: Vec<(u64, u64)> =
                (0..).zip(counts.iter().copied()).filter(|(_, many)| *many > 0).collect();
            found.sort_unstable_by_key(|(_, many)| Reverse(*many));
            found.truncate(LOOKED_AT);
            let name = |(ord, many): (u64, u64)| {
                let mut text = String::new();
                let known = column.as_ref()?.ord_to_str(ord, &mut text).ok()?;
                known.then_some((text, many))
            };
            found.into_iter().filter_map(name).collect::<Counts>()
        };
        let sums = |table: usize, values: &[&str], of: fn(usize) -> usize| {
            let mut all = vec![0; values.len()];
            for (marks, many) in self.by_marks[table].iter().enumerate() {
                bump_by(&mut all, of(marks), *many);
            }
            let all = values.iter().zip(all).filter(|(_, many)| *many > 0);
            all.map(|(value, many)| ((*value).to_owned(), many)).collect::<Counts>()
        };
        let address = |Reverse((rank, doc)): Reverse<(Rank, DocId)>| {
            (rank, DocAddress::new(self.ordinal, doc))
        };
        PartFound {
            format: names(&self.formats, &self.by_format),
            provider: names(&self.providers, &self.by_provider),
            grade: sums(BY_GRADE, &GRADES, |marks| marks % GRADES.len()),
            free: sums(BY_FREE, &FREE, |marks| marks / GRADES.len()),
            price: self.by_price.iter().map(|(it, many)| (code::currency_of(*it), *many)).collect(),
            best: self.best.into_iter().map(address).collect(),
        }
    }
}

fn bump_by(table: &mut [u64], at: usize, many: u64) {
    if let Some(it) = table.get_mut(at) {
        *it += many;
    }
}
