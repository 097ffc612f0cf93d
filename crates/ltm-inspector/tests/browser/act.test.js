import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { Service, at, live, ltm, openPage, stand, until } from '../stand/stand.js';

const run = promisify(execFile);
let service;
let browser;
stand((it) => ({ service, browser } = it));

/** An LTM whose state counts to `count`. */
async function counter(count = 4) {
  const { id } = await service.post('ltm', { fqn: 'app.Counter', name: 'counter', state: { n: 0 } });
  for (let n = 1; n <= count; n += 1) await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { n } });
  return id;
}

const card = (page, title) => page.locator('.act .card', { has: page.getByRole('heading', { name: title }) });
const stateOf = async (id) => (await service.get(`ltm/${id}/state`)).state;

test('an LTM goes back to the snapshot that is shown, and the rollback is undone', async () => {
  const id = await counter();
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?at=2&tab=act`);
  await at(page, '2 of 4');
  await page.getByRole('button', { name: 'Roll back', exact: true }).click();
  await at(page, '2 of 2');
  assert.deepEqual(await stateOf(id), { n: 2 });
  await page.getByRole('button', { name: 'Undo rollback 0' }).click();
  await at(page, '4 of 4');
  assert.deepEqual(await stateOf(id), { n: 4 });
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('a copy up to here is in the playground, and ends at the snapshot that is shown', async () => {
  const id = await counter();
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?at=1&tab=act`);
  await at(page, '1 of 4');
  await page.getByRole('button', { name: 'Copy up to here', exact: true }).click();
  const copy = await until('the copy', () => /#\/ltm\/(\d+)$/.exec(page.url())?.[1]);
  assert.notEqual(copy, String(id));
  await at(page, '1 of 1');
  assert.ok((await service.get('ltm?playground=true')).some((row) => String(row.id) === copy));
  assert.deepEqual(await stateOf(copy), { n: 1 });
  assert.deepEqual(await stateOf(id), { n: 4 });
  await page.context().close();
});

test('a copy has what is shown, although the LTM moved on', async () => {
  const id = await counter(2);
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=act`);
  await at(page, '2 of 2');
  // Somebody writes between the look and the press.
  await page.route('**/copy?*', async (route) => {
    await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { n: 'later' } });
    await route.continue();
  });
  await page.getByRole('button', { name: 'Copy', exact: true }).click();
  const copy = await until('the copy', () => /#\/ltm\/(\d+)$/.exec(page.url())?.[1] !== String(id) && /#\/ltm\/(\d+)$/.exec(page.url())?.[1]);
  await at(page, '2 of 2');
  assert.deepEqual(await stateOf(copy), { n: 2 });
  assert.deepEqual(await stateOf(id), { n: 'later' });
  // A copy of the copy, to which nothing was written.
  await page.unroute('**/copy?*');
  await page.getByRole('tab', { name: 'Act' }).click();
  await page.getByRole('button', { name: 'Copy', exact: true }).click();
  const second = await until('the second copy', () => /#\/ltm\/(\d+)$/.exec(page.url())?.[1] !== copy && /#\/ltm\/(\d+)$/.exec(page.url())?.[1]);
  await at(page, '2 of 2');
  assert.deepEqual(await stateOf(second), { n: 2 });
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('the command for a copy up to here makes the same copy', async () => {
  const id = await counter();
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?at=1&tab=act`);
  await at(page, '1 of 4');
  await card(page, 'Copy up to snapshot 1').getByRole('button', { name: 'Copy as curl' }).click();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { n: 5 } });
  const { stdout } = await run('sh', ['-c', command]);
  const [, copy] = /"copy_id":(\d+)[^]*"snapshots_count":2/.exec(stdout);
  assert.deepEqual(await stateOf(copy), { n: 1 });
  assert.deepEqual(await stateOf(id), { n: 5 });
  await page.context().close();
});

test('a state that is too large to edit is told so', async () => {
  const { id } = await service.post('ltm', { fqn: 'app.Large', state: { text: 'x'.repeat(500_000) } });
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=act`);
  await live(page);
  const append = card(page, 'Append a snapshot');
  await append.getByRole('button', { name: 'Edit the state' }).click();
  await append.getByText('too large to edit here').waitFor();
  assert.equal(await append.getByLabel('State').count(), 0);
  await page.context().close();
});

test('a view that could not be loaded is not asked for again by itself', async () => {
  const id = await counter(1);
  const page = await openPage(browser, `${service.url}/#/ltm/${id}`);
  await at(page, '1 of 1');
  let asked = 0;
  await page.route('**/act-pane-*', (route) => {
    asked += 1;
    return route.abort();
  });
  await page.getByRole('tab', { name: 'Act' }).click();
  const said = page.getByText('This view could not be loaded');
  await said.waitFor();
  await said.evaluate((element) => (element.dataset.first = 'true'));
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { n: 2 } });
  await at(page, '2 of 2');
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  assert.deepEqual([asked, await said.getAttribute('data-first')], [1, 'true']);
  await page.unroute('**/act-pane-*');
  await page.getByRole('button', { name: 'Load the page again' }).click();
  await card(page, 'Append a snapshot').waitFor();
  await page.context().close();
});

test('an edited state is appended as the patch that was shown, with every digit', async () => {
  const id = await counter(1);
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=act`);
  await at(page, '1 of 1');
  const append = card(page, 'Append a snapshot');
  await append.getByRole('button', { name: 'Edit the state' }).click();
  const field = append.getByLabel('State');
  await field.fill('{"n": 1, ');
  await append.getByRole('button', { name: 'Show the patch' }).click();
  await append.getByText('This is not JSON').waitFor();
  await field.fill('{"n": 1, "big": 9007199254740993, "list": [1, 2]}');
  await append.getByRole('button', { name: 'Show the patch' }).click();
  const patch = await append.getByLabel('Patch').textContent();
  assert.match(patch, /"\/big",\s+"value": 9007199254740993/);
  assert.doesNotMatch(patch, /"\/n"/);
  await append.getByLabel('Reason').fill('by hand');
  await append.getByRole('button', { name: 'Append', exact: true }).click();
  await at(page, '2 of 2');
  const text = await (await fetch(`${service.url}/api/v0/ltm/${id}`)).text();
  assert.match(text, /"big":9007199254740993/);
  assert.match(text, /"reason":"by hand"/);

  // Somebody else writes while the state is edited: nothing is overwritten.
  await append.getByRole('button', { name: 'Edit the state' }).click();
  await field.fill('{"mine": true}');
  await append.getByRole('button', { name: 'Show the patch' }).click();
  await service.post(`ltm/${id}/snapshots`, { reason: 'execute', merge: { theirs: true } });
  await append.getByText('moved on since you began').waitFor();
  assert.ok(await append.getByRole('button', { name: 'Append', exact: true }).isDisabled());
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('the command for an action does the same', async () => {
  const id = await counter();
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?at=3&tab=act`);
  await at(page, '3 of 4');
  await card(page, 'Roll back to snapshot 3').getByRole('button', { name: 'Copy as curl' }).click();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  await run('sh', ['-c', command]);
  await at(page, '3 of 3');
  assert.deepEqual(await stateOf(id), { n: 3 });
  await page.context().close();
});

test('an LTM is deleted only after its id was typed', async () => {
  const id = await counter(1);
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=act`);
  await live(page);
  const button = page.getByRole('button', { name: 'Delete for ever' });
  await button.waitFor();
  assert.ok(await button.isDisabled());
  await page.getByLabel(`Type ${id} to confirm`).fill(String(id));
  await button.click();
  await page.locator('.banner', { hasText: 'was deleted' }).waitFor();
  assert.equal((await fetch(`${service.url}/api/v0/ltm/${id}`)).status, 410);
  await page.locator('.act', { hasText: 'Nothing can be done' }).waitFor();
  await page.context().close();
});

test('an error is marked as tried again, then as recovered', async () => {
  const id = await counter(1);
  const error = { id: crypto.randomUUID(), reason: 'execute', item: { fqn: 'agent.read' }, retries: [{ time: '2026-11-23T18:19:28Z', type: 'TimeoutError', description: 'no answer' }], retrying: false, success: false };
  await service.post(`ltm/${id}/errors`, error);
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=act`);
  await live(page);
  const marks = page.getByRole('group', { name: 'agent.read' });
  await marks.getByRole('button', { name: 'Mark as retrying' }).click();
  await marks.locator('.badge', { hasText: 'retrying' }).waitFor();
  const recorded = async () => (await service.get(`ltm/${id}`)).errors;
  assert.deepEqual((await recorded()).map(({ retrying, success, retries }) => [retrying, success, retries.length]), [[true, false, 1]]);
  await marks.getByRole('button', { name: 'Mark as recovered' }).click();
  await marks.waitFor({ state: 'detached' });
  assert.deepEqual((await recorded()).map(({ retrying, success }) => [retrying, success]), [[false, true]]);
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('the document is downloaded as the API gives it', async () => {
  const id = await counter(2);
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=act`);
  await live(page);
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: `Download ltm-${id}.json` }).click()]);
  const chunks = await (await download.createReadStream()).toArray();
  assert.deepEqual(JSON.parse(Buffer.concat(chunks)), await service.get(`ltm/${id}?rollbacks=true`));
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('a token that may only read is told so, and nothing happens', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ltm-inspector-keys-'));
  const file = join(folder, 'keys.toml');
  const [writer, reader] = await Promise.all(['write', 'read'].map(async (can) => JSON.parse(await ltm('--json', 'key', can, '--ltm', '*', '--can', can))));
  writeFileSync(file, `${writer.entry}\n${reader.entry}`);
  const guarded = await Service.start({ LTM__AUTH__MODE: 'required', LTM__AUTH__API_KEYS_FILE: file });
  const call = (path, body) => fetch(`${guarded.url}/api/v0/${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${writer.key}` }, body: JSON.stringify(body) });
  const { id } = await (await call('ltm', { fqn: 'app.Secret', state: { n: 0 } })).json();
  await call(`ltm/${id}/snapshots`, { reason: 'execute', merge: { n: 1 } });
  const page = await openPage(browser, 'about:blank');
  await page.addInitScript((key) => sessionStorage.setItem('ltm-token', key), reader.key);
  await page.goto(`${guarded.url}/#/ltm/${id}?at=0&tab=act`);
  await at(page, '0 of 1');
  await page.getByRole('button', { name: 'Roll back', exact: true }).click();
  await page.locator('.act .wrong', { hasText: 'may not do this' }).waitFor();
  await at(page, '0 of 1');
  await card(page, 'Roll back to snapshot 0').getByRole('button', { name: 'Copy as curl' }).click();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  assert.ok(command.includes('$LTM_TOKEN') && !command.includes(reader.key), 'a command has no token in it');
  await page.context().close();
  await guarded.remove();
  rmSync(folder, { recursive: true });
});
