import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { findings } from '../stand/axe.js';
import { live, ltm, openPage, stand } from '../stand/stand.js';

const folder = mkdtempSync(join(tmpdir(), 'ltm-docs-keys-'));
const made = JSON.parse(await ltm('--json', 'key', 'docs', '--ltm', '*', '--can', 'write'));
const { key } = made;
writeFileSync(join(folder, 'keys.toml'), made.entry);
let service;
let browser;
stand((it) => ({ service, browser } = it), { settings: { LTM__AUTH__MODE: 'required', LTM__AUTH__API_KEYS_FILE: join(folder, 'keys.toml') } });
after(() => rmSync(folder, { recursive: true, force: true }));

async function docs(more = {}, hash = '') {
  const page = await openPage(browser, `${service.url}/docs${hash}`, more);
  await page.locator('body[data-ready="yes"]').waitFor();
  return page;
}

test('the reference has each call with an example of what it sends and answers, and finds what is looked for', async () => {
  const page = await docs();
  const document = await page.evaluate(async () => (await fetch('docs/openapi.json')).json());
  const calls = Object.values(document.paths).flatMap((it) => Object.values(it)).filter((it) => !it['x-same-as']);
  for (const { operationId, requestBody } of calls) {
    const call = page.locator(`article#${operationId}`);
    assert.match(await call.locator('pre').first().textContent(), requestBody ? /^curl [^]*-d '\{/ : /^curl /, operationId);
    assert.match(await call.locator('pre').nth(1).textContent(), /^[[{]/, operationId);
  }
  // A schema is a table: no cell has JSON.
  assert.equal((await page.locator('td').allTextContents()).filter((it) => /[{,]\s*"\w+":/.test(it)).length, 0);
  await page.locator('article#append').getByRole('link', { name: 'AppendBody' }).first().click();
  assert.equal(new URL(page.url()).hash, '#schema-AppendBody');

  await page.keyboard.press('/');
  await page.keyboard.type('if-match rollback');
  await page.locator('#found', { hasText: /^[1-9]\d? of \d+$/ }).waitFor();
  assert.ok(await page.locator('article#rollback').isVisible());
  assert.ok(await page.locator('article#counts').isHidden());
  assert.ok(await page.getByRole('navigation', { name: 'Contents' }).getByRole('link', { name: /Go back to a snapshot/ }).isVisible());
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.press('Backspace');
  await page.getByRole('link', { name: /Count LTMs/ }).click();
  await page.locator('article#counts').waitFor();
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

test('a call is tried with a token, which the inspector shares', async () => {
  const page = await docs({}, '#create');
  const create = page.locator('article#create');
  await create.getByRole('button', { name: 'Send POST' }).click();
  await create.locator('strong', { hasText: '401' }).waitFor();
  await page.getByLabel(/^Token/).fill(key);
  await create.getByLabel('Body').fill('{"fqn": "app.Docs", "name": "tried", "id": 9007199254740993, "state": {"n": 1}}');
  await create.getByRole('button', { name: 'Send POST' }).click();
  await create.locator('strong', { hasText: '200' }).waitFor();
  assert.match(await create.locator('form pre').textContent(), /"id": 9007199254740993,/);
  const command = await create.locator('pre').first().textContent();
  assert.ok(command.includes('$LTM_TOKEN') && command.includes('app.Docs') && !command.includes(key), command);
  // The other calls are about this LTM now.
  const state = page.locator('article#state');
  assert.equal(await state.getByLabel('id (path)').inputValue(), '9007199254740993');
  await state.getByLabel('index (query)').fill('0');
  await state.getByRole('button', { name: 'Send GET' }).click();
  await state.locator('strong', { hasText: '200' }).waitFor();
  assert.match(await state.locator('form pre').textContent(), /"n": 1/);
  // What cannot be undone is asked about.
  const remove = page.locator('article#delete');
  let asked = 0;
  page.on('dialog', (dialog) => ((asked += 1), asked === 1 ? dialog.dismiss() : dialog.accept()));
  await remove.getByRole('button', { name: 'Send DELETE' }).click();
  await create.getByRole('link', { name: 'LTM 9007199254740993 in the inspector' }).click();
  await live(page);
  await page.locator('h1', { hasText: 'tried' }).waitFor();
  assert.equal(asked, 1);
  await page.keyboard.press('?');
  await page.getByRole('link', { name: 'API reference' }).click();
  await page.locator('body[data-ready="yes"]').waitFor();
  assert.equal(await page.getByLabel(/^Token/).inputValue(), key);
  await page.getByRole('link', { name: 'Inspector', exact: true }).click();
  await page.locator('tbody .name', { hasText: 'tried' }).waitFor();
  assert.deepEqual(page.wrong, []);
  await page.context().close();
});

for (const [theme, width, height] of [['light', 1440, 900], ['dark', 390, 844]]) {
  test(`axe finds nothing in the reference, and nothing is wider than the screen, ${theme}, ${width} wide`, async () => {
    const page = await docs({ theme: theme === 'dark' ? 'light' : 'dark', width, height });
    // The user's choice counts, whatever the theme of the system.
    for (let n = 0; n < (theme === 'light' ? 1 : 2); n += 1) await page.getByRole('button', { name: /^Theme/ }).click();
    await page.locator(`html[data-theme="${theme}"]`).waitFor();
    await page.locator('details').evaluateAll((all) => all.forEach((it) => (it.open = true)));
    const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= screen, `${wide} > ${screen}`);
    // All calls, channels and schemas are drawn alike: axe looks at one of each.
    await page.locator('article, .contents li').evaluateAll((all) => all.forEach((it) => ['append', 'channel-list', 'close-codes', 'schema-Append'].includes(it.id || it.dataset.of) || it.remove()));
    await page.locator('details').evaluateAll((all) => all.slice(2).forEach((it) => (it.open = false)));
    await page.locator('article#append').getByRole('button', { name: 'Send POST' }).click();
    await page.locator('article#append strong', { hasText: /^\d/ }).waitFor();
    assert.deepEqual(await findings(page), []);
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  });
}
