// What axe finds on a page.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core'), 'utf8');

/** All findings, in words, whatever their impact: of the whole page, or of a part of it. */
export async function findings(page, part) {
  // Past the content policy, which lets no script in but the page's own.
  await page.evaluate(`(() => { ${axe}; })()`);
  const { violations } = await page.evaluate((part) => globalThis.axe.run(part ?? document, { resultTypes: ['violations'] }), part);
  return violations.flatMap((it) => it.nodes.map((node) => `${it.id} (${it.impact}): ${node.html.slice(0, 160)} ${node.failureSummary}`));
}
