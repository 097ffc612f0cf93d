// test.sh runs the set-up commands of the README before these tests.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { lines } from './support/readme.mjs';

test('every command of the README is run', () => {
  const done = readFileSync(new URL('../test.sh', import.meta.url), 'utf8').split('\n');
  // The tests start the other two themselves: the services, on a port of their own, and the web server.
  const others = lines('examples/README.md').filter((line) => line !== 'make run' && !line.startsWith('python3 -m http.server'));
  assert.equal(others.length, 2);
  for (const line of others) {
    assert.ok(done.includes(line), `${line} is not in test.sh`);
  }
});
