// Takes the pictures in docs/inspector, of a service of its own.
//
//   cargo build --bin ltm && npm run screenshots               all
//   npm run screenshots -- list waterfall                      some

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { Service, at, live, openBrowser, openPage } from '../tests/stand/stand.js';
import { fill } from './demo.mjs';

const folder = fileURLToPath(new URL('../../../docs/inspector/', import.meta.url));
mkdirSync(folder, { recursive: true });

/** A third of the size, with colours that nobody tells apart; where ImageMagick is. */
function shrink(file) {
  try {
    execFileSync('convert', [file, '-dither', 'None', '-colors', '200', `PNG8:${file}`]);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
}

const [service, browser] = await Promise.all([Service.start(), openBrowser()]);
const { id, talk } = await fill((path, body) => service.post(path, body));

const wide = { width: 1360, height: 820 };
const BOTH = ['light', 'dark'];
const views = [
  ['list', '#/', wide, ['light']],
  ['filters', '#/?status=active,error&fqn=app.*&since=24h', wide, ['dark']],
  ['machine', `#/ltm/${id}?at=19`, wide, ['light']],
  ['state', `#/ltm/${id}`, wide, BOTH],
  ['messages', `#/ltm/${talk}?tab=messages`, wide, ['light']],
  ['waterfall', `#/ltm/${id}?tab=waterfall`, wide, ['dark']],
  ['changes', `#/ltm/${id}?at=25&tab=changes`, wide, ['light']],
  ['compare', `#/ltm/${id}?at=18&tab=compare&with=@8`, wide, ['light']],
  ['step', `#/ltm/${id}?at=3&tab=step`, wide, BOTH],
  ['errors', `#/ltm/${id}?tab=errors`, wide, BOTH],
  ['rollbacks', `#/ltm/${id}?tab=rollbacks`, wide, ['light']],
  ['act', `#/ltm/${id}?at=17&tab=act`, wide, ['dark']],
  ['phone', `#/ltm/${id}?at=12`, { width: 390, height: 780 }, BOTH],
];
const wanted = process.argv.slice(2);
for (const [name, hash, size, themes] of views) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  for (const theme of themes) {
    const page = await openPage(browser, `${service.url}/${hash}`, { ...size, theme, reducedMotion: 'reduce' });
    await live(page);
    const place = /at=(\d+)/.exec(hash)?.[1];
    if (place) await at(page, `${place} of \\d+`);
    // These load with their tab.
    if (/messages|waterfall|compare|act/.test(name)) await page.locator('.message, .bar-row, .differences, .act .card').first().waitFor();
    await page.waitForTimeout(400);
    const file = `${folder}${name}-${theme}.png`;
    await page.screenshot({ path: file });
    shrink(file);
    await page.context().close();
  }
}
await browser.close();
await service.remove();
