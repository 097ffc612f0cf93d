import assert from 'node:assert/strict';

/** Checks that a view says what the document says. */
export function sameAsDocument(view, document) {
  assert.equal(view.cursor, document.cursor);
  assert.equal(view.snapshotsCount, document.snapshots_count);
  assert.equal(view.firstIndex, document.first_index);
  const known = document.rollbacks.slice(view.firstRollback - document.first_rollback);
  assert.deepEqual(view.rollbacks, known);
  assert.equal(view.source_id, document.source_id === undefined ? null : String(document.source_id));
  // `updated_at` is when an entry was written, which is a moment after the entry's own time.
  for (const key of ['state', 'snapshots', 'errors', 'params', 'structure', 'concurrent_instances', 'name', 'fqn', 'created_at']) {
    assert.deepEqual(view[key], document[key], key);
  }
}

/** Each kind of entry, some twice; gives the last cursor. */
export async function writeEverything(producer, id) {
  const error = 'f7b1c9a2-3d4e-4f50-8a6b-7c8d9e0f1a2b';
  await producer.append(id, { reason: 'execute', item: { step: 1 }, merge: { n: 1, list: [{ a: 1 }, { b: 2 }, 'ü€𝄞'] } });
  await producer.append(id, { reason: 'execute', patch: [{ op: 'add', path: '/list/1', value: { c: [1, 2, 3] } }] });
  await producer.recordError(id, { id: error, reason: 'execute', retrying: true });
  await producer.append(id, { reason: 'transition', patch: [{ op: 'move', from: '/list/0', path: '/first' }] });
  await producer.rollback(id, { snapshot: { index: 1 } });
  await producer.append(id, { reason: 'execute', merge: { n: 2, other: 'way' } });
  await producer.rollback(id, { rollback: { index: 0 } });
  await producer.recordError(id, { id: error, success: true });
  await producer.rollback(id, { snapshot: { index: 0, replay: true } });
  await producer.rollback(id, { rollback: { index: 2 } });
  return (await producer.append(id, { reason: 'execute', state: { n: 3, list: [] } })).cursor;
}
