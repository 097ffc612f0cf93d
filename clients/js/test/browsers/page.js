// Shows what the client knows, as text: LTMs in each way that a page can follow them, and the list.
import { followList, followLtm, followMany } from './ltm-live.all.min.js';

window.errors = [];
for (const type of ['error', 'unhandledrejection']) window.addEventListener(type, (event) => window.errors.push(String(event.reason ?? event.message)));

class NoSocket {
  constructor() {
    throw new Error('no WebSocket opens here');
  }
}

const { url, id, other, short, fqn } = JSON.parse(decodeURIComponent(location.hash.slice(1)));
const token = async () => (await fetch('token')).text();
const options = { token, rollbacks: true, backoff: { min: 20, max: 500 }, watchdog: 3000 };
const show = (name, followed) => {
  const element = document.body.appendChild(document.createElement('pre'));
  element.id = name;
  const draw = () => (element.textContent = JSON.stringify({ ...followed.view, error: followed.view.error?.detail }));
  followed.subscribe(draw);
  draw();
};

const many = followMany(url, options);
show('socket', followLtm(url, id, options));
show('events', followLtm(url, id, { ...options, WebSocket: NoSocket }));
show('stateOnly', followLtm(url, id, { ...options, history: false }));
show('many', many.follow(id));
show('other', many.follow(other));
show('short', followLtm(url, short, options));
show('shortOfMany', many.follow(short));
show('list', followList(url, { fqn }, options));
