// The Python engine writes each step once, whatever happens to its calls or to the engine.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { Proxy } from '../../clients/js/test/support/proxy.mjs';
import { Services } from '../../clients/js/test/support/services.mjs';
import { until } from '../../clients/js/test/support/until.mjs';
import { lines, run } from './support/readme.mjs';

const cwd = fileURLToPath(new URL('../python/', import.meta.url));
let services;

before(async () => {
  services = await Services.start();
  // Stands for the LTM that `make run` fills with a history.
  await services.ask('POST', '/api/v0/ltm', { body: { fqn: 'app.Agent' } });
});
after(() => services?.stop());

/** Starts the engine; `said` is its output so far. */
function start(url, ...args) {
  const env = { ...process.env, LTM_URL: url };
  const child = spawn('python3', ['engine.py', ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const running = { child, said: '', told: '' };
  running.exited = new Promise((resolve) => child.once('close', resolve));
  child.stdout.setEncoding('utf8').on('data', (text) => (running.said += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (running.told += text));
  return running;
}

const create = async (todo) =>
  String((await services.ask('POST', '/api/v0/ltm', { body: { fqn: 'examples.Engine', state: { todo, done: [] } } })).id);

/** Checks that all tasks are done once, in order. */
async function done(id, tasks) {
  const { state, snapshots_count: count } = await services.ask('GET', `/api/v0/ltm/${id}`);
  assert.deepEqual(state, { todo: [], done: tasks.map((task) => ({ task, result: `${task} is done` })) });
  assert.equal(count, tasks.length + 1);
}

test('the commands of its README process their lists', async () => {
  const said = [];
  for (const command of lines('examples/python/README.md')) {
    said.push(await run('python', command, services.url));
  }
  assert.deepEqual(said, ['LTM 2\n1 plan\n2 write\n3 check\n', 'LTM 3\n1 read\n2 sum\n', '']);
  await done(2, ['plan', 'write', 'check']);
  await done(3, ['read', 'sum']);
});

test('each step lands once if connections are cut after any number of bytes', async () => {
  const tasks = ['a', 'b', 'c'];
  const proxy = await Proxy.start(services.url);
  let cuts = 0;
  for (let bytes = 1, cut = true; cut; bytes += 250) {
    const [latest] = await services.ask('GET', '/api/v0/ltm?limit=1');
    proxy.cutAfter(bytes);
    const engine = start(proxy.url, ...tasks);
    assert.equal(await engine.exited, 0, engine.told);
    const id = Number(/^LTM (\d+)/.exec(engine.said)[1]);
    await done(id, tasks);
    // It has created one LTM, even if the answer to that call was lost.
    const [made, before] = await services.ask('GET', '/api/v0/ltm?limit=2');
    assert.deepEqual([made.id, before.id], [id, latest.id]);
    cut = proxy.wasCut;
    cuts += cut;
  }
  assert.ok(cuts > 5, `${cuts} cuts`);
  await proxy.stop();
});

test('another engine takes over from a killed one, and each step lands once', async () => {
  const tasks = Array.from({ length: 50 }, (_, n) => `task ${n}`);
  const id = await create(tasks);
  for (let killed = 0; killed < 3; killed++) {
    const engine = start(services.url, '--ltm', id, '--epoch', String(killed));
    await until(() => engine.said.includes('\n'));
    engine.child.kill('SIGKILL');
    await engine.exited;
  }
  const last = start(services.url, '--ltm', id, '--epoch', '3');
  assert.equal(await last.exited, 0, last.told);
  await done(id, tasks);
});

test('a replaced engine is fenced', async () => {
  const id = await create(['a', 'b']);
  assert.equal(await start(services.url, '--ltm', id, '--epoch', '7').exited, 0);
  await services.ask('POST', `/api/v0/ltm/${id}/rollback`, { body: { snapshot: { index: 0 } } });
  const older = start(services.url, '--ltm', id, '--epoch', '6');
  assert.equal(await older.exited, 3);
  assert.match(older.told, /^fenced: /);
  // The newer one continues after the rollback: its new steps have other keys than its old ones.
  assert.equal(await start(services.url, '--ltm', id, '--epoch', '7').exited, 0);
  await done(id, ['a', 'b']);
});

test('if another program has written, the engine reads the state again', async () => {
  const id = await create(['a', 'b']);
  const proxy = await Proxy.start(services.url);
  let other;
  let written = false;
  // The other write lands between the engine's read and its write.
  proxy.refuses = (data) => {
    if (written || !data.includes('POST ')) return false;
    const body = { reason: 'other', merge: { todo: ['b'] } };
    other ??= services.ask('POST', `/api/v0/ltm/${id}/snapshots`, { body }).then(() => (written = true));
    return true;
  };
  const engine = start(proxy.url, '--ltm', id);
  assert.equal(await engine.exited, 0, engine.told);
  await other;
  const { state } = await services.ask('GET', `/api/v0/ltm/${id}`);
  assert.deepEqual(state, { todo: [], done: [{ task: 'b', result: 'b is done' }] });
  await proxy.stop();
});
