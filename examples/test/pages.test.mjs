// The pages show an LTM live. The tests run the commands of their READMEs.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { lines, run } from './support/readme.mjs';
import { Site } from './support/site.mjs';

let site;

before(async () => {
  site = await Site.start();
  // The LTM that the READMEs use.
  const played = JSON.parse(site.ltm('--json', 'play', 'tests/data/tutorial.json', '--speed', 'max'));
  assert.equal(played.id, 1);
});
after(() => site?.stop());

/** Waits until a page is live and shows `count` snapshots, then compares it with the API. */
async function same(page, count) {
  await page.until(
    (count) => document.querySelectorAll('ol > li').length === count && document.querySelector('[role=status]').textContent === 'live',
    count,
  );
  const { name, state, snapshots } = await site.services.ask('GET', '/api/v0/ltm/1');
  assert.deepEqual(JSON.parse(await page.locator('#state').textContent()), state);
  assert.deepEqual(await page.locator('ol > li').allTextContents(), snapshots.map(({ reason }) => reason));
  assert.match(await page.locator('h1').textContent(), new RegExp(`^${name} live$`));
  page.noErrors();
}

const count = async () => (await site.services.ask('GET', '/api/v0/ltm/1')).snapshots_count;

test('a page without a build shows each step, a rollback, and later steps', async () => {
  const page = await site.open('html', 1);
  const [step, rollback] = lines('examples/html/README.md');
  await same(page, await count());
  const before = await count();
  await run('html', step, site.services.url);
  await same(page, before + 1);
  await run('html', rollback, site.services.url);
  await same(page, 1);
  await run('html', step, site.services.url);
  await same(page, 2);
  await page.close();
});

test('a React app builds, shows each step, and renders a snapshot once', async () => {
  const [build, step] = lines('examples/react/README.md');
  await run('react', build, site.services.url);
  const page = await site.open('react', 1);
  const before = await count();
  await same(page, before);
  await page.evaluate(() => (window.first = document.querySelector('ol > li')));
  await run('react', step, site.services.url);
  await same(page, before + 1);
  assert.ok(await page.evaluate(() => window.first === document.querySelector('ol > li')));
  site.ltm('rollback', '1', '--to', '0');
  await same(page, 1);
  await page.close();
});

test('both report an LTM that does not exist', async () => {
  for (const folder of ['html', 'react']) {
    const page = await site.open(folder, 4711);
    await page.until(() => document.querySelector('[role=alert]')?.textContent);
    assert.equal(await page.locator('[role=status]').textContent(), 'failed');
    await page.close();
  }
});
