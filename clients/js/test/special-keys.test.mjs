// Patches that the service makes apply in fast-json-patch, also around keys that JavaScript finds special.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import jsonpatch from 'fast-json-patch';
import { applyPatch } from '../dist/index.js';
import { Services } from './support/services.mjs';

const keys = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'a', 'b/c', '~', ''];

/** A JSON text of an object; `random` gives numbers below its argument. */
function object(random, depth) {
  const members = Array.from({ length: random(4) }, () => {
    const key = keys[random(keys.length)];
    const value = depth && random(3) ? object(random, depth - 1) : random(2) ? String(random(9)) : `[${random(9)},{"x":${random(9)}}]`;
    // At the top, every path would begin with it: fast-json-patch has no patch for that.
    return depth === 3 && key === '__proto__' ? '"a":1' : `${JSON.stringify(key)}:${value}`;
  });
  return `{${members.join()}}`;
}

test('no patch of the service has a path that fast-json-patch refuses, and both come to the same state', async () => {
  const services = await Services.start();
  const post = async (path, body) => {
    const answer = await fetch(`${services.url}/api/v0/ltm${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
    assert.ok(answer.ok, `${body}: ${await answer.clone().text()}`);
    return answer.json();
  };
  let seed = 7;
  const random = (below) => ((seed = (seed * 1103515245 + 12345) % 2 ** 31) >> 8) % below;
  const { id } = await post('', '{"fqn":"app.Agent","state":{}}');
  for (let n = 0; n < 300; n++) {
    const change = object(random, 3);
    await post(`/${id}/snapshots`, `{"reason":"execute","${n % 2 ? 'state' : 'merge'}":${change}}`);
    if (n % 50 === 49) await post(`/${id}/rollback`, `{"snapshot":{"index":${n % 20}}}`);
  }
  const { snapshots, state, rollbacks } = await services.document(id);
  const histories = [{ snapshots, state }, ...rollbacks];
  assert.ok(histories.length > 5);
  for (const { snapshots, state } of histories) {
    let [theirs, ours] = [{}, {}];
    for (const { patch } of snapshots) {
      theirs = jsonpatch.applyPatch(theirs, structuredClone(patch), true).newDocument;
      ours = applyPatch(ours, patch);
    }
    assert.equal(JSON.stringify(ours), JSON.stringify(state));
    assert.deepEqual(theirs, state);
  }
  await services.stop();
});
