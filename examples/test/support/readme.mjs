// The commands of the READMEs: the tests run what a reader runs.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const read = (path) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

/** Every command of a README, without its comment. */
export function lines(path) {
  return [...read(path).matchAll(/```sh\n([^]*?)```/g)]
    .flatMap(([, text]) => text.split('\n'))
    .map((line) => line.replace(/\s+#.*/, '').trim())
    .filter((line) => line && !line.startsWith('#'));
}

/** Runs a command in the folder of its README, on the services at `url`. Returns its output. */
export async function run(folder, command, url) {
  const cwd = fileURLToPath(new URL(`../../${folder}`, import.meta.url));
  const env = { ...process.env, LTM_URL: url };
  const there = command.replaceAll('localhost:8000', new URL(url).host);
  return (await promisify(execFile)('bash', ['-c', there], { cwd, env })).stdout;
}
