// Prints the package.json of the npm package.
//
//   node manifest.mjs VERSION [glibc]
import { readFileSync } from 'node:fs';

const [version, libc] = process.argv.slice(2);
const client = JSON.parse(readFileSync(new URL('../../../clients/js/package.json', import.meta.url), 'utf8'));
const manifest = {
  name: 'ltm-live-server',
  version,
  description: 'Live state for AI agents and long-running workflows: the server and the command line of ltm-live',
  license: 'MIT OR Apache-2.0',
  // npm accepts a provenance only if it comes from this repository.
  repository: { type: client.repository.type, url: client.repository.url },
  os: ['linux'],
  cpu: ['x64'],
  ...(libc ? { libc: [libc] } : {}),
  bin: { ltm: 'bin/ltm', 'ltm-live-server': 'bin/ltm' },
  files: ['bin', 'LICENSE*', 'THIRD-PARTY'],
};
console.log(JSON.stringify(manifest, null, 2));
