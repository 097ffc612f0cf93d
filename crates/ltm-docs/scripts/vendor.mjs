// The renderer in the page is Swagger UI as npm has it: takes it over in the version of package.json, or compares.
//
//   node scripts/vendor.mjs           fails where the page has another one
//   node scripts/vendor.mjs --write   takes it over

import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts', '--silent'], { cwd: path('..'), stdio: ['ignore', 'ignore', 'inherit'] });
for (const name of ['swagger-ui-bundle.js', 'swagger-ui.css', 'swagger-ui-bundle.js.LICENSE.txt', 'LICENSE', 'NOTICE']) {
  const [original, held] = [path(`../node_modules/swagger-ui-dist/${name}`), path(`../assets/${name}`)];
  if (process.argv.includes('--write')) copyFileSync(original, held);
  if (!readFileSync(original).equals(readFileSync(held))) {
    console.error(`assets/${name} is not what npm has: run node scripts/vendor.mjs --write`);
    process.exit(1);
  }
}
