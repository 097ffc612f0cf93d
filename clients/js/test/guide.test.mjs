// The pages of docs/guide-app.md in a browser: they show the list and a run as the API says, live.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import jsonpatch from 'fast-json-patch';
import Socket from 'ws';
import { Producer } from '../dist/index.js';
import { Browser } from './support/browser.mjs';
import { Services } from './support/services.mjs';
import { until } from './support/until.mjs';

const guide = readFileSync(new URL('../../../docs/guide-app.md', import.meta.url), 'utf8');
const dist = new URL('../dist/', import.meta.url);
const folder = fileURLToPath(new URL('guide/', import.meta.url));
const block = (name) => new RegExp(`\`\`\`\\w+\\n((?:// |<!-- )${name}[^]*?)\`\`\``).exec(guide)[1];

let services;
let producer;
let browser;
const here = (text) => text.replaceAll('http://localhost:8000', services.url);

before(async () => {
  mkdirSync(folder, { recursive: true });
  services = await Services.start({ LTM__GATEWAY__LIST_INTERVAL: '20ms' });
  producer = new Producer(services.url);
  writeFileSync(`${folder}/app.tsx`, here(block('try/app.tsx')));
  const { outputFiles } = await build({
    entryPoints: [`${folder}/app.tsx`],
    bundle: true,
    write: false,
    format: 'esm',
    jsx: 'automatic',
  });
  const modules = readdirSync(dist).filter((name) => name.endsWith('.js'));
  browser = await Browser.start({
    'page.html': here(block('try/page.html')),
    'react.html': block('try/react.html'),
    'app.js': outputFiles[0].text,
    ...Object.fromEntries(modules.map((name) => [`node_modules/ltm-live/dist/${name}`, readFileSync(new URL(name, dist))])),
  });
});
after(async () => {
  await browser?.stop();
  await services.stop();
  rmSync(folder, { recursive: true });
});

for (const name of ['page.html', 'react.html']) {
  test(`${name} shows the list, and the run that is clicked, live`, async () => {
    const first = (await producer.create({ fqn: 'app.Agent', name: 'first', state: { n: 1, todo: ['plan'] } })).id;
    const second = (await producer.create({ fqn: 'app.Agent', name: 'second', state: { n: 5 } })).id;
    const page = await browser.context.newPage();
    const wrong = [];
    page.on('pageerror', (error) => wrong.push(String(error)));
    await page.goto(`${browser.url}${name}`);
    const shows = (...texts) => page.waitForFunction((texts) => texts.every((text) => document.body.innerText.includes(text)), texts);
    await shows(`${second} second`, `${first} first`, '"n": 5', 'live');
    await page.getByText(`${first} first`).click();
    await shows('"n": 1', '"plan"', 'live');
    await producer.append(first, { reason: 'think', merge: { n: 2, _status: 'active' } });
    await shows('think', '"n": 2', `${first} first active`);
    const third = (await producer.create({ fqn: 'app.Agent', name: 'third', state: {} })).id;
    await shows(`${third} third`);
    await producer.delete(third);
    await page.waitForFunction((text) => !document.body.innerText.includes(text), `${third} third`);
    assert.deepEqual(wrong, []);
    await page.close();
  });
}

test('the React page holds strictly', async () => {
  const compilerOptions = { noEmit: true, jsx: 'react-jsx', module: 'esnext', moduleResolution: 'bundler', rootDir: '../..', types: [] };
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, include: ['.'] }));
  const tsc = spawn(fileURLToPath(new URL('../node_modules/.bin/tsc', import.meta.url)), ['-p', folder], { stdio: 'inherit' });
  assert.equal(await new Promise((resolve) => tsc.once('exit', resolve)), 0);
});

test('the program without the client moves the cursor only with the state, and begins anew after a patch that does not apply', async () => {
  const documents = [
    { cursor: '1-a', state: { n: 1 } },
    { cursor: '3-c', state: { n: 3 } },
  ];
  const sockets = [];
  class WebSocket {
    constructor(url) {
      this.url = url;
      sockets.push(this);
    }
    close() {
      this.onclose({ code: 1000 });
    }
  }
  const said = [];
  const code = block('try/plain.mjs').replace(/^import .*$/m, '');
  const run = new Function('jsonpatch', 'fetch', 'WebSocket', 'console', 'setTimeout', code);
  run(jsonpatch, async () => ({ json: async () => structuredClone(documents.shift()) }), WebSocket, { log: (...words) => said.push(words.join(' ')) }, (next) => setImmediate(next));
  const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
  await turn();
  const say = (message) => sockets.at(-1).onmessage?.({ data: JSON.stringify(message) });
  say({ cursor: '2-b', snapshot: { patch: [{ op: 'replace', path: '/n', value: 2 }] } });
  say({ cursor: '3-c', snapshot: { patch: [{ op: 'remove', path: '/none' }] } });
  await turn();
  assert.deepEqual(said, ['n is 1', 'n is 2', 'n is 3']);
  assert.deepEqual(sockets.map(({ url }) => url.split('after=')[1]), ['1-a', '3-c']);
});

test('the program without the client can apply each patch of a state with members that fast-json-patch rejects in a path', async () => {
  const ltm = { fqn: 'app.Agent', key: 'thread-7' };
  await producer.create({ ...ltm, state: { n: 0 } });
  const append = (change) =>
    services.ask('POST', '/api/v0/ltm/by-key/app.Agent/thread-7/snapshots', { body: { reason: 'execute', ...JSON.parse(change) } });
  const said = [];
  let loads = 0;
  const sockets = [];
  class WebSocket extends Socket {
    constructor(url) {
      super(url);
      sockets.push(this);
    }
  }
  const code = here(block('try/plain.mjs')).replaceAll('ws://localhost:8000', services.url.replace('http', 'ws')).replace(/^import .*$/m, '');
  const counted = (...request) => (loads++, fetch(...request));
  const run = new Function('jsonpatch', 'fetch', 'WebSocket', 'console', 'setTimeout', code);
  run(jsonpatch, counted, WebSocket, { log: (...words) => said.push(words.join(' ')) }, (next) => setImmediate(next));
  const shows = (text) => until(() => said.at(-1) === text);
  await shows('n is 0');
  await until(() => sockets.at(-1)?.readyState === Socket.OPEN);
  const changes = [
    '{"merge": {"words": {"__proto__": {"polluted": true}}, "n": 1}}',
    '{"merge": {"words": {"constructor": {"prototype": {"polluted": true}}}, "n": 2}}',
    '{"merge": {"words": {"__proto__": {"more": 1}}, "n": 3}}',
    '{"state": {"words": {"the": 1}, "n": 4}}',
  ];
  for (const [n, change] of changes.entries()) {
    await append(change);
    await shows(`n is ${n + 1}`);
  }
  // A state with such a member at its top has no such patch.
  await assert.rejects(append('{"merge": {"__proto__": {"polluted": true}}}'), /422/);
  assert.equal(loads, 1);
  assert.equal({}.polluted, undefined);
  await producer.delete(ltm);
});
