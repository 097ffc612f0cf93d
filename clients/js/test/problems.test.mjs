// The names of problems are those that the documentation has.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (path) => readFileSync(new URL(path, import.meta.url), 'utf8');

test('the type of problem kinds has each name of the documentation, and no other', () => {
  const page = read('../../../docs/errors.md');
  const documented = [...page.matchAll(/^\| `([a-z-]+)` \| \d{3} \|/gm)].map((match) => match[1]);
  const [union] = /type ProblemKind =[^;]+;/.exec(read('../src/problem.ts'));
  const typed = [...union.matchAll(/'([a-z-]+)'/g)].map((match) => match[1]);
  assert.ok(documented.length > 20);
  assert.deepEqual(typed.sort(), documented.sort());
});
