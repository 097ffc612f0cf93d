// Looks for long tasks of the page while 200 snapshots a second arrive, and while the list shows 100,000 LTMs.
//
//   npm run longtasks            both
//   npm run longtasks -- run     one LTM that 200 snapshots a second reach
//   npm run longtasks -- list    the list of 100,000 LTMs, while 200 of them a second change
//
// Fails if a task takes more than 50 ms of the CPU, or more than 100 ms if the CPU is four times slower.

import { Service, at, live, openBrowser, openPage } from '../tests/stand/stand.js';

const PER_SECOND = 200;
const SECONDS = Number(process.env.SECONDS ?? 10);
const LTMS = Number(process.env.LTMS ?? 100_000);
const SPEEDS = [[1, 50], [4, 100]];
/** How many snapshots a call appends: the gateway still sends each in a message of its own. */
const BATCH = 10;
/** The rows of a page of the list. */
const ROWS = 50;
/** The parts of the longest task that are named. */
const MOST_PARTS = 6;

const wanted = process.argv[2];
const [service, browser] = await Promise.all([Service.start(), openBrowser()]);
let failed = false;

/** The tasks of more than 50 ms on the page while `work` runs, at a CPU that is so many times slower. */
async function measured(name, page, work) {
  const cdp = await page.context().newCDPSession(page);
  for (const [slower, most] of SPEEDS) {
    await cdp.send('Emulation.setCPUThrottlingRate', { rate: slower });
    await page.evaluate(() => {
      globalThis.long = [];
      globalThis.watch = new PerformanceObserver((list) => globalThis.long.push(...list.getEntries().map((it) => Math.round(it.duration))));
      globalThis.watch.observe({ type: 'longtask' });
    });
    await browser.startTracing(page, { categories: ['devtools.timeline', 'disabled-by-default-devtools.timeline'] });
    const sent = await work();
    const long = await page.evaluate(async () => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      globalThis.watch.disconnect();
      return globalThis.long;
    });
    const tasks = tasksIn(await browser.stopTracing());
    const task = tasks.reduce((a, b) => (b.cpu > a.cpu ? b : a), { cpu: 0, parts: new Map() });
    const longest = task.cpu;
    failed ||= longest > most;
    console.log(`${name}, CPU ${slower} times slower: ${sent}; ${tasks.filter(({ cpu }) => cpu > 50).length} tasks of more than 50 ms of CPU, the longest ${longest.toFixed(0)} ms, of at most ${most} ms${longest > most ? ': TOO LONG' : ''} (by the clock: ${long.length}, ${Math.max(0, ...long)} ms); in it, in ms: ${partsOf(task)}`);
  }
}

/** The tasks of the pages in a trace: how much time of the CPU each took, and for what. Other programs of the machine do not count. */
function tasksIn(trace) {
  const { traceEvents: events } = JSON.parse(trace);
  const mains = new Set(events.filter((it) => it.name === 'thread_name' && it.args.name === 'CrRendererMain').map((it) => `${it.pid}:${it.tid}`));
  const tasks = [];
  const open = new Map();
  for (const event of events.filter((it) => it.ph === 'X' && it.dur !== undefined && mains.has(`${it.pid}:${it.tid}`)).sort((a, b) => a.ts - b.ts || b.dur - a.dur)) {
    const thread = `${event.pid}:${event.tid}`;
    const around = (open.get(thread) ?? []).filter((it) => it.end > event.ts);
    open.set(thread, around);
    const cpu = (event.tdur ?? event.dur) / 1000;
    const piece = { end: event.ts + event.dur, name: event.name, parts: around[0]?.parts ?? new Map() };
    const count = (name, ms) => piece.parts.set(name, (piece.parts.get(name) ?? 0) + ms);
    // What a piece of work took without the pieces within it.
    if (around.length > 0) count(around.at(-1).name, -cpu);
    else if (event.name !== 'RunTask') continue;
    else tasks.push({ cpu, parts: piece.parts });
    count(event.name, cpu);
    around.push(piece);
  }
  return tasks;
}

/** The largest parts of a task, in words. */
function partsOf({ parts }) {
  const largest = [...parts].sort((a, b) => b[1] - a[1]).filter(([, ms]) => ms >= 1);
  return largest.slice(0, MOST_PARTS).map(([name, ms]) => `${name} ${ms.toFixed(0)}`).join(', ');
}

/** Calls `send(n)` for each batch, at an even pace; says how many snapshots a second that were. */
async function paced(send) {
  const begin = performance.now();
  const batches = (PER_SECOND / BATCH) * SECONDS;
  for (let n = 0; n < batches; n += 1) {
    const due = begin + (n * 1000 * BATCH) / PER_SECOND;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
    await send(n);
  }
  const seconds = (performance.now() - begin) / 1000;
  return `${Math.round((batches * BATCH) / seconds)} snapshots a second for ${Math.round(seconds)} s`;
}

async function run() {
  const machine = { name: 'agent', fqn: 'agent', init: ['plan'], ltms: ['plan', 'search', 'write', 'review'].map((name) => ({ name, fqn: `agent.${name}` })), transitions: [['plan', 'search'], ['search', 'write'], ['write', 'review'], ['review', 'write']].map(([from, to]) => ({ from, to, label: to, namespace: 'agent' })) };
  const states = ['plan', 'search', 'write', 'review'];
  for (const tab of ['state', 'messages', 'waterfall', 'changes']) {
    const { id } = await service.post('ltm', { fqn: 'agent', name: 'agent', structure: machine, state: { _status: 'active', n: 0, log: [], messages: [{ role: 'user', content: 'Go.' }, { role: 'assistant', content: { chunks: [] } }], plan: { _status: 'init' }, search: { _status: 'init' }, write: { _status: 'init' }, review: { _status: 'init' } } });
    const step = (n) => {
      const name = states[n % 4];
      const patch = [{ op: 'replace', path: `/${name}/_status`, value: n % 8 < 4 ? 'active' : 'finished' }, { op: 'replace', path: '/n', value: n }, { op: 'add', path: '/messages/1/content/chunks/-', value: `token ${n} ` }];
      if (n % 20 === 0) patch.push({ op: 'add', path: '/log/-', value: { line: n } });
      return { reason: n % 3 ? 'execute' : 'transition', item: { fqn: `agent.${name}` }, patch };
    };
    const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=${tab}`);
    await live(page);
    await at(page, '0 of 0');
    let sent = 0;
    await measured(`a run (${tab})`, page, () => paced(() => service.post(`ltm/${id}/snapshots`, { snapshots: Array.from({ length: BATCH }, () => step((sent += 1))) })));
    await at(page, `${sent} of ${sent}`);
    await page.context().close();
  }
}

/** Creates many LTMs, so many calls at a time. */
async function create() {
  let made = 0;
  const begin = performance.now();
  await Promise.all(Array.from({ length: 32 }, async () => {
    while (made < LTMS) {
      const n = (made += 1);
      await service.post('ltm', { fqn: `app.Agent${n % 7}`, name: `run ${n}`, state: { _status: ['active', 'finished', 'error', 'queued'][n % 4] } });
      if (n % 10_000 === 0) console.log(`${n} LTMs after ${Math.round((performance.now() - begin) / 1000)} s`);
    }
  }));
}

async function list() {
  await create();
  const page = await openPage(browser, service.url);
  await live(page);
  await page.locator('tbody tr[data-id]').nth(ROWS - 1).waitFor();
  const ids = await page.locator('tbody tr[data-id]').evaluateAll((rows) => rows.map((it) => it.dataset.id));
  await measured(`a list of ${LTMS} LTMs`, page, () => paced((n) => Promise.all(Array.from({ length: BATCH }, (_, i) => service.post(`ltm/${ids[(n * BATCH + i) % ids.length]}/snapshots`, { reason: 'execute', merge: { _status: n % 2 ? 'active' : 'finished' } })))));
  // Filters and pages, as a user does.
  await measured(`a list of ${LTMS} LTMs, filtered and paged`, page, async () => {
    for (const hash of ['#/?status=error', '#/?q=run+77', '#/?fqn=app.Agent3', '#/?status=error&fqn=app.Agent3', '#/?before=50000', '#/']) {
      await page.goto(`${service.url}/${hash}`);
      await live(page);
      await page.locator('tbody tr[data-id]').first().waitFor();
    }
    return 'six filters';
  });
}

try {
  if (wanted !== 'list') await run();
  if (wanted !== 'run') await list();
} finally {
  await browser.close();
  await service.remove();
}
process.exitCode = failed ? 1 : 0;
