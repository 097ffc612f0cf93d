import assert from 'node:assert/strict';
import { test } from 'node:test';

import { chat } from '../stand/chat.js';
import { at, live, openPage, stand, until } from '../stand/stand.js';

let service;
let browser;
stand((it) => ({ service, browser } = it));

const row = (page, name) => page.getByRole('treeitem', { name });
const time = (seconds) => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds)).toISOString();

/** A run with two searches at once; one of them fails. */
async function searches() {
  const { id } = await service.post('ltm', {
    time: time(0), fqn: 'app.Agent', name: 'agent', structure: { name: 'agent', fqn: 'agent', ltms: [{ name: 'a', fqn: 'agent.a' }, { name: 'b', fqn: 'agent.b' }] },
    state: { _status: 'active', a: { _status: 'queued' }, b: { _status: 'queued' } },
  });
  const write = (seconds, title, merge) => service.post(`ltm/${id}/snapshots`, { time: time(seconds), reason: 'execute', item: { fqn: `agent.${title}` }, merge });
  await write(2, 'a', { a: { _status: 'active' }, b: { _status: 'active' } });
  await write(10, 'a', { a: { _status: 'finished' } });
  for (let n = 0; n < 60; n += 1) await write(11 + n, 'write', { n });
  await write(80, 'b', { b: { _status: 'error' } });
  await service.post(`ltm/${id}/errors`, { reason: 'execute', item: { fqn: 'agent.b' }, retries: [{ time: time(40), type: 'E', description: 'broke' }], retrying: false, success: false });
  return { id, write };
}

test('the waterfall shows what ran when, what waited, and what failed; a click goes there', async () => {
  const { id } = await searches();
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=waterfall`);
  await live(page);
  await row(page, 'a, finished, 8.0 s, queued 2.0 s').waitFor();
  assert.equal(await row(page, /^b, error, 1 min, queued 2.0 s$/).getAttribute('data-bad'), 'true');
  assert.equal(await row(page, /^b, error, 1 min/).locator('path[data-tone="error"]').count(), 2, 'the failed attempt and the end');
  await row(page, /^b, failed, 1 attempt$/).waitFor();
  // Both searches ran at the same time.
  const begin = async (name) => (await row(page, name).locator('rect[data-tone="active"]').boundingBox()).x;
  assert.ok(Math.abs((await begin(/^a, finished/)) - (await begin(/^b, error/))) < 1);
  await row(page, /^write × 60, execute, 1 min$/).locator('b').click();
  await at(page, '3 of 63');
  // A click into a chart goes to the step nearest to that time: 40 s of 80 s.
  const box = await row(page, /^agent, active/).locator('svg').boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + 13);
  await at(page, '32 of 63');
  await page.getByRole('button', { name: 'By step' }).click();
  await page.mouse.click(box.x + box.width - 1, box.y + 13);
  await at(page, '63 of 63');
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('the waterfall grows while the run goes on, and follows a rollback', async () => {
  const { id, write } = await searches();
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=waterfall`);
  await live(page);
  await row(page, /^b, error/).first().waitFor();
  await write(85, 'review', { review: { _status: 'active' } });
  await row(page, 'review, active, 0 ms').waitFor();
  await write(90, 'review', { review: { _status: 'finished' } });
  await row(page, 'review, finished, 5.0 s').waitFor();
  await row(page, 'review × 2, execute, 10.0 s').waitFor();
  await service.post(`ltm/${id}/rollback`, { snapshot: { index: 2 } });
  await row(page, /^b, active/).waitFor();
  assert.equal(await row(page, /review/).count(), 0);
  await page.context().close();
});

test('the waterfall works by keys alone', async () => {
  const { id } = await searches();
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=waterfall`);
  await live(page);
  await row(page, /^b, error/).first().waitFor();
  const tree = page.getByRole('tree', { name: 'What ran when' });
  await tree.focus();
  const active = () => tree.evaluate((it) => document.getElementById(it.getAttribute('aria-activedescendant'))?.getAttribute('aria-label'));
  await page.keyboard.press('ArrowLeft');
  await until('the section is closed', async () => (await row(page, 'States, 3').getAttribute('aria-expanded')) === 'false');
  await page.keyboard.press('ArrowDown');
  assert.equal(await active(), 'Errors, 1');
  await page.keyboard.press('End');
  await until('the last row', async () => /^b, execute/.test(await active()));
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  await at(page, '3 of 63');
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('tool calls of a conversation are rows, and a long history has few elements', async () => {
  const id = await chat(service, 300);
  const page = await openPage(browser, `${service.url}/#/ltm/${id}?tab=waterfall`);
  await live(page);
  await row(page, /^web_search, query="harbour 0", limit=5, /).waitFor();
  await row(page, 'Tool calls, 300').waitFor();
  const rows = page.locator('.waterfall-rows');
  for (const part of [0.3, 0.7, 1]) {
    await rows.evaluate((it, part) => (it.scrollTop = it.scrollHeight * part), part);
    await until('rows', async () => (await page.locator('.bar-row').count()) > 10);
    assert.ok((await page.locator('.bar-row').count()) < 80);
  }
  await row(page, /^model, execute/).last().waitFor();
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});
