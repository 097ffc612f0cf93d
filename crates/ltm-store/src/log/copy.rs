//! Copies LTMs.

use ltm_state::{Checkpoint, State};
use ltm_types::{Cursor, Entry, Kind, LtmId, keys};
use redis::Value;

use crate::{
    error::StoreError,
    log::append::outcome,
    log::create::CreatedLtm,
    log::meta::{Meta, MetaFields},
    log::read::{Read, Store, WindowBounds, damaged},
    log::retention::Base,
    log::state::LoadedState,
    redis::script,
};

/// How long an unfinished copy stays in Redis, in seconds.
const UNFINISHED_SECONDS: u64 = 60 * 60;

impl Store {
    /// Copies an LTM, as it is at `source`, to a new one on the playground. The copy has the snapshots and the
    /// rollbacks, and not the errors.
    ///
    /// The log of the copy is written in parts. It becomes an LTM once it is complete. If the source's log contains
    /// only errors, the copy has a base and an empty log.
    ///
    /// # Errors
    ///
    /// As [`Store::state`]; [`StoreError::Trimmed`] if retention removed entries that the copy needs.
    pub async fn copy(&self, id: LtmId, source: &LoadedState) -> Result<CreatedLtm, StoreError> {
        let state = &source.state;
        let meta = self.meta(id).await?;
        let base = self.base(id).await?;
        let trimmed = base.as_ref().map_or(0, |base| base.state.cursor.seq);
        if trimmed > state.cursor.seq {
            return Err(StoreError::Trimmed(id));
        }
        let copy = self.next_id().await?;
        let mut target = State::default();
        if let Some(base) = &base {
            self.write_base(copy, base).await?;
            target = base.state.clone();
        }
        self.copy_entries(id, state.cursor, copy, &mut target)
            .await?;
        self.list_as(copy, true, &meta.fqn).await?;
        self.adopt(copy, id, &meta, &target, source).await?;
        let checkpoint = State {
            tree: state.tree.clone(),
            ..target
        };
        let cursor = checkpoint.cursor;
        if let Some(checkpoint) = checkpoint.checkpoint() {
            self.save_checkpoint(copy, &checkpoint).await?;
        }
        Ok(CreatedLtm {
            id: copy,
            cursor,
            replayed: false,
        })
    }

    /// Copies the entries of `from` up to `until` to the log of `to`, with new cursors. Moves `target` along, except
    /// for its tree.
    async fn copy_entries(
        &self,
        from: LtmId,
        until: Cursor,
        to: LtmId,
        target: &mut State,
    ) -> Result<(), StoreError> {
        let mut cursor = target.cursor;
        while cursor.seq < until.seq {
            let read = self.read_after(from, cursor, WindowBounds::default());
            let Read::Continues(window) = read.await? else {
                return Err(StoreError::Trimmed(from));
            };
            let Some(last) = window.entries.last() else {
                return Err(damaged(from, until, "the log changed while it was read"));
            };
            cursor = last.cursor;
            let entries = window.entries.into_iter();
            let kept = entries
                .filter(|entry| entry.cursor.seq <= until.seq)
                .filter(|entry| matches!(entry.kind, Kind::Snapshot | Kind::Rollback));
            let mut copies = Vec::new();
            for entry in kept {
                let copy = Entry::after(target.cursor, entry.kind, entry.payload);
                target.advance(&copy);
                copies.push(copy);
            }
            self.write_entries(to, &copies).await?;
        }
        Ok(())
    }

    /// Adds entries to the log of an unfinished copy.
    async fn write_entries(&self, id: LtmId, entries: &[Entry]) -> Result<(), StoreError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for entry in entries {
            pipeline
                .cmd("XADD")
                .arg(keys::log(id))
                .arg(entry.cursor.to_string())
                .arg(entry.kind.as_str())
                .arg(&*entry.payload);
        }
        pipeline
            .cmd("EXPIRE")
            .arg(keys::log(id))
            .arg(UNFINISHED_SECONDS);
        self.redis.pipeline(&pipeline, entries.len() + 1).await?;
        Ok(())
    }

    /// Writes the base of an unfinished copy.
    async fn write_base(&self, id: LtmId, base: &Base) -> Result<(), StoreError> {
        let Some(Checkpoint {
            cursor,
            state,
            index,
        }) = base.state.checkpoint()
        else {
            return Ok(());
        };
        let mut pipeline = redis::pipe();
        let set = pipeline.cmd("HSET");
        set.arg(keys::base(id))
            .arg("cursor")
            .arg(cursor.to_string())
            .arg("state")
            .arg(&*state)
            .arg("outline")
            .arg(index)
            .arg("time")
            .arg(&base.time);
        let expire = pipeline.cmd("EXPIRE");
        expire.arg(keys::base(id)).arg(UNFINISHED_SECONDS);
        self.redis.pipeline(&pipeline, 2).await?;
        Ok(())
    }

    /// Makes the copy an LTM.
    async fn adopt(
        &self,
        id: LtmId,
        source_id: LtmId,
        meta: &Meta,
        target: &State,
        source: &LoadedState,
    ) -> Result<(), StoreError> {
        let mut call = script::ADOPT.call(&[
            &keys::log(id),
            &keys::meta(id),
            &keys::deleted(id),
            &keys::base(id),
        ]);
        let cursor = target.cursor.to_string();
        call.arg(&cursor);
        let fields = MetaFields {
            name: &meta.name,
            fqn: &meta.fqn,
            params: &meta.params,
            structure: &meta.structure,
            concurrent_instances: &meta.concurrent_instances,
            playground: true,
            source: Some(source_id),
            created_at: &meta.created_at,
            updated_at: &meta.updated_at,
            snapshots_count: target.snapshots_count(),
            retention: source.retention,
            cursor: target.cursor,
            status: source.state.status(),
        };
        fields.write(&mut call);
        let (answer, uncertain): (Value, bool) = self.send(&script::ADOPT, &call).await?;
        let (outcome, current) = outcome(id, &answer)?;
        if outcome == "ok" || uncertain && current == cursor {
            return Ok(());
        }
        Err(StoreError::Unexpected(format!(
            "the copy {id} cannot be finished: {outcome}"
        )))
    }
}
