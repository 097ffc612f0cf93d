// A reader: documents, states and waits, once or until something is so.
import assert from 'node:assert/strict';
import { after, before, mock, test } from 'node:test';
import { Producer, Reader } from '../dist/index.js';
import { Services } from './support/services.mjs';
import { writeEverything } from './support/view.mjs';

let services;
const copyOf = async (id) => {
  const answer = await fetch(`${services.url}/api/v0/ltm/${id}/copy`, { method: 'POST' });
  return { id: /"copy_id":(\d+)/.exec(await answer.text())[1] };
};
let producer;
let reader;
before(async () => {
  services = await Services.start();
  producer = new Producer(services.url);
  reader = new Reader(services.url, { backoff: { min: 5, max: 50 } });
});
after(() => services.stop());

test('documents and states are those of the API, also those of a rollback', async () => {
  const { id } = await producer.create({ fqn: 'app.Agent', state: { n: 0 } });
  const cursor = await writeEverything(producer, id);
  const document = await services.document(id);
  // The rollbacks of a document are a page of their own; some services send their number instead.
  const { rollbacks: _, first_rollback: __, next_rollback: ___, rollbacks_count: ____, ...rest } = document;
  const read = await reader.document(id);
  for (const [name, value] of Object.entries({ ...rest, id })) assert.deepEqual(read[name], value, name);
  assert.deepEqual(await reader.state(id), { cursor, index: document.snapshots_count - 1, state: document.state });
  assert.deepEqual((await reader.state(id, { index: 0 })).state, { n: 0 });
  const { snapshots } = document.rollbacks[0];
  const first = await reader.state(id, { index: snapshots.length - 1, rollback: 0 });
  assert.deepEqual(first.state, document.rollbacks[0].state);
  const copy = await copyOf(id);
  assert.equal((await reader.document(copy.id)).source_id, Number(id));
  await assert.rejects(reader.document(4711), { kind: 'unknown-ltm' });
  await assert.rejects(reader.state(id, { index: 4711 }), { name: 'Problem' });
});

test('the id of a source keeps its digits', async () => {
  const { id } = await producer.create({ fqn: 'app.Agent', state: { source_id: 9007199254740994, n: 1 }, id: '9007199254740993' });
  const copy = await copyOf(id);
  assert.equal((await reader.document(copy.id)).source_id, '9007199254740993');
});

test('a wait ends with the status, with a change, after its time, and when it is aborted', async () => {
  const { id, cursor } = await producer.create({ fqn: 'app.Agent', state: { _status: 'active' } });
  assert.equal(await reader.wait(id, { status: 'finished', timeout: 100 }), undefined);
  const finished = reader.wait(id, { status: ['finished', 'error'] });
  const changed = reader.wait(id, { after: cursor });
  await producer.append(id, { reason: 'execute', merge: { _status: 'finished' } });
  const row = await finished;
  assert.deepEqual([row.id, row.status, row.snapshots_count], [id, 'finished', 2]);
  assert.equal((await changed).id, id);
  const stop = new AbortController();
  const never = reader.wait(id, { status: 'active', signal: stop.signal });
  stop.abort();
  await assert.rejects(never, { name: 'Problem' });
});

test('a reader tries a few times, and asks for another token once', async () => {
  const answers = [503, 503, 200];
  const asked = [];
  const fetcher = async (url, { headers }) => {
    asked.push(headers?.Authorization);
    const status = answers.shift();
    return new Response(status === 200 ? '[]' : '{}', { status });
  };
  const tokens = ['one', 'two', 'three'];
  const flaky = new Reader('http://services', { fetch: fetcher, backoff: { min: 1, max: 2 }, token: () => tokens.shift() });
  assert.deepEqual(await flaky.list(), { rows: [], next: null });
  assert.deepEqual(asked, ['Bearer one', 'Bearer two', 'Bearer three']);
  answers.push(503, 503, 503, 200);
  await assert.rejects(flaky.list(), { status: 503 });
});

test('a wait that outlasts one request goes on with the next', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const asked = [];
  // As the API: it answers after the time that the request names. The second request is the last one.
  const fetcher = (url, { signal }) =>
    new Promise((resolve, reject) => {
      asked.push(parseInt(new URL(url).searchParams.get('timeout')));
      if (asked.length > 1) return resolve(new Response('{"id": 1}'));
      signal.addEventListener('abort', () => reject(signal.reason));
      setTimeout(() => resolve(new Response(null, { status: 204 })), asked[0]);
    });
  try {
    const waits = new Reader('http://services', { fetch: fetcher, tries: 1 }).wait(1, { status: 'finished' });
    let ended = false;
    const end = () => void (ended = true);
    waits.then(end, end);
    while (!ended) {
      await new Promise(setImmediate);
      mock.timers.tick(1000);
    }
    assert.equal((await waits).id, '1');
    assert.equal(asked.length, 2);
  } finally {
    mock.timers.reset();
  }
});
