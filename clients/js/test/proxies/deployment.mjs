// Redis, an API and two gateways, each a process of its own, and a proxy in front of them with the configuration of the
// repository: only names and ports are others.
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort, ltm } from '../support/services.mjs';
import { until } from '../support/until.mjs';

const deploy = new URL('../../../../deploy/', import.meta.url);
const answers = (url) => until(async () => (await fetch(url).catch(() => undefined))?.ok);

/** The configuration with parts replaced. Each part must occur once. */
function changed(file, changes) {
  let text = readFileSync(new URL(file, deploy), 'utf8');
  for (const [from, to] of Object.entries(changes)) {
    if (text.split(from).length !== 2) throw new Error(`${file}: ${JSON.stringify(from)} does not occur once`);
    text = text.replace(from, () => to);
  }
  return text;
}

/** How to start each proxy: the text of its configuration, and its command line. */
export const proxies = {
  haproxy: {
    configure: ({ port, api, gateways }) =>
      changed('haproxy.cfg', {
        'bind :8000': `bind 127.0.0.1:${port}`,
        'resolvers docker init-addr none resolve-prefer ipv4 ': '',
        'server-template api 16 api:8000': `server api 127.0.0.1:${api}`,
        'server-template gateway 64 gateway:8000': gateways.map((it, n) => `server gateway${n} 127.0.0.1:${it}`).join('\n    '),
      }),
    command: (file) => ['haproxy', '-db', '-f', file],
  },
  nginx: {
    configure: ({ port, api, gateways, folder }) =>
      changed('proxies/nginx.conf', {
        'events {': `pid ${folder}/nginx.pid;\nevents {`,
        'listen 8000;': `listen 127.0.0.1:${port};`,
        'server api:8000 ': `server 127.0.0.1:${api} `,
        'server gateway:8000 fail_timeout=1s;': gateways.map((it) => `server 127.0.0.1:${it} fail_timeout=1s;`).join(' '),
      }),
    command: (file, folder) => ['nginx', '-p', folder, '-c', file, '-e', '/dev/stderr', '-g', 'daemon off;'],
  },
  envoy: {
    configure: ({ port, api, gateways }) => {
      const endpoint = (it) => `{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${it} } } } }`;
      const named = (name) => `{ endpoint: { address: { socket_address: { address: ${name}, port_value: 8000 } } } }`;
      return changed('proxies/envoy.yaml', {
        'address: 0.0.0.0, port_value: 8000': `address: 127.0.0.1, port_value: ${port}`,
        [named('api')]: endpoint(api),
        [named('gateway')]: gateways.map(endpoint).join(', '),
      });
    },
    command: (file) => [process.env.ENVOY ?? 'envoy', '--disable-hot-restart', '--concurrency', '2', '--log-level', 'error', '-c', file],
  },
};

const DEAF = `
import socket, sys, time
address = ('127.0.0.1', int(sys.argv[1]))
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(address)
listener.listen(0)
waiting = [socket.socket() for _ in range(4)]
for it in waiting:
    it.setblocking(False)
    it.connect_ex(address)
print('deaf', flush=True)
time.sleep(3600)
`;

export class Deployment {
  static async start() {
    const deployment = new Deployment();
    deployment.folder = mkdtempSync(join(tmpdir(), 'ltm-js-proxies-'));
    const redis = await freePort();
    deployment.run('redis', ['redis-server', '--port', String(redis), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'yes', '--dir', deployment.folder]);
    deployment.env = {
      LTM__REDIS__URL: `redis://127.0.0.1:${redis}/0`,
      LTM__LOG__LEVEL: 'error',
      LTM__HTTP__TRUSTED_PROXIES: '127.0.0.1',
      LTM__GATEWAY__DRAIN_TIME: '1s',
    };
    deployment.api = await freePort();
    deployment.gateways = [await freePort(), await freePort()];
    deployment.run('api', [join(dirname(ltm), 'ltm-api')], { LTM__API__LISTEN: `127.0.0.1:${deployment.api}` });
    deployment.url = `http://127.0.0.1:${deployment.api}`;
    await Promise.all([answers(`${deployment.url}/readyz`), ...deployment.gateways.map((_, n) => deployment.startGateway(n))]);
    return deployment;
  }

  processes = new Map();

  /** Starts a program. What it prints is kept: `log(name)`. */
  run(name, [program, ...args], env = {}) {
    // A file, because nginx opens its output by name.
    const output = openSync(join(this.folder, `${name}.log`), 'a');
    const child = spawn(program, args, { env: { ...process.env, ...this.env, ...env }, stdio: ['ignore', output, output] });
    closeSync(output);
    const ended = new Promise((resolve, reject) => child.once('exit', resolve).once('error', reject));
    process.once('exit', () => child.kill('SIGKILL'));
    this.processes.set(name, { child, ended });
  }

  log(name) {
    return readFileSync(join(this.folder, `${name}.log`), 'utf8');
  }

  async startGateway(n) {
    const port = this.gateways[n];
    this.run(`gateway${n}`, [join(dirname(ltm), 'ltm-gateway')], { LTM__GATEWAY__LISTEN: `127.0.0.1:${port}` });
    await answers(`http://127.0.0.1:${port}/readyz`);
  }

  /** In place of a gateway, a port where nobody takes the connections: further ones time out. */
  startDeaf(n) {
    this.run(`gateway${n}`, ['python3', '-c', DEAF, String(this.gateways[n])]);
  }

  async end(name, signal) {
    const { child, ended } = this.processes.get(name);
    child.kill(signal);
    await ended;
  }

  /** How many subscribers a gateway has. */
  async subscribers(n) {
    const text = await (await fetch(`http://127.0.0.1:${this.gateways[n]}/metrics`)).text();
    return Number(/^ltm_subscribers (\d+)/m.exec(text)[1]);
  }

  /** Starts a proxy; gives its URL. */
  async proxy(name) {
    const port = await freePort();
    const { configure, command } = proxies[name];
    const file = join(this.folder, name === 'envoy' ? 'envoy.yaml' : name);
    writeFileSync(file, configure({ port, api: this.api, gateways: this.gateways, folder: this.folder }));
    this.run(name, command(file, this.folder));
    const url = `http://127.0.0.1:${port}`;
    const { ended } = this.processes.get(name);
    await Promise.race([answers(`${url}/healthz`), ended.then(() => Promise.reject(new Error(`${name} ends: ${this.log(name)}`)))]);
    return url;
  }

  async stop() {
    for (const name of [...this.processes.keys()].reverse()) await this.end(name, 'SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}
