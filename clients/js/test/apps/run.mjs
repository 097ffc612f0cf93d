// Packs the client, builds each app with it, and compares what its page shows with what the API says.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { Browser } from '../support/browser.mjs';
import { freePort, Services } from '../support/services.mjs';
import { until } from '../support/until.mjs';

const here = fileURLToPath(new URL('.', import.meta.url)).replace(/\/$/, '');
const client = fileURLToPath(new URL('../..', import.meta.url));
const bin = (name) => `${here}/node_modules/.bin/${name}`;
const run = (program, args, cwd = here) => execFileSync(program, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1', CI: '1' } });

const packed = readdirSync(client).filter((name) => name.endsWith('.tgz'));
packed.forEach((name) => rmSync(`${client}/${name}`));
run('npm', ['pack', '--silent'], client);
const [tarball] = readdirSync(client).filter((name) => name.endsWith('.tgz'));
run('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--silent', `${client}/${tarball}`]);
rmSync(`${client}/${tarball}`);

const builds = {
  vite: () => run(bin('vite'), ['build', 'vite', '--outDir', 'build', '--emptyOutDir', '--base', './', '--logLevel', 'warn']),
  esbuild: () => run(bin('esbuild'), ['esbuild/main.tsx', '--bundle', '--minify', '--jsx=automatic', '--outfile=esbuild/build/main.js', '--log-level=warning', '--define:process.env.NODE_ENV="production"']),
  webpack: () => run(bin('webpack'), ['--config', 'webpack/webpack.config.mjs', '--stats', 'errors-only']),
  next: () => run(bin('next'), ['build', 'next']),
  sveltekit: () => run(bin('vite'), ['build'], `${here}/sveltekit`),
};
/** How the types of an app are checked: Next does it when it builds. */
const checks = {
  next: () => {},
  sveltekit: () => {
    run(bin('svelte-kit'), ['sync'], `${here}/sveltekit`);
    run(bin('svelte-check'), ['--fail-on-warnings', '--output', 'human'], `${here}/sveltekit`);
  },
};
const only = process.argv.find((word) => builds[word]);
const wanted = (app) => !only || app === only;
for (const [app, build] of process.argv.includes('--built') ? [] : Object.entries(builds)) {
  if (!wanted(app)) continue;
  (checks[app] ?? (() => run(bin('tsc'), ['--noEmit', '--project', app])))();
  build();
  console.log(`${app}: types hold, it builds`);
}

const services = await Services.start({ LTM__CORS__ORIGINS: '*' });
const { id } = await services.ask('POST', '/api/v0/ltm', { body: { fqn: 'app.Agent', state: { n: 1, todo: ['plan', 'build'] } } });
const ports = { next: await freePort(), sveltekit: await freePort() };
const start = {
  next: () => [bin('next'), ['start', 'next', '--port', String(ports.next)], {}],
  sveltekit: () => [process.execPath, ['sveltekit/build'], { PORT: String(ports.sveltekit), HOST: '127.0.0.1' }],
};
const servers = Object.keys(start).filter(wanted).map((app) => {
  const [program, args, env] = start[app]();
  return spawn(program, args, { cwd: here, env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] });
});
const files = createServer((request, response) => {
  const path = new URL(request.url, 'http://files').pathname;
  if (path === '/favicon.ico') {
    response.writeHead(204).end();
    return;
  }
  const type = path.endsWith('.js') ? 'text/javascript' : 'text/html';
  const page = '<!doctype html><div id="app"></div><script src="build/main.js"></script>';
  const text = path.endsWith('/') && !path.includes('vite') ? page : readFileSync(here + path.replace(/\/$/, '/index.html'));
  response.writeHead(200, { 'Content-Type': type }).end(text);
});
await new Promise((resolve) => files.listen(0, '127.0.0.1', resolve));
const query = `?${new URLSearchParams({ url: services.url, id })}`;
const at = (path) => `http://127.0.0.1:${files.address().port}${path}${query}`;
const pages = { vite: at('/vite/build/'), esbuild: at('/esbuild/'), webpack: at('/webpack/'), ...Object.fromEntries(Object.entries(ports).map(([app, port]) => [app, `http://127.0.0.1:${port}/${query}`])) };

const browser = await Browser.start();
try {
  for (const [app, url] of Object.entries(pages).filter(([app]) => wanted(app))) {
    await until(async () => (await fetch(url).catch(() => undefined))?.ok);
    const { state } = await services.document(id);
    const text = ({ n }) => `plan,build ${n} of 1`;
    if (start[app]) assert.ok((await (await fetch(url)).text()).includes(`connecting ${text(state)}`), 'the server renders the state');
    const said = [];
    const page = await browser.context.newPage();
    page.on('pageerror', (error) => said.push(String(error)));
    page.on('console', (message) => message.type() === 'error' && !/favicon/.test(message.location().url) && said.push(message.text()));
    await page.goto(url);
    const shows = (wanted) => page.waitForFunction((wanted) => document.querySelector('#app').textContent.includes(wanted), wanted);
    await shows(`live ${text(state)}`);
    await services.ask('POST', `/api/v0/ltm/${id}/snapshots`, { body: { reason: 'execute', merge: { n: state.n + 1 } } });
    await shows(`live ${text({ n: state.n + 1 })}`);
    assert.deepEqual(said, [], app);
    await page.close();
    console.log(`${app}: it shows what the API says`);
  }
} finally {
  servers.forEach((server) => server.kill());
  files.close();
  files.closeAllConnections();
  await browser.stop();
  await services.stop();
}
