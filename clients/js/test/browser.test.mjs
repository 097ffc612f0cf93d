// The same promises in a browser: its own WebSocket and fetch, CORS, workers; and React.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import { Producer } from '../dist/index.js';
import { Browser } from './support/browser.mjs';
import { Guarded } from './support/guarded.mjs';
import { Proxy } from './support/proxy.mjs';
import { Redirects } from './support/redirects.mjs';
import { Services } from './support/services.mjs';
import { until } from './support/until.mjs';
import { sameAsDocument, writeEverything } from './support/view.mjs';

let browser;
let services;
let producer;
let page;
const create = async (state = { n: 0 }) => (await producer.create({ fqn: 'app.Agent', state })).id;
const worker = `
  import { followLtm } from '/ltm-live.min.js';
  onmessage = ({ data: [url, id] }) => {
    const following = followLtm(url, id);
    following.subscribe((view) => postMessage(view));
  };
`;

before(async () => {
  const react = await build({
    entryPoints: [fileURLToPath(new URL('support/react-page.mjs', import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    define: { 'process.env.NODE_ENV': '"production"' },
  });
  [services, browser] = await Promise.all([
    Services.start(),
    Browser.start({ 'react-page.js': react.outputFiles[0].text, 'worker.js': worker }),
  ]);
  producer = new Producer(services.url, { backoff: { min: 10, max: 200 } });
  page = await browser.page();
});
after(async () => {
  await browser?.stop();
  await services?.stop();
});

const follow = (url, id, options = {}) =>
  page.evaluate(
    ([url, id, options]) => {
      const { tokens } = options;
      const token = tokens && (() => (tokens.length > 1 ? tokens.shift() : tokens[0]));
      window.told = [];
      window.following = window.ltm.followLtm(url, id, { backoff: { min: 5, max: 100 }, ...options, token });
      window.following.subscribe((view, change) => window.told.push({ ...change, error: view.error?.detail }));
    },
    [url, id, options],
  );
const view = () => page.evaluate(() => window.following.view);
const told = () => page.evaluate(() => window.told);
const close = () => page.evaluate(() => (window.following.close(), window.following.closed));
const untilLive = () => page.waitForFunction(() => window.following.view.status === 'live');
const untilAt = async (cursor) => {
  await page.waitForFunction(
    (cursor) => window.following.view.cursor === cursor && window.following.view.status === 'live',
    cursor,
  );
  return view();
};

test('after each cut of the connection the view is what the document says, rollbacks and their undoing included', async () => {
  for (let bytes = 0, cut = true; cut; bytes += 331) {
    const id = await create();
    const proxy = await Proxy.start(services.url);
    await follow(proxy.url, id);
    await untilLive();
    proxy.cutAfter(bytes);
    const cursor = await writeEverything(producer, id);
    sameAsDocument(await untilAt(cursor), await services.document(id));
    cut = proxy.wasCut;
    await close();
    await proxy.stop();
  }
});

test('a document that breaks off anywhere is fetched again', async () => {
  const id = await create();
  const cursor = await writeEverything(producer, id);
  const document = await services.document(id);
  for (let bytes = 0, cut = true; cut; bytes += 171) {
    const proxy = await Proxy.start(services.url);
    proxy.cutAfter(bytes);
    await follow(proxy.url, id);
    sameAsDocument(await untilAt(cursor), document);
    cut = proxy.wasCut;
    await close();
    await proxy.stop();
  }
});

test('services that restart are come back to, and a deletion ends it', async () => {
  const id = await create();
  await follow(services.url, id);
  await untilLive();
  await services.terminate();
  await page.waitForFunction(() => window.following.view.status === 'reconnecting');
  await services.run();
  sameAsDocument(await untilAt(await writeEverything(producer, id)), await services.document(id));
  await services.kill();
  await page.waitForFunction(() => window.following.view.status === 'reconnecting');
  await services.run();
  sameAsDocument(await untilAt(await writeEverything(producer, id)), await services.document(id));
  await services.ask('DELETE', `/api/v0/ltm/${id}`);
  await page.evaluate(() => window.following.closed);
  assert.equal((await view()).status, 'deleted');
});

test('what the page has to know of an LTM that is not there, it is told', async () => {
  await follow(services.url, 4711);
  await page.evaluate(() => window.following.closed);
  assert.deepEqual(await page.evaluate(() => [window.following.view.status, window.following.view.error.kind]), [
    'failed',
    'unknown-ltm',
  ]);
});

test('when a token expires it goes on with another', async () => {
  const guarded = await Guarded.start();
  const { id } = await guarded.producer.create({ fqn: 'app.Agent', state: { n: 0 } });
  const tokens = [guarded.token(Number(id), 'read', 2), guarded.token(Number(id), 'read', 600)];
  await follow(guarded.url, id, { tokens });
  await untilLive();
  await page.waitForFunction(() => window.told.some(({ error }) => /expired/.test(error)));
  const cursor = await writeEverything(guarded.producer, id);
  sameAsDocument(await untilAt(cursor), await guarded.services.document(id, guarded.admin));
  await close();
  await guarded.stop();
});

test('where WebSockets are cut off it takes Server-Sent Events', async () => {
  const id = await create();
  const proxy = await Proxy.start(services.url);
  proxy.refuses = (data) => /^upgrade: websocket\r$/im.test(data.toString('latin1'));
  await follow(proxy.url, id);
  await untilLive();
  proxy.cutAfter(700);
  const cursor = await writeEverything(producer, id);
  sameAsDocument(await untilAt(cursor), await services.document(id));
  assert.ok(proxy.wasCut);
  await services.ask('DELETE', `/api/v0/ltm/${id}`);
  await page.evaluate(() => window.following.closed);
  assert.equal((await view()).status, 'deleted');
  await proxy.stop();
});

test('where only WebSockets are cut off and nothing else is there, it goes on trying', async () => {
  const id = await create();
  const proxy = await Proxy.start(services.url);
  let refused = 0;
  proxy.refuses = (data) => /^upgrade: websocket\r$|^GET \/sse/im.test(data.toString('latin1')) && ++refused;
  await follow(proxy.url, id);
  await page.waitForFunction(() => window.told.filter(({ error }) => error).length > 4);
  assert.ok(refused > 2);
  proxy.refuses = undefined;
  await untilLive();
  assert.equal((await told()).filter(({ type }) => type === 'document').length, 1);
  await close();
  await proxy.stop();
});

test('what a browser has may be given as an option', async () => {
  const id = await create();
  await page.evaluate(
    ([url, id]) => {
      const { fetch, WebSocket, EventSource } = window;
      window.following = window.ltm.followLtm(url, id, { fetch, WebSocket, EventSource });
    },
    [services.url, id],
  );
  await untilLive();
  sameAsDocument(await view(), await services.document(id));
  await close();
});

test('it works in a worker', async () => {
  const id = await create();
  await page.evaluate(
    ([url, id]) => {
      window.worker = new Worker('/worker.js', { type: 'module' });
      window.worker.onmessage = ({ data }) => (window.seen = data);
      window.worker.postMessage([url, id]);
    },
    [services.url, id],
  );
  await page.waitForFunction(() => window.seen?.status === 'live');
  const cursor = await writeEverything(producer, id);
  await page.waitForFunction((cursor) => window.seen.cursor === cursor, cursor);
  sameAsDocument(await page.evaluate(() => window.seen), await services.document(id));
  await page.evaluate(() => window.worker.terminate());
});

test('React renders what has changed, and nothing else', async () => {
  const id = await create({ items: { a: { n: 0 }, b: { n: 0 } } });
  const other = await create({ items: { c: { n: 7 } } });
  const reactPage = await browser.page();
  await reactPage.evaluate(async ([url, id]) => (await import('/react-page.js')).show(url, id), [services.url, id]);
  const text = (wanted) => reactPage.waitForFunction((wanted) => document.body.innerText.includes(wanted), wanted);
  await text('live a=0 b=0');
  const before = await reactPage.evaluate(() => window.renders);
  await producer.append(id, { reason: 'execute', patch: [{ op: 'replace', path: '/items/a/n', value: 5 }] });
  await text('live a=5 b=0');
  const after = await reactPage.evaluate(() => window.renders);
  assert.deepEqual([after.a - before.a, after.b - before.b], [1, 0]);
  // Another id is followed in place of the first, and the end of the component ends it.
  await reactPage.evaluate(([url, id]) => window.show(url, id), [services.url, other]);
  await text('live c=7');
  await reactPage.evaluate(() => window.hide());
  await until(async () => /^ltm_subscribers 0$/m.test(await (await fetch(`${services.url}/metrics`)).text()));
  await reactPage.close();
});

test('a write that is redirected is rejected at once', async () => {
  const redirects = await Redirects.start(services.url, 301);
  const call = async (url) => {
    const { Producer } = await import('/ltm-live.all.min.js');
    const { name, status, passes, detail } = await new Producer(url).append(1, { reason: 'execute', merge: { n: 1 } }).catch((error) => error);
    return { name, status, passes, detail };
  };
  const { detail, ...problem } = await page.evaluate(call, redirects.url);
  assert.deepEqual(problem, { name: 'Problem', status: 302, passes: false });
  assert.match(detail, /redirects this call/);
  assert.deepEqual(redirects.asked.filter((asked) => !asked.startsWith('OPTIONS')), ['POST /api/v0/ltm/1/snapshots']);
  await redirects.stop();
});
