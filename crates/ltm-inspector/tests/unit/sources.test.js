import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';

const web = new URL('../../web/', import.meta.url);
const files = readdirSync(web, { recursive: true, withFileTypes: true }).filter((it) => it.isFile()).map((it) => `${it.parentPath ?? it.path}/${it.name}`);

test('a folder has at most 13 files, and a file at most 600 lines', () => {
  for (const folder of new Set(files.map(dirname))) {
    const held = files.filter((it) => dirname(it) === folder).length;
    assert.ok(held <= 13, `${folder}: ${held} files`);
  }
  for (const file of files) assert.ok(readFileSync(file, 'utf8').split('\n').length <= 601, file);
});

test('no file makes markup of text', () => {
  for (const file of files.filter((it) => /\.[jt]sx?$/.test(it))) {
    assert.doesNotMatch(readFileSync(file, 'utf8'), /innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|DOMParser|\beval\(|new Function\b/, file);
  }
});
