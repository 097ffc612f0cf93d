//! The LTMs that a list looks at: few that it does not show, and all that it shows.
//!
//! Each part of a filter is a sorted set, or a range of one, that has at least the LTMs for which the part holds. The
//! list goes through the one from which it has to read the fewest LTMs, the highest ids first, and compares each LTM
//! with the whole filter. So the index only saves work: what a list shows is what the LTMs say.

use std::collections::BTreeSet;

use ltm_types::{LtmId, keys};
use redis::{Pipeline, Value, from_redis_value_ref as from_value};

use crate::{
    error::StoreError,
    list::{
        filter::{ClassFilter, ListFilter},
        index::{BLOCK, ids_in},
        terms,
        told::STALE_FOR,
    },
    log::read::Store,
    redis::script,
};

/// The most marked LTMs that one page looks at.
const MAX_MARKED: usize = 1000;
/// The most terms that one word stands for, so that their LTMs are read in the order of their ids.
const MAX_TERMS: usize = 32;
/// The most ids that are read and sorted to find those of one page.
const MAX_SORTED: u64 = 10_000;
/// The most blocks of ids that are compared with a range of times. With more, the list looks at LTMs of all times.
const MAX_BLOCKS: usize = 20_000;
/// The most ranges of ids that are read one by one.
const MAX_RANGES: usize = 64;
/// The ranges of ids that are read at once.
const RANGES_AT_ONCE: usize = 8;
/// What it costs to read an LTM, compared with reading an id.
const COST_OF_LTM: u64 = 8;

/// Ids in a sorted set, in order: its members that begin with a text, or all.
#[derive(Clone, Debug)]
pub(crate) struct OrderedIds {
    pub(crate) key: String,
    /// The text before each id.
    pub(crate) beginning: String,
}

impl OrderedIds {
    pub(crate) fn all_of(key: String) -> Self {
        let beginning = String::new();
        Self { key, beginning }
    }

    pub(crate) fn of_term(term: &str) -> Self {
        Self {
            key: keys::LIST_TERMS.into(),
            beginning: format!("{term}\0"),
        }
    }

    fn count(&self, pipeline: &mut Pipeline) {
        let count = pipeline.cmd("ZLEXCOUNT").arg(&self.key);
        if self.beginning.is_empty() {
            count.arg("-").arg("+");
        } else {
            count.arg(format!("[{}", self.beginning));
            // After all digits.
            count.arg(format!("({}:", self.beginning));
        }
    }

    /// Reads the lowest ids.
    pub(crate) fn read_lowest(&self, pipeline: &mut Pipeline, count: usize) {
        let read = pipeline.cmd("ZRANGEBYLEX").arg(&self.key);
        read.arg(format!("[{}", self.beginning))
            .arg(format!("({}:", self.beginning))
            .arg("LIMIT")
            .arg(0)
            .arg(count);
    }

    fn read(&self, pipeline: &mut Pipeline, range: IdRange, count: usize) {
        let read = pipeline.cmd("ZREVRANGEBYLEX").arg(&self.key);
        read.arg(format!("[{}{:020}", self.beginning, range.last))
            .arg(format!("[{}{:020}", self.beginning, range.first))
            .arg("LIMIT")
            .arg(0)
            .arg(count);
    }
}

/// Ids that are in another order: a range of a sorted set.
enum UnorderedIds {
    /// Of members that begin with a text.
    Beginning(String),
    /// Of members with scores in this range.
    Updated(String, String),
}

impl UnorderedIds {
    fn add(&self, pipeline: &mut Pipeline, is_count: bool) {
        match self {
            Self::Beginning(text) => {
                let name = if is_count { "ZLEXCOUNT" } else { "ZRANGEBYLEX" };
                let range = pipeline.cmd(name).arg(keys::LIST_TERMS);
                range
                    .arg(format!("[{text}").into_bytes())
                    .arg([b"[", text.as_bytes(), b"\xff"].concat());
            }
            Self::Updated(from, before) => {
                let name = if is_count { "ZCOUNT" } else { "ZRANGEBYSCORE" };
                let range = pipeline.cmd(name).arg(keys::LIST_UPDATED);
                range.arg(from).arg(before);
            }
        }
    }
}

/// Consecutive ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdRange {
    first: u64,
    last: u64,
}

/// All ids.
const ALL_IDS: IdRange = IdRange {
    first: 1,
    last: u64::MAX,
};

/// The LTMs that a list looks at.
#[derive(Debug)]
pub(crate) struct Candidates {
    source: Source,
    /// The highest ids first.
    ranges: Vec<IdRange>,
    /// LTMs that the index may not show as they are, the highest ids first.
    marked: Vec<LtmId>,
    /// Whether more are marked.
    pub(crate) is_incomplete: bool,
    /// The plain list that these are from; `None` if they are from the index.
    pub(crate) list: Option<String>,
}

#[derive(Debug)]
enum Source {
    /// The ids of several sorted sets.
    Ordered(Vec<OrderedIds>),
    /// The highest ids first.
    Sorted(Vec<LtmId>),
}

impl Candidates {
    /// The LTMs of a plain list.
    pub(crate) fn of_list(list: String) -> Self {
        Self {
            source: Source::Ordered(vec![OrderedIds::all_of(list.clone())]),
            ranges: vec![ALL_IDS],
            marked: Vec::new(),
            is_incomplete: false,
            list: Some(list),
        }
    }

    /// The marked ids that are higher than `after`, if given, and lower than `before`.
    pub(crate) fn marked(
        &self,
        after: Option<LtmId>,
        before: Option<LtmId>,
    ) -> impl Iterator<Item = LtmId> {
        let is_in =
            move |id: &LtmId| after.is_none_or(|it| *id > it) && before.is_none_or(|it| *id < it);
        self.marked.iter().copied().filter(is_in)
    }
}

impl Store {
    /// The LTMs that a list with this filter looks at, for a page of `limit` rows.
    pub(crate) async fn candidates(
        &self,
        playground: bool,
        filter: &ListFilter,
        limit: usize,
    ) -> Result<Candidates, StoreError> {
        let list = match &filter.class {
            Some(ClassFilter::Is(class)) => keys::class_index(playground, class),
            _ => keys::index(playground).into(),
        };
        if filter.is_list() {
            return Ok(Candidates::of_list(list));
        }
        let mut ordered = ordered(playground, filter);
        ordered.push(vec![OrderedIds::all_of(list.clone())]);
        let mut unordered = updated(filter);
        for word in &filter.words {
            let beginning = terms::word(playground, word);
            match self.terms(&beginning).await? {
                Some(terms) => {
                    ordered.push(terms.iter().map(|it| OrderedIds::of_term(it)).collect());
                }
                None => unordered.push(UnorderedIds::Beginning(beginning)),
            }
        }
        let Some(look) = self.look(filter, &ordered, &unordered).await? else {
            return Ok(Candidates::of_list(list));
        };
        let (best, of_best) = least(&look.ordered);
        let sorted = look.sorted(of_best, limit as u64);
        let source = if sorted.is_empty() {
            Source::Ordered(ordered.swap_remove(best))
        } else {
            let chosen = sorted.into_iter().filter_map(|at| unordered.get(at));
            Source::Sorted(self.sorted(chosen).await?)
        };
        Ok(Candidates {
            source,
            ranges: look.ranges,
            is_incomplete: look.marked.len() > MAX_MARKED,
            marked: look.marked,
            list: None,
        })
    }

    /// The terms that begin with this text; `None` if there are too many.
    async fn terms(&self, beginning: &str) -> Result<Option<Vec<String>>, StoreError> {
        let mut call = script::WORDS.call(&[keys::LIST_TERMS]);
        call.arg(beginning).arg(MAX_TERMS);
        let answer = script::WORDS.run(&self.redis, &call).await?;
        let terms: Vec<String> = from_value(&answer).unwrap_or_default();
        Ok((terms.len() <= MAX_TERMS).then_some(terms))
    }

    /// Looks at the index: how many ids each part of the filter has, and what else decides. `None` if the index is not
    /// complete.
    async fn look(
        &self,
        filter: &ListFilter,
        ordered: &[Vec<OrderedIds>],
        unordered: &[UnorderedIds],
    ) -> Result<Option<Look>, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("HGET").arg(keys::LIST_CHECK).arg("version");
        let marked = pipeline.cmd("ZRANGEBYSCORE").arg(keys::LIST_MARKED);
        marked.arg("-inf").arg("+inf");
        marked.arg("LIMIT").arg(0).arg(MAX_MARKED + 1);
        let mut count = 2;
        for set in ordered.iter().flatten() {
            set.count(&mut pipeline);
            count += 1;
        }
        for range in unordered {
            range.add(&mut pipeline, true);
            count += 1;
        }
        let blocks = block_queries(filter);
        for (key, from, to) in &blocks {
            let read = pipeline.cmd("ZRANGEBYSCORE").arg(key).arg(from).arg(to);
            read.arg("LIMIT").arg(0).arg(MAX_BLOCKS + 1);
            count += 1;
        }
        let answers = self.redis.pipeline(&pipeline, count).await?;
        let mut answers = answers.into_iter();
        let version = answers
            .next()
            .and_then(|it| from_value::<Option<String>>(&it).ok());
        if version.flatten().as_deref() != Some(super::check::VERSION) {
            return Ok(None);
        }
        let mut marked = answers.next().map_or_else(Vec::new, |it| ids_in(&it));
        marked.sort_unstable_by(|a, b| b.cmp(a));
        let mut number = || {
            answers
                .next()
                .and_then(|it| from_value::<u64>(&it).ok())
                .unwrap_or_default()
        };
        let ordered = ordered
            .iter()
            .map(|sets| sets.iter().map(|_| number()).sum())
            .collect();
        let unordered = unordered.iter().map(|_| number()).collect();
        Ok(Some(Look {
            marked,
            ordered,
            unordered,
            ranges: ranges(answers.map(|it| blocks_in(&it))),
        }))
    }

    /// The ids that are in all of these, the highest first.
    async fn sorted<'a>(
        &self,
        ranges: impl Iterator<Item = &'a UnorderedIds>,
    ) -> Result<Vec<LtmId>, StoreError> {
        let (mut pipeline, mut count) = (redis::pipe(), 0);
        for range in ranges {
            range.add(&mut pipeline, false);
            count += 1;
        }
        let answers = self.redis.pipeline(&pipeline, count).await?;
        let sets = answers.iter().map(|it| BTreeSet::from_iter(ids_in(it)));
        let common = sets.reduce(|a, b| a.intersection(&b).copied().collect());
        Ok(common.unwrap_or_default().into_iter().rev().collect())
    }

    /// Up to `count` of these ids, lower than `before`, the highest first.
    pub(crate) async fn next_candidates(
        &self,
        candidates: &Candidates,
        before: Option<LtmId>,
        count: usize,
    ) -> Result<Vec<LtmId>, StoreError> {
        let last = before.map_or(u64::MAX, |before| before.get() - 1);
        let below = |range: &IdRange| IdRange {
            last: range.last.min(last),
            ..*range
        };
        let ranges = candidates.ranges.iter().map(below);
        let ranges: Vec<IdRange> = ranges.filter(|range| range.first <= range.last).collect();
        let sets = match &candidates.source {
            Source::Ordered(sets) => sets,
            Source::Sorted(ids) => {
                let is_in = |id: &&LtmId| {
                    ranges
                        .iter()
                        .any(|it| (it.first..=it.last).contains(&id.get()))
                };
                return Ok(ids.iter().filter(is_in).take(count).copied().collect());
            }
        };
        let mut found = BTreeSet::new();
        for some in ranges.chunks(RANGES_AT_ONCE) {
            let mut pipeline = redis::pipe();
            for (range, set) in some
                .iter()
                .flat_map(|range| sets.iter().map(move |set| (range, set)))
            {
                set.read(&mut pipeline, *range, count);
            }
            let commands = some.len() * sets.len();
            if commands > 0 {
                let answers = self.redis.pipeline(&pipeline, commands).await?;
                found.extend(answers.iter().flat_map(ids_in));
            }
            if found.len() >= count {
                break;
            }
        }
        Ok(found.into_iter().rev().take(count).collect())
    }
}

/// The parts of the filter whose ids are in order.
fn ordered(playground: bool, filter: &ListFilter) -> Vec<Vec<OrderedIds>> {
    let mut parts = Vec::new();
    if !filter.statuses.is_empty() {
        let statuses = filter.statuses.iter();
        parts.push(
            statuses
                .map(|it| OrderedIds::of_term(&terms::status(playground, it)))
                .collect(),
        );
    }
    if let Some(ClassFilter::Under(prefix)) = &filter.class {
        parts.push(vec![OrderedIds::of_term(&terms::class(playground, prefix))]);
    }
    if filter.has_errors == Some(true) {
        parts.push(vec![OrderedIds::of_term(&terms::errors(playground))]);
    }
    parts
}

/// The LTMs that may have been updated in the time of the filter.
fn updated(filter: &ListFilter) -> Vec<UnorderedIds> {
    if filter.updated.is_open() {
        return Vec::new();
    }
    // The index may not know of the last update. It knows of one that is not much older; or, by another clock, of a later one.
    let from = filter.updated.from.map_or_else(
        || "-inf".into(),
        |from| {
            from.as_millisecond()
                .saturating_sub(STALE_FOR.as_millis() as i64)
                .to_string()
        },
    );
    let before = filter.updated.before.map_or_else(
        || "+inf".into(),
        |before| {
            before
                .as_millisecond()
                .saturating_add(STALE_FOR.as_millis() as i64)
                .to_string()
        },
    );
    vec![UnorderedIds::Updated(from, before)]
}

/// The ranges of times of blocks of ids that the filter needs: sorted set, lowest and highest score.
fn block_queries(filter: &ListFilter) -> Vec<(&'static str, String, String)> {
    let mut queries = Vec::new();
    if let Some(from) = filter.created.from {
        let from = from.as_millisecond().to_string();
        queries.push((keys::LIST_LAST, from, "+inf".into()));
    }
    // An LTM was created before its last update.
    let before = [filter.created.before, filter.updated.before];
    if let Some(before) = before.into_iter().flatten().min() {
        let before = before.as_millisecond().to_string();
        queries.push((keys::LIST_FIRST, "-inf".into(), before));
    }
    queries
}

/// The blocks in an answer; `None` if there are too many.
fn blocks_in(answer: &Value) -> Option<BTreeSet<u64>> {
    let members: Vec<String> = from_value(answer).unwrap_or_default();
    let is_all = members.len() <= MAX_BLOCKS;
    is_all.then(|| {
        members
            .iter()
            .filter_map(|member| member.parse().ok())
            .collect()
    })
}

/// The ranges of ids of the blocks that are in all of these, the highest first. Ranges that are too many are joined.
fn ranges(all: impl Iterator<Item = Option<BTreeSet<u64>>>) -> Vec<IdRange> {
    let known = all.flatten();
    let Some(blocks) = known.reduce(|a, b| a.intersection(&b).copied().collect()) else {
        return vec![ALL_IDS];
    };
    let mut ranges: Vec<IdRange> = Vec::new();
    for block in blocks.into_iter().rev() {
        let first = block.saturating_mul(BLOCK);
        let is_full = ranges.len() == MAX_RANGES;
        match ranges.last_mut() {
            Some(range) if is_full || first.saturating_add(BLOCK) == range.first => {
                range.first = first.max(1);
            }
            _ => ranges.push(IdRange {
                first: first.max(1),
                last: first.saturating_add(BLOCK - 1),
            }),
        }
    }
    ranges
}

/// What decides which part of a filter is used.
struct Look {
    marked: Vec<LtmId>,
    /// The number of ids in each.
    ordered: Vec<u64>,
    unordered: Vec<u64>,
    ranges: Vec<IdRange>,
}

impl Look {
    /// The unordered parts that are read and sorted, because that costs less than to go through `of_ordered` ids in
    /// order: none, or those with few ids.
    fn sorted(&self, of_ordered: u64, limit: u64) -> Vec<usize> {
        let few = (0..self.unordered.len()).filter(|&at| self.unordered[at] <= MAX_SORTED);
        let few: Vec<usize> = few.collect();
        let Some(fewest) = few.iter().map(|&at| self.unordered[at]).min() else {
            return few;
        };
        // If the LTMs that are shown are spread evenly, the list looks at this many.
        let looked_at = limit.saturating_mul(of_ordered) / fewest.max(1);
        let in_order = COST_OF_LTM.saturating_mul(looked_at.min(of_ordered));
        if fewest + COST_OF_LTM * fewest.min(limit) <= in_order {
            few
        } else {
            Vec::new()
        }
    }
}

/// The place of the least number, and the number.
fn least(counts: &[u64]) -> (usize, u64) {
    let least = counts
        .iter()
        .copied()
        .enumerate()
        .min_by_key(|(_, count)| *count);
    least.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_follow_each_other_are_one_range_and_too_many_are_joined() {
        let of = |blocks: &[u64]| ranges([Some(blocks.iter().copied().collect())].into_iter());
        let range = |first, last| IdRange { first, last };
        assert_eq!(of(&[]), []);
        assert_eq!(
            of(&[0, 1, 3]),
            [range(3 * BLOCK, 4 * BLOCK - 1), range(1, 2 * BLOCK - 1)]
        );
        let many: Vec<u64> = (0..1000).map(|n| n * 2).collect();
        let ranges = of(&many);
        assert_eq!(
            (ranges.len(), ranges[MAX_RANGES - 1].first),
            (MAX_RANGES, 1)
        );
        assert_eq!(of(&[u64::MAX / BLOCK])[0].last, u64::MAX);
    }

    #[test]
    fn ids_are_sorted_only_if_that_costs_less_than_to_go_through_the_list() {
        let look = |count| Look {
            marked: Vec::new(),
            ordered: Vec::new(),
            unordered: vec![count],
            ranges: Vec::new(),
        };
        assert_eq!(look(10).sorted(100_000, 100), [0]);
        assert_eq!(look(3000).sorted(100_000, 100), [0]);
        // Every second LTM is shown.
        assert!(look(9000).sorted(18_000, 100).is_empty());
        assert!(look(50_000).sorted(1_000_000, 100).is_empty());
    }
}
