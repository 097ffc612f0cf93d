// Follows an LTM with the JavaScript client, and prints what it shows after each change:
// node follow.mjs <path of the client> <url> <id>
const [client, url, id] = process.argv.slice(2);
const { followLtm } = await import(client);
const WebSocket = globalThis.WebSocket ?? (await import(new URL('../node_modules/ws/wrapper.mjs', `file://${client}`))).default;

const following = followLtm(url, id, { WebSocket, history: false, backoff: { min: 20, max: 200 } });
following.subscribe(({ cursor, state }, change) => {
  if (change.type !== 'status') {
    console.log(JSON.stringify({ cursor, state, reset: change.type === 'reset' ? change.reason : null }));
  }
});
await following.closed;
