// The client in the page is the one in clients/js: builds that and compares, or takes it over.
//
//   node scripts/client.mjs           fails where the page has another one
//   node scripts/client.mjs --write   takes it over

import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const client = path('../../../clients/js');
const built = `${client}/dist/ltm-live.min.js`;
const held = path('../assets/ltm-live.min.js');
const npm = (...args) => execFileSync('npm', [...args, '--silent'], { cwd: client, stdio: ['ignore', 'ignore', 'inherit'] });

npm('ci', '--no-audit', '--no-fund');
npm('run', 'build');
if (process.argv.includes('--write')) copyFileSync(built, held);
if (!readFileSync(built).equals(readFileSync(held))) {
  console.error('assets/ltm-live.min.js is not what clients/js builds: run node scripts/client.mjs --write');
  process.exit(1);
}
