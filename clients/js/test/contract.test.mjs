// Calls that a service has only since it describes them: each test runs as soon as the OpenAPI document has its call.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import WebSocket from 'ws';
import { followList, Producer, Reader } from '../dist/index.js';
import { EventSource } from './support/event-source.mjs';
import { Proxy } from './support/proxy.mjs';
import { Services } from './support/services.mjs';
import { until, untilView } from './support/until.mjs';

describe('with services that run', () => {
  let services;
  let producer;
  let reader;
  let openapi;
  let asyncapi;
  before(async () => {
    services = await Services.start({ LTM__GATEWAY__LIST_INTERVAL: '20ms' });
    producer = new Producer(services.url);
    reader = new Reader(services.url);
    openapi = await services.ask('GET', '/docs/openapi.json');
    asyncapi = JSON.stringify(await services.ask('GET', '/docs/asyncapi.json'));
  });
  after(() => services.stop());
  const has = (t, yes) => yes || (t.skip('the service does not have it yet'), false);

  test('a batch lands whole, once', async (t) => {
    if (!has(t, JSON.stringify(openapi.paths['/api/v0/ltm/{id}/snapshots'].post).includes('ndjson'))) return;
    const { id, cursor } = await producer.create({ fqn: 'app.Agent', state: { n: 0 } });
    const steps = [1, 2, 3].map((n) => ({ reason: 'execute', merge: { n } }));
    const answer = await producer.appendAll(id, steps, { ifMatch: cursor, idempotencyKey: 'once' });
    assert.deepEqual([answer.index, answer.cursors.length, answer.cursors.at(-1)], [3, 3, answer.cursor]);
    assert.deepEqual(await producer.appendAll(id, steps, { ifMatch: cursor, idempotencyKey: 'once' }), answer);
    const wrong = [{ reason: 'execute', merge: { n: 9 } }, { reason: 'execute', patch: [{ op: 'remove', path: '/none' }] }];
    await assert.rejects(producer.appendAll(id, wrong), { kind: 'patch-failed' });
    assert.deepEqual((await reader.state(id)).state, { n: 3 });
  });

  test('LTMs are counted', async (t) => {
    if (!has(t, openapi.paths['/api/v0/ltm/counts'])) return;
    await producer.create({ fqn: 'counts.Agent', state: { _status: 'waiting_for_human' } });
    // Services that have just started build their index first.
    await until(async () => (await reader.counts()).fqn['counts.Agent'] === 1);
    const counts = await reader.counts();
    assert.equal(counts.status.waiting_for_human, 1);
    assert.ok(counts.total >= 1);
  });

  test('a list has the rows of its filter', async (t) => {
    if (!has(t, openapi.paths['/api/v0/ltm'].get.parameters.some(({ name }) => name === 'status'))) return;
    const { id } = await producer.create({ fqn: 'filter.Agent', name: 'Harbour lights', state: { _status: 'error' } });
    await producer.create({ fqn: 'filter.Agent', name: 'Harbour dues', state: { _status: 'active' } });
    const filter = { status: ['error'], fqn: 'filter.*', name: 'har li', created_after: new Date(0), has_errors: false };
    const list = followList(services.url, filter, { WebSocket });
    const { rows } = await untilView(list, ({ status }) => status === 'live');
    assert.deepEqual([rows.map((row) => row.id), (await reader.list(filter)).rows], [[id], rows]);
    list.close();
  });

  test('where no WebSocket opens, a list comes by event stream', async (t) => {
    if (!has(t, asyncapi.includes('/sse/ltms'))) return;
    const proxy = await Proxy.start(services.url);
    proxy.refuses = (data) => /^upgrade: websocket\r$/im.test(data.toString('latin1'));
    const { id } = await producer.create({ fqn: 'events.Agent', state: {} });
    const list = followList(proxy.url, { fqn: 'events.Agent' }, { WebSocket, EventSource, backoff: { min: 5, max: 100 } });
    const { rows } = await untilView(list, ({ status }) => status === 'live');
    assert.deepEqual(rows.map((row) => row.id), [id]);
    await producer.append(id, { reason: 'execute', merge: { _status: 'finished' } });
    await untilView(list, ({ rows }) => rows[0].status === 'finished');
    list.close();
    await proxy.stop();
  });
});
