// Takes the picture in docs/guide-python.md: examples/python/agent.py in the inspector, after its tool has run.
//
//   make python && npm run agent

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { Service, at, live, openBrowser, openPage } from '../tests/stand/stand.js';

const path = (name) => fileURLToPath(new URL(`../../../${name}`, import.meta.url));
const [service, browser] = await Promise.all([Service.start(), openBrowser()]);
const example = readFileSync(path('examples/python/agent.py'), 'utf8').replace('Client()', `Client('${service.url}')`);
execFileSync(path('target/python/bin/python'), ['-c', example], { stdio: 'inherit' });

const size = { width: 1280, height: 760 };
const page = await openPage(browser, `${service.url}/#/ltm/1?at=4`, { ...size, theme: 'light', reducedMotion: 'reduce' });
await live(page);
await at(page, '4 of \\d+');
await page.waitForTimeout(400);
await page.screenshot({ path: path('docs/python/agent.png') });
await browser.close();
await service.remove();
