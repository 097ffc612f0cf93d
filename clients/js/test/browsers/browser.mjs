// Firefox and Chromium, driven by puppeteer over WebDriver BiDi.
import { readdirSync, readFileSync } from 'node:fs';
import puppeteer from 'puppeteer-core';

export const programs = {
  firefox: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
  chrome: process.env.CHROMIUM ?? '/usr/bin/chromium',
};

export function launch(browser) {
  const args = browser === 'chrome' ? ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'] : [];
  return puppeteer.launch({ browser, executablePath: programs[browser], protocol: 'webDriverBiDi', headless: true, args });
}

/** The processes of a browser: some of them lead groups of their own. */
function processes(root) {
  const parents = new Map();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      // The name of the program may contain spaces and brackets.
      const [, parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
      parents.set(Number(pid), Number(parent));
    } catch {
      // It has ended meanwhile.
    }
  }
  const all = [root];
  for (const pid of all) all.push(...[...parents].filter(([, parent]) => parent === pid).map(([child]) => child));
  return all;
}

/** Stops all processes of a browser, as a laptop does that is closed; the result lets them go on. */
export function suspend(browser) {
  const all = processes(browser.process().pid);
  all.forEach((pid) => process.kill(pid, 'SIGSTOP'));
  return () => all.forEach((pid) => process.kill(pid, 'SIGCONT'));
}
