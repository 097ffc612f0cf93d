import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Service, live, openPage, stand, until } from '../stand/stand.js';

let service;
let browser;
stand((it) => ({ service, browser } = it));

/** The ids that the page shows, in order. */
const ids = (page) => page.$$eval('tbody tr', (rows) => rows.map((row) => row.dataset.id));
/** Waits until the page shows exactly these LTMs. */
const shows = (page, wanted) => until(`LTMs ${wanted}`, async () => (await ids(page)).join() === wanted.map(String).join());

test('the list shows what is there, and what comes', async () => {
  const page = await openPage(browser, `${service.url}/`);
  await live(page);
  const { id } = await service.post('ltm', { fqn: 'app.Fresh', name: 'a fresh one', state: { _status: 'finished' } });
  const row = page.locator(`tr[data-id="${id}"]`);
  await row.locator('.badge[data-status="finished"]').waitFor();
  assert.equal(await row.locator('.count').textContent(), '1');
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { _status: 'error' } });
  await row.locator('.badge[data-status="error"]').waitFor();
  const rows = await service.get('ltm');
  assert.equal(await page.locator('tbody tr').count(), rows.length);

  await page.getByLabel('Filter LTMs').fill('fresh');
  await until('the only one', async () => (await page.locator('tbody tr').count()) === 1);
  await page.getByLabel('Filter LTMs').press('Enter');
  await page.locator('.ltm-head h1', { hasText: 'a fresh one' }).waitFor();
  await page.getByRole('link', { name: 'All LTMs' }).click();
  await page.locator('tbody tr').first().waitFor();
  assert.equal(await page.getByLabel('Filter LTMs').inputValue(), 'fresh', 'the list is as it was left');
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('the list goes on after the service was killed, with what happened meanwhile', async () => {
  const page = await openPage(browser, `${service.url}/#/?fqn=app.Again`);
  await live(page);
  const { id } = await service.post('ltm', { fqn: 'app.Again', state: { _status: 'active' } });
  await page.locator(`tr[data-id="${id}"]`).waitFor();
  await service.down('SIGKILL');
  await page.locator('.connection[data-connection="reconnecting"]').waitFor();
  assert.equal(await page.locator('tbody tr').count(), 1, 'what was known is still there');
  await service.up();
  const later = await service.post('ltm', { fqn: 'app.Again', state: { _status: 'active' } });
  await page.locator(`tr[data-id="${later.id}"]`).waitFor();
  await live(page);
  const deleted = await fetch(`${service.url}/api/v0/ltm/${id}`, { method: 'DELETE' });
  assert.ok(deleted.ok);
  await page.locator(`tr[data-id="${id}"]`).waitFor({ state: 'detached' });
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('a long list has pages', async () => {
  for (let n = 0; n < 60; n += 1) await service.post('ltm', { fqn: 'app.Many', playground: true });
  const page = await openPage(browser, `${service.url}/#/?playground=1`);
  const first = page.locator('tbody tr').first();
  await first.waitFor();
  await until('the first page', async () => (await page.locator('tbody tr').count()) === 50);
  const newest = await first.getAttribute('data-id');
  await page.getByRole('button', { name: 'Older' }).click();
  await until('the second page', async () => (await page.locator('tbody tr').count()) === 10);
  await page.getByRole('button', { name: 'Newer' }).click();
  await until('the first page again', async () => (await first.getAttribute('data-id')) === newest);
  await page.context().close();
});

test('filters look at all LTMs, not only at those of the page, and are kept in the URL', async () => {
  const own = await Service.start();
  const make = async (body) => (await own.post('ltm', body)).id;
  const failed = await make({ fqn: 'app.research.Agent', name: 'Deep research of harbours', state: { _status: 'error' } });
  const waiting = await make({ fqn: 'app.research.Agent', name: 'tides', state: { _status: 'waiting_for_human' } });
  await own.post(`ltm/${waiting}/errors`, { id: crypto.randomUUID(), reason: 'execute', item: { fqn: 'x' }, retries: [], retrying: false, success: true });
  for (let n = 0; n < 60; n += 1) await make({ fqn: 'app.Bulk', name: `bulk ${n}`, state: { _status: 'finished' } });
  const page = await openPage(browser, own.url);
  await live(page);
  assert.ok(!(await ids(page)).includes(String(failed)), 'it is not on the first page');
  const chip = (name) => page.locator('.chips').getByRole('button', { name });
  await until('counts', async () => /62/.test(await chip(/^All/).textContent()));
  assert.match(await page.locator('.list-foot .tally').textContent(), /^50 of 62 LTMs$/);

  await page.getByLabel('Filter LTMs').fill('deep harb');
  await shows(page, [failed]);
  await until('the URL', () => page.url().endsWith('#/?q=deep+harb'));
  await page.getByLabel('Filter LTMs').fill('');
  await page.getByLabel('Class', { exact: true }).fill('app.research.*');
  await shows(page, [waiting, failed]);
  await chip(/^error/).click();
  await shows(page, [failed]);
  await chip(/^waiting_for_human/).click();
  await shows(page, [waiting, failed]);
  assert.equal(await page.locator('.badge[data-status="other"]', { hasText: 'waiting_for_human' }).count(), 1, 'an unknown status is shown as it is');
  await page.getByRole('button', { name: 'With errors' }).click();
  await shows(page, [waiting]);

  const kept = await until('the URL', () => /errors=1/.test(page.url()) && page.url());
  await page.goto('about:blank');
  await page.goto(kept);
  await shows(page, [waiting]);
  assert.equal(await page.getByLabel('Class', { exact: true }).inputValue(), 'app.research.*');
  await chip(/^error/).click();
  await chip(/^waiting_for_human/).click();
  await chip(/^finished/).click();
  await page.locator('.notice', { hasText: 'Nothing matches' }).waitFor();
  await page.getByRole('button', { name: 'Clear the filters' }).click();
  await until('all again', async () => (await ids(page)).length === 50);
  await until('the URL of all', () => !page.url().includes('?'));
  assert.deepEqual(page.wrong, []);
  await page.context().close();
  await own.remove();
});

test('a time range shows what changed or was created in it', async () => {
  const day = 86_400_000;
  const at = (ago) => new Date(Date.now() - ago).toISOString();
  const make = async (name, time) => (await service.post('ltm', { fqn: 'app.Timed', name, time, state: {} })).id;
  const [old, recent] = [await make('old', at(20 * day)), await make('recent', at(3 * day))];
  const page = await openPage(browser, `${service.url}/#/?fqn=app.Timed&since=7d`);
  await shows(page, [recent]);
  await page.getByLabel('When', { exact: true }).selectOption('30d');
  await shows(page, [recent, old]);
  await page.getByLabel('When', { exact: true }).selectOption('custom');
  await page.getByLabel('To', { exact: true }).fill(at(10 * day).slice(0, 16));
  await page.getByLabel('To', { exact: true }).press('Enter');
  await shows(page, [old]);
  await service.post(`ltm/${old}/snapshots`, { reason: 'execute', merge: { n: 1 } });
  await page.locator('.notice', { hasText: 'Nothing matches' }).waitFor();
  await page.getByLabel('Which time').selectOption('created');
  await shows(page, [old]);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('a time range up to now moves on while the page is open', async () => {
  const minutes = (ago) => new Date(Date.now() - ago * 60_000).toISOString();
  const make = async (name, ago) => (await service.post('ltm', { fqn: 'app.Aging', name, time: minutes(ago), state: {} })).id;
  const [old, recent] = [await make('old', 55), await make('recent', 5)];
  const page = await openPage(browser, 'about:blank');
  await page.clock.install();
  await page.goto(`${service.url}/#/?fqn=app.Aging&since=1h`);
  await shows(page, [recent, old]);
  await live(page);
  await page.clock.fastForward(6 * 60_000);
  await shows(page, [recent]);
  const later = await make('later', 0);
  await shows(page, [later, recent]);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('a list that changes all the time has new counts, too', async () => {
  const { id } = await service.post('ltm', { fqn: 'app.Restless', state: { _status: 'active' } });
  const page = await openPage(browser, `${service.url}/#/?fqn=app.Restless`);
  await shows(page, [id]);
  const chip = (word) => page.locator('.chips').getByRole('button', { name: new RegExp(`^${word}`) });
  await until('counts', async () => /\d/.test(await chip('All').textContent()));
  const state = { counted: false };
  const changes = (async () => {
    for (let n = 0; !state.counted; n += 1) await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { n } });
  })();
  await service.post('ltm', { fqn: 'app.Other', state: { _status: 'restless_word' } });
  try {
    await until('the new status', async () => /1/.test(await chip('restless_word').textContent({ timeout: 1000 })));
  } finally {
    state.counted = true;
    await changes;
  }
  await page.context().close();
});

test('an LTM enters and leaves a filtered list as its status changes', async () => {
  const { id } = await service.post('ltm', { fqn: 'app.Moving', state: { _status: 'active' } });
  const page = await openPage(browser, `${service.url}/#/?fqn=app.Moving&status=error`);
  await live(page);
  await page.locator('.notice').waitFor();
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { _status: 'error' } });
  await shows(page, [id]);
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { _status: 'active' } });
  await shows(page, []);
  await page.context().close();
});

test('after many changes no row is stale', async () => {
  const made = [];
  for (let n = 0; n < 20; n += 1) made.push((await service.post('ltm', { fqn: 'app.Busy', name: `busy ${n}`, state: { _status: 'active' } })).id);
  const page = await openPage(browser, `${service.url}/#/?fqn=app.Busy`);
  await shows(page, made.toReversed());
  await page.evaluate(() => {
    globalThis.longest = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((it) => (globalThis.longest = Math.max(globalThis.longest, it.duration)))).observe({ type: 'longtask' });
  });
  const word = (n) => ['active', 'finished', 'error', 'queued'][n % 4];
  await Promise.all(made.map(async (id, i) => {
    for (let n = 0; n < 15; n += 1) await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { _status: word(n + i), n } });
  }));
  const rows = await service.get('ltm?fqn=app.Busy');
  const wanted = rows.map(({ id, status, snapshots_count: count }) => `${id} ${status} ${count}`);
  await until('what the API says', async () => {
    const shown = await page.$$eval('tbody tr', (all) => all.map((row) => `${row.dataset.id} ${row.querySelector('.badge').innerText.trim()} ${row.querySelector('.count').textContent}`));
    return shown.join() === wanted.join();
  });
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('names of any length leave every column in the window', async () => {
  const { id } = await service.post('ltm', { fqn: `app.${'deep.'.repeat(20)}Agent`, name: 'word '.repeat(60), state: { _status: 'waiting_for_somebody_to_say_something' } });
  for (const width of [1440, 1024, 800, 390]) {
    const page = await openPage(browser, service.url, { width });
    await page.locator(`tr[data-id="${id}"]`).waitFor();
    const [inner, outer] = await page.locator('.list-body').evaluate((element) => [element.scrollWidth, element.clientWidth]);
    assert.ok(inner <= outer, `${inner} in ${outer} at ${width}`);
    const { width: name } = await page.locator(`tr[data-id="${id}"] .name`).boundingBox();
    assert.ok(name > 120, `the name has ${name} at ${width}`);
    await page.context().close();
  }
});

test('a list is live without WebSockets, too', async () => {
  const page = await openPage(browser, 'about:blank');
  await page.addInitScript(() => delete globalThis.WebSocket);
  await page.goto(`${service.url}/#/?fqn=app.Streamed`);
  await live(page);
  const { id } = await service.post('ltm', { fqn: 'app.Streamed', state: { _status: 'active' } });
  await shows(page, [id]);
  await page.locator('.name').click();
  await live(page);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('without a gateway the page says so, and shows what the API says', async () => {
  const { id } = await service.post('ltm', { fqn: 'app.Alone', state: { _status: 'active' } });
  const page = await openPage(browser, 'about:blank');
  await page.route(/\/(ws|sse)\//, (route) => route.fulfill({ status: 404, contentType: 'application/problem+json', body: '{}' }));
  await page.routeWebSocket(/\/ws\//, (socket) => socket.close());
  await page.goto(`${service.url}/#/?fqn=app.Alone`);
  await page.locator('.banner', { hasText: 'without a gateway' }).waitFor();
  await shows(page, [id]);
  await page.locator('.connection', { hasText: 'Not live' }).waitFor();
  await page.context().close();
});
