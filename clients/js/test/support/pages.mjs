// Serves pages of another origin than the services, and the built client beside them.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const dist = new URL('../../dist/', import.meta.url);

/** Starts it. `files` are texts by name, or functions that return one; any other path is an empty page. */
export async function servePages(files = {}) {
  const server = createServer((request, response) => {
    const name = new URL(request.url, 'http://localhost').pathname.slice(1);
    const file = /^ltm-live(\.all)?\.min\.js$/.test(name) ? readFileSync(new URL(name, dist)) : files[name];
    const type = file === undefined || name.endsWith('.html') ? 'text/html' : 'text/javascript';
    response.writeHead(200, { 'Content-Type': type });
    response.end((typeof file === 'function' ? file() : file) ?? '<!doctype html><title>test</title><body></body>');
  });
  server.unref();
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
