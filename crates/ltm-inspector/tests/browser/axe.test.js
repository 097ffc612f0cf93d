import assert from 'node:assert/strict';
import { test } from 'node:test';

import { findings } from '../stand/axe.js';
import { chat } from '../stand/chat.js';
import { live, openPage, stand } from '../stand/stand.js';

let service;
let browser;
let id;
let rolled;
let talk;
stand(async (it) => {
  ({ service, browser } = it);
  const played = await service.play('tutorial', '--speed', 'max');
  await played.done;
  id = played.id;
  talk = await chat(service, 26);
  rolled = (await service.post('ltm', { fqn: 'app.Agent', params: { a: 1 }, state: { _status: 'error', n: 0 } })).id;
  for (let n = 1; n <= 4; n += 1) await service.post(`ltm/${rolled}/snapshots`, { reason: 'execute', merge: { n } });
  await service.post(`ltm/${rolled}/rollback`, { snapshot: { index: 2 } });
  await service.post(`ltm/${rolled}/errors`, { id: crypto.randomUUID(), reason: 'execute', item: { fqn: 'x' }, retries: [{ type: 'E', description: 'broke', details: 'trace' }], retrying: false, success: false });
});

/** Each view: its name, its link, and whether only its tab differs from a view before it. */
const views = () => [
  ['list', '#/'], ['filtered', '#/?q=a&fqn=app.*&status=error,waiting&from=2026-01-01T00:00'], ['nothing matches', '#/?q=zzz'], ['empty', '#/?playground=1'], ['not there', '#/ltm/999'],
  ['transition', `#/ltm/${id}?at=7`], ...['state', 'changes', 'step', 'about', 'act'].map((tab) => [tab, `#/ltm/${id}?at=8&tab=${tab}`, tab !== 'state']),
  ['errors', `#/ltm/${rolled}?tab=errors`], ['rollbacks', `#/ltm/${rolled}?tab=rollbacks`, true], ['act on errors', `#/ltm/${rolled}?tab=act`, true],
  ['messages', `#/ltm/${talk}?tab=messages`], ['a step of messages', `#/ltm/${talk}?tab=messages&at=3`, true],
  ['waterfall', `#/ltm/${id}?tab=waterfall`, true], ['compare', `#/ltm/${talk}?tab=compare&with=@2`, true], ['compare with another', `#/ltm/${id}?tab=compare&with=${talk}`, true], ['waterfall of a chat', `#/ltm/${talk}?tab=waterfall&at=3`, true],
];

// Colours depend on the theme, and what is on the page on the width: two runs see both. AXE=all adds the other two.
const screens = [['light', 1440, 900], ['dark', 390, 844]];
if (process.env.AXE === 'all') screens.push(['dark', 1440, 900], ['light', 390, 844]);
for (const [theme, width, height] of screens) {
  test(`axe finds nothing in any view, ${theme}, ${width} wide`, async () => {
    const page = await openPage(browser, `${service.url}/#/`, { theme, width, height, reducedMotion: 'reduce' });
    await live(page);
    for (const [name, hash, tabOnly] of views()) {
      await page.goto(`${service.url}/${hash}`);
      await page.locator('.transport, .list-body, .notice').first().waitFor();
      for (const place of width < 1000 && /ltm\/(?!999)/.test(hash) ? [...(tabOnly ? [] : ['Steps', 'Machine']), 'Details'] : ['']) {
        const button = page.locator('.places').getByRole('button', { name: place, exact: true });
        // Without a machine there is no button for it.
        if (place && !(await button.isVisible())) continue;
        if (place) await button.click();
        if (/messages|waterfall|compare/.test(hash) && ['', 'Details'].includes(place)) await page.locator('.message, .bar-row, .differences').first().waitFor();
        await page.locator('.tabpanel:not([hidden]) .skeleton').waitFor({ state: 'detached' });
        await page.waitForTimeout(60);
        assert.deepEqual(await findings(page, tabOnly ? '.details' : undefined), [], `${name} ${place}`);
      }
    }
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    assert.deepEqual(await findings(page), [], 'help');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /^Token/ }).click();
    assert.deepEqual(await findings(page), [], 'token');
    await page.keyboard.press('Escape');
    assert.deepEqual(page.wrong, []);
    await page.context().close();
  });
}

test('on a phone nothing is wider than the screen', async () => {
  const page = await openPage(browser, `${service.url}/#/`, { width: 360, height: 740, hasTouch: true, isMobile: true });
  await live(page);
  for (const [name, hash] of views()) {
    await page.goto(`${service.url}/${hash}`);
    await page.locator('.transport, .list-body, .notice').first().waitFor();
    const wide = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth, document.querySelector('main').scrollWidth]);
    assert.ok(wide[0] <= wide[1] && wide[2] <= wide[1], `${name}: ${wide}`);
  }
  await page.context().close();
});
