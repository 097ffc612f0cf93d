// Answers of /agui against the rules of ag-ui-validate: it exits with 0 if it finds no error.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";

import { Service, write } from "./service.mjs";
import { record } from "./recorded.mjs";

const service = await Service.start();

function validate(path) {
  const url = `${service.url}/agui/${path}`;
  const child = spawn("ag-ui-validate", [url, "--no-color", "--timeout", "60"], { stdio: ["ignore", "inherit", "inherit"] });
  return once(child, "exit").then(([code]) => assert.equal(code, 0, url));
}

/// Resolves when somebody follows an LTM.
async function followed() {
  for (;;) {
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    if (/^ltm_subscribers [1-9]/m.test(metrics)) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

try {
  const { id } = await service.create({ n: 0, _status: "active" });
  const live = validate(`${id}?steps=1`);
  await followed();
  await write(service, id);
  await live;
  await validate(id);
  await validate(`${id}?after=0&steps=1`);
  const thread = await service.create({ _status: "active", _run: {}, _messages: [] }, { key: "thread-1" });
  const recorded = validate("app.Agent/thread-1");
  await followed();
  await record(service, thread.id);
  await recorded;
  await validate("app.Agent/thread-1");
  await validate(`app.Agent/thread-1?after=${thread.cursor}`);
} finally {
  await service.stop();
}
