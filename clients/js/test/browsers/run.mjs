// Opens one page in Firefox and in Chromium, and lets happen to it what happens to pages. After each, what the page shows
// is what the API says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { Guarded } from '../support/guarded.mjs';
import { servePages } from '../support/pages.mjs';
import { Proxy } from '../support/proxy.mjs';
import { until } from '../support/until.mjs';
import { sameAsDocument } from '../support/view.mjs';
import { launch, programs, suspend } from './browser.mjs';

const fqn = 'app.Agent';
/** How long a token is valid, in seconds. */
const TOKEN = 5;
// The gateway soon notices a page that is not there.
const guarded = await Guarded.start({ LTM__GATEWAY__PING_INTERVAL: '1s' });
const { services, producer } = guarded;
const proxy = await Proxy.start(services.url);
let tokens = 0;
const pages = await servePages({
  'page.js': readFileSync(new URL('page.js', import.meta.url)),
  'page.html': '<!doctype html><title>LTM</title><body><script type="module" src="page.js"></script></body>',
  token: () => (tokens++, guarded.token('*', 'read', TOKEN)),
});

after(async () => {
  await pages.stop();
  await proxy.stop();
  await guarded.stop();
});

const ask = async (path) => {
  const response = await fetch(`${services.url}/api/v0/${path}`, { headers: { Authorization: `Bearer ${guarded.admin}` } });
  assert.ok(response.ok, `${path}: ${response.status}`);
  return response.json();
};
const metric = async (name) => Number(new RegExp(`^${name} (\\d+)`, 'm').exec(await (await fetch(`${services.url}/metrics`)).text())[1]);

/** Each kind of entry; gives the last cursor. */
async function write(id) {
  const { rollbacks_count } = await services.document(id, guarded.admin);
  const { index } = await producer.append(id, { reason: 'execute', item: { step: 1 }, merge: { list: [{ a: 1 }, { b: 2 }, 'ü€𝄞'] } });
  await producer.append(id, { reason: 'execute', patch: [{ op: 'move', from: '/list/0', path: '/first' }] });
  await producer.recordError(id, { reason: 'execute', retrying: true });
  await producer.rollback(id, { snapshot: { index } });
  await producer.append(id, { reason: 'execute', merge: { other: 'way' } });
  await producer.rollback(id, { rollback: { index: rollbacks_count } });
  return (await producer.append(id, { reason: 'execute', state: { n: index } })).cursor;
}

class Shown {
  static async open(name) {
    const shown = new Shown();
    shown.browser = await launch(name);
    shown.page = await shown.browser.newPage();
    const create = async (more) => (await producer.create({ fqn, state: { n: 0 }, ...more })).id;
    shown.id = await create();
    shown.other = await create({ key: `${name}/other` });
    shown.short = await create({ retention: { max_entries: 4 } });
    const { id, other, short } = shown;
    const said = { url: proxy.url, id, other, short, fqn };
    await shown.page.goto(`${pages.url}page.html#${encodeURIComponent(JSON.stringify(said))}`);
    return shown;
  }

  /** What the page shows, by element. */
  async read() {
    const texts = await this.page.evaluate(() => [...document.querySelectorAll('pre')].map((it) => [it.id, it.textContent]));
    return Object.fromEntries(texts.map(([id, text]) => [id, JSON.parse(text)]));
  }

  /** Waits until the page is live at what the API says now, and compares all of it. */
  async check() {
    const documents = new Map();
    for (const id of [this.id, this.other, this.short]) documents.set(id, await services.document(id, guarded.admin));
    const rows = await ask(`ltm?fqn=${fqn}`);
    let shown;
    await until(async () => {
      shown = await this.read();
      const { list, ...ltms } = shown;
      const current = Object.values(ltms).every(({ status, cursor, id }) => status === 'live' && cursor === documents.get(id).cursor);
      return current && list.status === 'live' && list.rows.every((row, at) => row.snapshots_count === rows[at]?.snapshots_count);
    });
    const { list, stateOnly, ...whole } = shown;
    for (const view of Object.values(whole)) sameAsDocument(view, documents.get(view.id));
    const { state, snapshots_count } = documents.get(this.id);
    assert.deepEqual([stateOnly.state, stateOnly.snapshotsCount], [state, snapshots_count]);
    assert.deepEqual(list.rows.map(({ id, status, fqn, key }) => [id, status, fqn, key]), rows.map(({ id, status, fqn, key }) => [String(id), status, fqn, key]));
    assert.deepEqual(await this.page.evaluate(() => window.errors), []);
  }

  async write() {
    await Promise.all([this.id, this.other].map(write));
  }
}

for (const name of Object.keys(programs)) {
  describe(name, async () => {
    let shown;
    after(() => shown?.browser.close());

    test('it follows, rollbacks and their undoing included', async () => {
      shown = await Shown.open(name);
      await shown.check();
      await shown.write();
      await shown.check();
    });

    test('the services are killed, and come back', async () => {
      await services.kill();
      await until(async () => (await shown.read()).socket.status === 'reconnecting');
      await services.run();
      await shown.write();
      await shown.check();
    });

    test('retention was faster than the page: a reset', async () => {
      proxy.refuses = () => true;
      proxy.cut();
      const snapshots = Array.from({ length: 50 }, (_, n) => ({ reason: 'execute', merge: { n } }));
      await until(async () => {
        await producer.appendAll(shown.short, snapshots);
        return (await services.document(shown.short, guarded.admin)).first_index > 1;
      });
      proxy.refuses = undefined;
      await shown.check();
    });

    test('its token expires, twice', async () => {
      const before = tokens;
      await until(async () => tokens > before + 12);
      await shown.write();
      await shown.check();
    });

    test('it is suspended until the gateway has given up its connections', async () => {
      const wake = suspend(shown.browser);
      try {
        await shown.write();
        await until(async () => (await metric('ltm_subscribers')) === 0);
        await shown.write();
      } finally {
        wake();
      }
      await shown.check();
    });

    test('it is suspended for a moment, and its connections last', async () => {
      const wake = suspend(shown.browser);
      try {
        await shown.write();
      } finally {
        wake();
      }
      await shown.check();
    });

    test('an LTM is deleted', async () => {
      await producer.delete(shown.id);
      const ltms = ['socket', 'events', 'stateOnly', 'many'];
      await until(async () => {
        const all = await shown.read();
        return ltms.every((each) => all[each].status === 'deleted') && all.list.rows.every(({ id }) => id !== shown.id);
      });
      const { status } = await fetch(`${services.url}/api/v0/ltm/${shown.id}`, { headers: { Authorization: `Bearer ${guarded.admin}` } });
      assert.equal(status, 410);
      const cursor = await write(shown.other);
      await until(async () => (await shown.read()).other.cursor === cursor);
      sameAsDocument((await shown.read()).other, await services.document(shown.other, guarded.admin));
    });
  });
}
