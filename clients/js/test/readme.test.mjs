// The README says what is so: its snippets run, and its numbers are those of today.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { build } from 'esbuild';
import { Producer } from '../dist/index.js';
import { size } from '../scripts/size.mjs';
import { Browser } from './support/browser.mjs';
import { Services } from './support/services.mjs';
import { until } from './support/until.mjs';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const blocks = [...readme.matchAll(/```(\w+)\n([^]*?)```/g)].map(([, language, text]) => ({ language, text }));
// Within the package, so that its name means itself.
const folder = fileURLToPath(new URL('readme/', import.meta.url));
const read = ['follow.mjs', 'read.mjs', 'many.mjs', 'list.mjs', 'reader.mjs', 'write.mjs', 'text.mjs', 'agui.mjs', 'react.jsx', 'vue.mjs', 'svelte.mjs'];
const typed = ['types.ts', 'page.tsx', 'agent-view.tsx'];

let services;
let producer;

before(async () => {
  mkdirSync(folder, { recursive: true });
  services = await Services.start();
  producer = new Producer(services.url);
  // The one that the snippets follow.
  assert.equal((await producer.create({ fqn: 'app.Agent', state: { n: 0 } })).id, '1');
});
after(async () => {
  await services.stop();
  rmSync(folder, { recursive: true });
});

const here = (text) => text.replaceAll('http://localhost:8000', services.url);

/** A snippet, written down under the name that it begins with. */
function snippet(name) {
  const { text } = blocks.find(({ text }) => text.startsWith(`// ${name}\n`));
  writeFileSync(`${folder}/${name}`, here(text));
  return `${folder}/${name}`;
}

/** Runs a snippet; `said` is what it has printed. */
function start(name, path = snippet(name)) {
  const { LTM_TOKEN: _, ...env } = process.env;
  const child = spawn(process.execPath, [path], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const running = { child, said: '', exited: new Promise((resolve) => child.once('exit', resolve)) };
  child.stdout.setEncoding('utf8').on('data', (text) => (running.said += text));
  return running;
}

test('every snippet is run here', () => {
  const code = blocks.filter(({ language }) => !['sh', 'text'].includes(language));
  const names = code.map(({ language, text }) => (language === 'html' ? 'html' : /^\/\/ (.*)\n/.exec(text)[1]));
  assert.deepEqual(names.sort(), [...read, ...typed, 'html'].sort());
});

test('five minutes lead to live state', async () => {
  const { text } = blocks.find(({ language }) => language === 'text');
  const running = start('follow.mjs');
  await until(() => running.said.length >= text.length);
  assert.ok(running.said.startsWith(text), running.said);
  running.child.kill();
});

test('each of many LTMs is told about', async () => {
  const running = start('many.mjs');
  const [, text] = /\/\/ many\.mjs\n[^]*?```\n\n```text\n([^]*?)```/.exec(readme);
  // Which comes first is open.
  const lines = (text) => text.split('\n').filter(Boolean).sort();
  await until(() => lines(running.said).length >= 3);
  assert.deepEqual(lines(running.said), lines(text));
  running.child.kill();
});

test('a list shows its rows, and a reader reads', async () => {
  const list = start('list.mjs');
  await until(() => /^live \[.*'1 null'.*\] null$/m.test(list.said));
  list.child.kill();
  const reader = start('reader.mjs');
  assert.equal(await reader.exited, 0);
  assert.match(reader.said, /^1 null\n/m);
});

test('the snippets in TypeScript hold strictly, and run', async () => {
  const paths = typed.map(snippet);
  const compilerOptions = { noEmit: true, jsx: 'react-jsx', module: 'esnext', moduleResolution: 'bundler', rootDir: '../..', types: [] };
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify({ extends: '../../tsconfig.json', compilerOptions, include: ['.'] }));
  const tsc = spawn(fileURLToPath(new URL('../node_modules/.bin/tsc', import.meta.url)), ['-p', folder], { stdio: 'inherit' });
  assert.equal(await new Promise((resolve) => tsc.once('exit', resolve)), 0);
  const { id } = await producer.create({ fqn: 'app.Typed', state: { todo: ['x'] } });
  const banner = { js: `import Socket from 'ws'; globalThis.WebSocket ??= Socket;` };
  const outfile = `${folder}/types.built.mjs`;
  await build({ entryPoints: [paths[0]], outfile, bundle: true, format: 'esm', packages: 'external', banner });
  writeFileSync(outfile, readFileSync(outfile, 'utf8').replace(/, 1\)/, `, ${id})`));
  const running = start('types.ts', outfile);
  await until(() => running.said.includes('1 to do (live)'));
  running.child.kill();
});

test('changes are read until it is done', async () => {
  const running = start('read.mjs');
  // It may begin at any of these.
  await until(async () => {
    await producer.append(1, { reason: 'execute', merge: { again: Math.random() } });
    return running.said.includes('execute');
  });
  await producer.rollback(1, { snapshot: { index: 0 } });
  await until(() => running.said.includes('back to 0'));
  await producer.append(1, { reason: 'execute', merge: { done: true } });
  assert.equal(await running.exited, 0);
  assert.match(running.said, /closed\n$/);
});

test('what is written is there', async () => {
  const running = start('write.mjs');
  assert.equal(await running.exited, 0);
  assert.match(running.said, /^cursor-mismatch 412 /);
});

test('a text that is streamed is whole in the end', async () => {
  const running = start('text.mjs');
  assert.equal(await running.exited, 0);
  assert.equal(running.said, 'Harbours are safe.\nHarbours are \n');
});

test('an agent of AG-UI reads a thread', async () => {
  const state = { _status: 'finished', _messages: [{ id: '1', role: 'user', content: 'hi' }] };
  await producer.create({ fqn: 'app.Chat', key: 'chat-1', state });
  const running = start('agui.mjs');
  assert.equal(await running.exited, 0);
  assert.equal(running.said, 'finished\n1 messages\n');
});

test('a store calls', async () => {
  const running = start('svelte.mjs');
  const { state } = await services.document(1);
  await until(() => Object.keys(state).every((key) => running.said.includes(key)));
  running.child.kill();
});

test('pages show the state', async () => {
  const { text: html } = blocks.find(({ language }) => language === 'html');
  const component = snippet('react.jsx');
  const contents = `
    import { createElement } from 'react';
    import { createRoot } from 'react-dom/client';
    import { Agent } from '${component}';
    createRoot(document.body).render(createElement(Agent, { id: 1 }));
  `;
  const vueContents = `
    import { createApp } from 'vue';
    import { Agent } from '${snippet('vue.mjs')}';
    createApp(Agent, { id: 1 }).mount(document.body);
  `;
  const define = { 'process.env.NODE_ENV': '"production"' };
  const vue = await build({ stdin: { contents: vueContents, resolveDir: folder }, bundle: true, write: false, format: 'esm', define });
  const stdin = { contents, resolveDir: folder };
  const react = await build({ stdin, bundle: true, write: false, format: 'esm', jsx: 'automatic', define });
  const browser = await Browser.start({
    'react.js': react.outputFiles[0].text,
    'vue.js': vue.outputFiles[0].text,
    'vue.html': '<!doctype html><body></body><script type="module" src="/vue.js"></script>',
    'page.html': here(html),
    'react.html': '<!doctype html><body></body><script type="module" src="/react.js"></script>',
  });
  const { state } = await services.document(1);
  for (const name of ['page.html', 'react.html', 'vue.html']) {
    const page = await browser.context.newPage();
    await page.goto(`${browser.url}${name}`);
    await page.waitForFunction((text) => /^live\b/.test(document.body.innerText) && document.body.innerText.includes(text), JSON.stringify(state));
  }
  await browser.stop();
});

test('its size is what it says', () => {
  for (const [said, file] of [[/(\d\.\d) KiB gzipped/, 'ltm-live.min.js'], [/is (\d\.\d) KiB\./, 'ltm-live.all.min.js']]) {
    const bytes = size(file);
    assert.ok(Math.abs(Number(said.exec(readme)[1]) - bytes / 1024) < 0.1, `${file}: ${bytes} bytes`);
  }
});

test('types hold', async () => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const child = spawn(`${root}/node_modules/.bin/tsc`, ['-p', `${root}/test/tsconfig.json`], { stdio: 'inherit' });
  assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 0);
});
