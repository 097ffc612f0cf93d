// The promises of a producer, with the real services.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LtmAgent } from '../dist/agui/index.js';
import { Problem, Producer, Reader } from '../dist/index.js';
import { Proxy } from './support/proxy.mjs';
import { Redirects } from './support/redirects.mjs';
import { Services } from './support/services.mjs';

const backoff = { min: 1, max: 20 };
let services;
let producer;

before(async () => {
  services = await Services.start();
  producer = new Producer(services.url, { backoff });
});
after(() => services.stop());

test('it creates, appends, goes back and records errors', async () => {
  const { id, cursor } = await producer.create({ fqn: 'app.Agent', name: 'Smith', state: { n: 0 } });
  assert.equal(typeof id, 'string');
  assert.match(cursor, /^1-/);
  const patched = await producer.append(id, { reason: 'execute', patch: [{ op: 'add', path: '/a', value: [1] }] });
  assert.equal(patched.index, 1);
  await producer.append(id, { reason: 'execute', state: { n: 1, a: [1] } });
  const merged = await producer.append(Number(id), { reason: 'transition', item: { to: 'b' }, merge: { b: true } });
  assert.deepEqual(merged.snapshot.patch, [{ op: 'add', path: '/b', value: true }]);
  const back = await producer.rollback(BigInt(id), { snapshot: { index: 1 } });
  assert.deepEqual([back.snapshot_index, back.snapshots_count], [1, 2]);
  assert.equal((await producer.rollback(id, { rollback: { index: 0 } })).snapshots_count, 4);
  const { error } = await producer.recordError(id, { reason: 'execute', item: { x: 1 } });
  await producer.recordError(id, { id: error.id, success: true });
  const document = await services.document(id);
  assert.deepEqual(document.state, { a: [1], b: true, n: 1 });
  assert.deepEqual(document.errors.map(({ id, success }) => [id, success]), [[error.id, true]]);
});

test('an id that no number holds comes and goes as it is', async () => {
  const large = '18446744073709551000';
  const made = await fetch(`${services.url}/api/v0/ltm`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: `{"fqn": "app.Agent", "id": ${large}}`,
  });
  assert.equal(made.status, 200);
  assert.equal((await producer.append(large, { reason: 'execute', merge: { n: 1 } })).index, 1);
  assert.equal((await producer.append(BigInt(large), { reason: 'execute', merge: { n: 2 } })).index, 2);
});

test('a call whose connection is cut anywhere lands once', async () => {
  const { id } = await producer.create({ fqn: 'app.Agent', state: { n: 0 } });
  const proxy = await Proxy.start(services.url);
  const cut = new Producer(proxy.url, { backoff });
  let index = 0;
  for (let bytes = 0; ; bytes += 13) {
    proxy.cutAfter(bytes);
    const answer = await cut.append(id, { reason: 'execute', merge: { n: bytes } });
    assert.equal(answer.index, ++index);
    if (!proxy.wasCut) break;
  }
  assert.ok(index > 20, `only ${index} cuts`);
  assert.equal((await services.document(id)).snapshots_count, index + 1);
  await proxy.stop();
});

test('what is refused is thrown as a problem that says why', async () => {
  const { id, cursor } = await producer.create({ fqn: 'app.Agent', state: { n: 0 } });
  const wrong = [{ op: 'test', path: '/n', value: 0 }, { op: 'remove', path: '/x' }];
  const step = { reason: 'execute', merge: { n: 1 } };
  await assert.rejects(producer.append(id, { reason: 'execute', patch: wrong }), (error) => {
    assert.ok(error instanceof Problem && error instanceof Error);
    assert.deepEqual([error.kind, error.status, error.operation], ['patch-failed', 422, 1]);
    assert.equal(error.type, 'urn:ltm-live:problem:patch-failed');
    assert.match(error.requestId, /./);
    assert.equal(error.message, error.detail);
    return true;
  });
  const now = (await producer.append(id, step, { ifMatch: cursor })).cursor;
  await assert.rejects(producer.append(id, step, { ifMatch: cursor }), { kind: 'cursor-mismatch', cursor: now });
  await assert.rejects(producer.append(4711, step), { kind: 'unknown-ltm', status: 404 });
  await assert.rejects(producer.append('x', step), TypeError);
});

test('a producer that was replaced is shut out', async () => {
  const named = (epoch) => new Producer(services.url, { backoff, name: 'engine-1', epoch });
  const { id } = await named(1).create({ fqn: 'app.Agent' });
  const step = { reason: 'execute', merge: { n: 1 } };
  await named(1).append(id, step);
  await named(2).append(id, step);
  await assert.rejects(named(1).append(id, step), { kind: 'fenced', status: 409 });
});

test('a key that is given lands once across calls', async () => {
  const { id } = await producer.create({ fqn: 'app.Agent' });
  const append = () => producer.append(id, { reason: 'execute', merge: { n: 1 } }, { idempotencyKey: 'step-1' });
  assert.equal((await append()).cursor, (await append()).cursor);
});

test('where nobody answers it gives up after some tries, or when it is told to', async () => {
  const proxy = await Proxy.start(services.url);
  proxy.refuses = () => true;
  const patient = new Producer(proxy.url, { backoff, tries: 3 });
  await assert.rejects(patient.create({ fqn: 'app.Agent' }), (error) => error instanceof Problem && error.status === 0);
  assert.equal(proxy.opened, 3);
  const stop = new AbortController();
  const waiting = new Producer(proxy.url, { backoff: { min: 1e6, max: 1e6 } });
  const call = waiting.create({ fqn: 'app.Agent' }, { signal: stop.signal });
  stop.abort();
  await assert.rejects(call, Problem);
  await proxy.stop();
});

test('where there were too many requests it waits as it is told to', async () => {
  const limited = await Services.start({ LTM__HTTP__MAX_REQUESTS_PER_ADDRESS: '30' });
  const statuses = [];
  const fetcher = async (url, init) => {
    const response = await fetch(url, init);
    statuses.push(response.status);
    return response;
  };
  const eager = new Producer(limited.url, { backoff, fetch: fetcher });
  const { id } = await eager.create({ fqn: 'app.Agent', state: { n: 0 } });
  for (let n = 1; n <= 40; n++) {
    assert.equal((await eager.append(id, { reason: 'execute', merge: { n } })).index, n);
  }
  assert.ok(statuses.includes(429));
  // It was not asked again and again meanwhile.
  assert.ok(statuses.filter((status) => status === 429).length < 20, statuses.join());
  await limited.stop();
});

test('a write that is redirected is rejected at once, and the problem names the other address', async () => {
  const { id } = await producer.create({ fqn: 'app.Agent', key: 'redirected', state: { n: 0 } });
  for (const status of [301, 302, 303, 307, 308]) {
    const redirects = await Redirects.start(services.url, status);
    const away = new Producer(redirects.url, { backoff });
    const refused = (path) => (error) => {
      assert.deepEqual([error.name, error.status, error.passes], ['Problem', status, false]);
      assert.ok(error.detail.includes(`${services.url}${path}`), error.detail);
      return true;
    };
    await assert.rejects(away.create({ fqn: 'app.Agent', state: {} }), refused('/api/v0/ltm'));
    await assert.rejects(away.append(id, { reason: 'execute', merge: { n: 1 } }), refused(`/api/v0/ltm/${id}/snapshots`));
    await assert.rejects(away.delete(id), refused(`/api/v0/ltm/${id}`));
    const agent = new LtmAgent({ url: redirects.url, fqn: 'app.Agent', threadId: 'redirected', backoff });
    await assert.rejects(agent.runAgent(), refused('/agui/app.Agent/redirected'));
    assert.equal(redirects.asked.length, 4);
    // A read is followed to the other address.
    assert.equal((await new Reader(redirects.url).document(id)).snapshots_count, 1);
    await redirects.stop();
  }
});
