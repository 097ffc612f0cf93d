// What the tests stand on: a real `ltm dev` with data of its own, a browser, and calls of the API.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { promisify } from 'node:util';
import { chromium } from 'playwright-core';

const root = new URL('../../../../', import.meta.url).pathname;
const binary = join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'debug/ltm');
const run = promisify(execFile);
const LIMIT = 20_000;

/** A file of the recordings. */
export const recording = (name) => join(root, 'tests/data', `${name}.json`);

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Runs `ltm`; gives what it prints. */
export async function ltm(...args) {
  return (await run(binary, args)).stdout;
}

/** Waits until `ask()` gives something true, and gives that. */
export async function until(what, ask) {
  const end = Date.now() + LIMIT;
  let last;
  while (Date.now() < end) {
    try {
      last = await ask();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${what} within ${LIMIT} ms; last: ${last?.stack ?? JSON.stringify(last)}`);
}

/** What runs still when a test fails ends with it. */
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill();
});

/** A service that can be killed and started again on its data. */
export class Service {
  static async start(settings = {}) {
    const service = new Service();
    service.data = mkdtempSync(join(tmpdir(), 'ltm-inspector-'));
    service.settings = settings;
    service.port = await freePort();
    service.url = `http://127.0.0.1:${service.port}`;
    await service.up();
    return service;
  }

  async up() {
    const args = ['dev', '--listen', `127.0.0.1:${this.port}`, '--data-dir', this.data];
    this.child = spawn(binary, args, { env: { ...process.env, ...this.settings }, stdio: ['ignore', 'ignore', 'pipe'] });
    running.add(this.child);
    // A test that fails leaves it behind; the process ends then, too, and ends it.
    this.child.unref();
    this.child.stderr.unref();
    this.log = '';
    this.child.stderr.on('data', (text) => (this.log = (this.log + text).slice(-20_000)));
    await until('ready', async () => (await fetch(`${this.url}/readyz`)).ok);
  }

  /** Ends it: SIGKILL at once, SIGTERM in order. */
  async down(signal = 'SIGTERM') {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    // Now the process has something to wait for.
    this.child.ref();
    this.child.kill(signal);
    await once(this.child, 'exit');
    running.delete(this.child);
  }

  async remove() {
    await this.down();
    rmSync(this.data, { recursive: true, force: true });
  }

  /** Plays a recording; gives the LTM's id, and the end of the play. */
  async play(name, ...args) {
    const child = spawn(binary, ['--url', this.url, '--json', 'play', recording(name), ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    const done = once(child, 'exit').then(([code]) => {
      if (code !== 0) throw new Error(`the play ended with ${code}`);
    });
    const [line] = await once(child.stdout, 'data');
    return { id: JSON.parse(String(line).split('\n')[0]).id, done };
  }

  async get(path) {
    const response = await fetch(`${this.url}/api/v0/${path}`);
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return response.json();
  }

  async post(path, body) {
    const response = await fetch(`${this.url}/api/v0/${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}

/** A browser; the pages that it opens tell what goes wrong in them. */
export async function openBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

/** Starts a service and a browser for the tests of a file, has `prepare` take them, and ends them after the tests. */
export function stand(prepare, { settings = {}, timeout = 180_000 } = {}) {
  let service;
  let browser;
  before(async () => {
    [service, browser] = await Promise.all([Service.start(settings), openBrowser()]);
    await prepare({ service, browser });
  }, { timeout });
  after(async () => {
    await browser?.close();
    await service?.remove();
  });
}

/** A page of its own; `page.wrong` collects errors, and what the content policy refused. */
export async function openPage(browser, address, { width = 1440, height = 900, theme = 'light', ...more } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, permissions: ['clipboard-read', 'clipboard-write'], ...more });
  if (process.env.LTM_INSPECTOR_ASSETS) await context.route((url) => /^\/(inspector|docs)\b/.test(url.pathname), fromFolder);
  const page = await context.newPage();
  page.setDefaultTimeout(LIMIT);
  page.wrong = [];
  page.on('pageerror', (error) => page.wrong.push(error.stack));
  page.on('console', (message) => {
    // That the service is away is what some tests want.
    if (message.type() === 'error' && !/Failed to load resource|WebSocket connection to/.test(message.text())) page.wrong.push(message.text());
  });
  await page.goto(address);
  return page;
}

const TYPES = { html: 'text/html', css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml', txt: 'text/plain' };

/** With `LTM_INSPECTOR_ASSETS=1`: what the page loads comes from the folder, not from the binary, with the headers of the service. */
async function fromFolder(route) {
  const { pathname, origin } = new URL(route.request().url());
  const [, folder, name = 'docs.html'] = pathname.split('/');
  const file = join(root, `crates/ltm-${folder}/assets`, name);
  if (route.request().method() !== 'GET' || !existsSync(file)) return route.fallback();
  const { headers } = await fetch(folder === 'docs' ? `${origin}/docs` : origin, { headers: { 'Accept-Encoding': 'identity' } });
  const kept = [...headers].filter(([key]) => !/^(content-length|etag)$/.test(key));
  return route.fulfill({ headers: { ...Object.fromEntries(kept), 'content-type': TYPES[name.split('.').at(-1)] }, body: readFileSync(file) });
}

/** What the page says that the state is. */
export async function shownState(page) {
  await page.getByRole('tab', { name: 'State' }).click();
  await page.getByRole('button', { name: 'Copy the state as JSON' }).click();
  return JSON.parse(await page.evaluate(() => navigator.clipboard.readText()));
}

/** Waits until the page says that it is live. */
export async function live(page) {
  await page.locator('.connection[data-connection="live"]').waitFor();
}

/** Waits until the page shows a snapshot: `7 of 22`, by its index and the last one. */
export async function at(page, text) {
  const [index, last] = text.replaceAll(',', '').split(' of ');
  const place = /^\d+$/.test(last) ? `[data-last="${last}"]` : '';
  await page.locator(`.where[data-index="${index}"]${place}`).waitFor();
  await page.locator('.ltm-view[aria-busy="false"]').waitFor();
  // Timeline, machine and open pane follow, each in a frame of its own.
  await page.locator('.ltm-view[data-drawn="true"]').waitFor();
}
