// The commands of the READMEs, so that the tests run what a reader runs.
import { readFileSync } from 'node:fs';

const read = (path) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

/** Every command of a README, without what is said about it. */
export function lines(path) {
  return [...read(path).matchAll(/```sh\n([^]*?)```/g)]
    .flatMap(([, text]) => text.split('\n'))
    .map((line) => line.replace(/\s+#.*/, '').trim())
    .filter((line) => line && !line.startsWith('#'));
}
