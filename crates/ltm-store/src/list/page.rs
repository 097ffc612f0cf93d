//! One page of a list.

use ltm_types::LtmId;

use crate::{
    error::StoreError,
    list::{
        candidates::Candidates,
        filter::{ClassFilter, ListFilter},
    },
    log::{
        list::{Found, ListedLtm, Row},
        read::Store,
    },
};

/// How many LTMs are read at once if the first ones do not fill the page.
const READ_AT_ONCE: usize = 256;

/// The LTMs that a caller may see.
pub enum Shown<'a> {
    /// All LTMs.
    All,
    /// The LTMs for which this returns true.
    Some(Choice<'a>),
}

/// Chooses an LTM by its id and class.
pub type Choice<'a> = Box<dyn Fn(LtmId, &str) -> bool + Send + Sync + 'a>;

impl Shown<'_> {
    fn is_shown(&self, row: &Row) -> bool {
        match self {
            Self::All => true,
            Self::Some(shown) => shown(row.id, &row.fqn),
        }
    }
}

/// The LTMs to list.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// Whether to list the playground, or the other LTMs.
    pub playground: bool,
    /// Which of these LTMs.
    pub filter: &'a ListFilter,
    /// The most rows, at least 1.
    pub limit: usize,
    /// Only LTMs with lower ids.
    pub before: Option<LtmId>,
}

/// A page of a list, newest first.
#[derive(Debug, Default)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// The `before` of the next page, if there is one.
    pub next: Option<LtmId>,
    /// In a cluster: ids of LTMs on a server that is down. The page lacks their rows.
    pub unavailable: Vec<LtmId>,
    /// Whether the page may lack rows, because the index is not up to date.
    pub is_incomplete: bool,
    /// Ids on the list or in the index that do not belong there: for [`Store::repair`].
    pub wrong: Vec<LtmId>,
    /// The plain list that the page was read from; `None` for the index.
    pub list: Option<String>,
}

impl Store {
    /// Lists LTMs, newest first. The store reads at most `redis.list_reads` LTMs for one page. So a page can be shorter
    /// than the limit, or empty, although there is a next page. In a cluster, LTMs on a server that is down have no row.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn list(&self, listing: Listing<'_>, shown: &Shown<'_>) -> Result<Page, StoreError> {
        let candidates = self
            .candidates(listing.playground, listing.filter, listing.limit)
            .await?;
        let mut page = Page {
            list: candidates.list.clone(),
            is_incomplete: candidates.is_incomplete,
            ..Page::default()
        };
        let most = self.redis.settings().list_reads;
        let (mut before, mut at_once, mut read) = (listing.before, listing.limit, 0);
        loop {
            at_once = at_once.min(most - read);
            let mut ids = self
                .next_candidates(&candidates, before, at_once + 1)
                .await?;
            let more = ids.len() > at_once;
            ids.truncate(at_once);
            add_marked(&mut ids, &candidates, more, before);
            read += ids.len();
            for (id, found) in ids.iter().zip(self.listed(&ids).await?) {
                before = Some(*id);
                page.take(*id, found, listing, shown);
                if page.is_full(listing.limit) {
                    break;
                }
            }
            if !more || page.is_full(listing.limit) || read >= most {
                // If there are no more ids, the page ends with the last one, or before it.
                let is_before_last = ids.last().is_some_and(|last| before != Some(*last));
                page.next = before.filter(|_| more || is_before_last);
                page.wrong
                    .retain(|id| candidates.marked(None, None).all(|it| it != *id));
                return Ok(page);
            }
            at_once = at_once.max(READ_AT_ONCE);
        }
    }

    /// Removes from the list or the index what [`Store::list`] found wrong there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn repair(&self, page: &Page) -> Result<(), StoreError> {
        if let Some(list) = &page.list {
            return self.remove_missing(list, &page.wrong).await;
        }
        let unmarked = page.wrong.iter().take(READ_AT_ONCE).map(|id| (*id, None));
        self.index_all(&unmarked.collect::<Vec<_>>()).await?;
        Ok(())
    }
}

impl Page {
    fn is_full(&self, limit: usize) -> bool {
        self.rows.len() + self.unavailable.len() >= limit
    }

    /// Adds the LTM to the page, if it belongs there.
    fn take(&mut self, id: LtmId, found: Found, listing: Listing<'_>, shown: &Shown<'_>) {
        match found {
            Found::Ltm(ltm) => self.take_ltm(*ltm, listing, shown),
            Found::Missing => self.wrong.push(id),
            Found::Unavailable => self.unavailable.push(id),
            Found::Unreadable => {}
        }
    }

    fn take_ltm(&mut self, ltm: ListedLtm, listing: Listing<'_>, shown: &Shown<'_>) {
        let class_is = match &listing.filter.class {
            Some(ClassFilter::Is(class)) => ltm.row.fqn == *class,
            _ => true,
        };
        if ltm.playground != listing.playground || !class_is {
            // A creation that failed because the id was taken may have added it to another list.
            if self.list.is_some() {
                self.wrong.push(ltm.row.id);
            }
            return;
        }
        match listing.filter.shows(&ltm) {
            Some(true) if shown.is_shown(&ltm.row) => self.rows.push(ltm.row),
            Some(true) => {}
            Some(false) if self.list.is_none() && listing.filter.is_one_part() => {
                self.wrong.push(ltm.row.id);
            }
            Some(false) => {}
            None => self.is_incomplete |= shown.is_shown(&ltm.row),
        }
    }
}

/// Adds the marked LTMs that belong between these ids, or after the last of them if there are no more.
fn add_marked(ids: &mut Vec<LtmId>, candidates: &Candidates, more: bool, before: Option<LtmId>) {
    let after = ids.last().copied().filter(|_| more);
    let read = ids.len();
    ids.extend(candidates.marked(after, before));
    if ids.len() > read {
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.dedup();
    }
}
