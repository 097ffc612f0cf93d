import assert from 'node:assert/strict';
import { test } from 'node:test';

import { at, live, openPage, shownState, stand, until } from '../stand/stand.js';

let service;
let browser;
stand((it) => ({ service, browser } = it));

/** The statuses that the picture shows, by the names of the states. */
function statuses(page) {
  return page.$$eval('.node[data-status]', (nodes) => Object.fromEntries(nodes.map((node) => [node.querySelector('.name').textContent, node.dataset.status])));
}

test('while a history plays, the page follows it, and ends in what the API says', async () => {
  const { id, done } = await service.play('tutorial', '--speed', '0.15');
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  await live(page);
  await page.evaluate(() => {
    const where = document.querySelector('.where');
    globalThis.seen = new Set();
    new MutationObserver(() => globalThis.seen.add(where.textContent)).observe(where, { childList: true, characterData: true, subtree: true });
  });
  await done;
  const document = await service.get(`ltm/${id}`);
  await at(page, '22 of 22');
  const seen = await page.evaluate(() => [...globalThis.seen]);
  assert.ok(seen.length > 3, `it was seen to move: ${seen}`);
  assert.deepEqual(await shownState(page), document.state);
  const shown = await statuses(page);
  for (const name of ['idle', 'writing_story', 'update_instructions', 'waiting_for_instructions']) assert.equal(shown[name], document.state[name]._status, name);
  assert.equal(await page.locator('.step').last().getAttribute('aria-setsize'), '23');
  assert.match(await page.locator('.ltm-head h1').textContent(), /bedtime_story_writer_2/);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('the service is killed and started again, and the page goes on where it was', async () => {
  const { id, done } = await service.play('lists', '--speed', 'max');
  await done;
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  await live(page);
  await at(page, '44 of 44');
  await service.down('SIGKILL');
  await page.locator('.connection[data-connection="reconnecting"]').waitFor();
  await page.locator('.banner', { hasText: 'connection is lost' }).waitFor();
  await service.up();
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { after: 'the restart' } });
  await at(page, '45 of 45');
  await live(page);
  assert.equal((await shownState(page)).after, 'the restart');
  assert.deepEqual(await shownState(page), (await service.get(`ltm/${id}/state`)).state);
  await page.context().close();
});

test('a rollback, and undoing it, show the history that there is then', async () => {
  const { id, done } = await service.play('lists', '--speed', 'max');
  await done;
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?at=30`);
  await live(page);
  await at(page, '30 of 44');
  await service.post(`ltm/${id}/rollback`, { snapshot: { index: 5 } });
  await at(page, '5 of 5');
  await page.locator('.toast', { hasText: 'Rolled back' }).waitFor();
  assert.deepEqual(await shownState(page), (await service.get(`ltm/${id}/state`)).state);
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { other: 'way' } });
  await at(page, '6 of 6');
  assert.deepEqual(await shownState(page), (await service.get(`ltm/${id}/state`)).state);
  await service.post(`ltm/${id}/rollback`, { rollback: { index: 0 } });
  await at(page, '44 of 44');
  assert.deepEqual(await shownState(page), (await service.get(`ltm/${id}/state`)).state);
  await page.getByRole('tab', { name: 'Rollbacks' }).click();
  const first = page.locator('.rollbacks .card').nth(1);
  await first.locator('summary', { hasText: '45 snapshots' }).click();
  await first.locator('.mini-steps li').nth(44).waitFor();
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('an error is shown, and what became of it', async () => {
  const { id } = await service.post('ltm', { fqn: 'app.Flaky' });
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=errors`);
  await live(page);
  const error = { id: crypto.randomUUID(), reason: 'execute', item: { fqn: 'flaky' }, retries: [{ time: '2026-11-23T18:19:28Z', type: 'RuntimeError', description: 'it broke', details: 'Traceback' }], retrying: true, success: false };
  await service.post(`ltm/${id}/errors`, error);
  await page.locator('.errors .badge', { hasText: 'retrying' }).waitFor();
  await page.locator('.errors .said', { hasText: 'RuntimeError: it broke' }).waitFor();
  await service.post(`ltm/${id}/errors`, { id: error.id, retrying: false, success: true });
  await page.locator('.errors .badge', { hasText: 'recovered' }).waitFor();
  assert.equal(await page.locator('.errors .card').count(), 1);
  await page.context().close();
});

test('a deleted LTM says so, and one that is not there too', async () => {
  const { id } = await service.post('ltm', { fqn: 'app.Gone' });
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  await live(page);
  await fetch(`${service.url}/api/v0/ltm/${id}`, { method: 'DELETE' });
  await page.locator('.banner', { hasText: 'was deleted' }).waitFor();
  await page.goto(`${service.url}/#/ltm/987654`);
  await page.locator('.notice').waitFor();
  assert.match(await page.locator('.notice').textContent(), /987654/);
  await page.context().close();
});

/** An LTM, and what appends steps with these names to it; then the page shows the last one. */
async function growing() {
  const { id } = await service.post('ltm', { fqn: 'app.Agent', name: 'agent', state: { n: 0 } });
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  await live(page);
  let sent = 0;
  const append = async (names) => {
    const step = (name) => ({ reason: 'execute', item: { fqn: `agent.${name}` }, merge: { n: (sent += 1) } });
    await service.post(`ltm/${id}/snapshots`, { snapshots: names.map(step) });
    await at(page, `${sent} of ${sent}`);
  };
  const shows = (name) => until(`${name} is in view`, () => page.evaluate((title) => {
    const row = [...document.querySelectorAll('.step')].find((it) => it.querySelector('.title').textContent === title)?.getBoundingClientRect();
    const box = document.querySelector('.steps').getBoundingClientRect();
    return row !== undefined && row.top >= box.top && row.bottom <= box.bottom;
  }, name));
  return { page, append, shows };
}

const names = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => `step_${from + n}`);

test('the timeline follows the latest snapshot; after a scroll it stays until a click on Latest', async () => {
  const { page, append, shows } = await growing();
  for (const [from, to] of [[1, 3], [4, 100], [101, 160]]) {
    await append(names(from, to));
    await shows(`step_${to}`);
  }
  // A smaller window is no scroll.
  await page.setViewportSize({ width: 1440, height: 600 });
  await append(names(161, 200));
  await shows('step_200');
  await page.locator('.steps').evaluate((element) => (element.scrollTop = 46 * 20));
  await shows('step_25');
  await append(names(201, 240));
  await shows('step_25');
  await page.getByRole('button', { name: 'Latest' }).click();
  await shows('step_240');
  await append(names(241, 245));
  await shows('step_245');
  await page.context().close();
});

test('with a filter, the timeline follows the last step that matches, and Latest shows it', async () => {
  const { page, append, shows } = await growing();
  await append(names(1, 60));
  await page.getByLabel('Filter steps').fill('step');
  await shows('step_60');
  await append([...names(61, 65), 'other']);
  await append([...names(66, 70), 'other']);
  await shows('step_70');
  await page.locator('.steps').evaluate((element) => (element.scrollTop = 0));
  await shows('step_1');
  await page.getByRole('button', { name: 'Latest' }).click();
  await shows('step_70');
  await page.context().close();
});
