// Real CopilotKit pages in Chromium, and nothing but ltm-live behind them. Page 1 starts a run and is closed; gateways and
// recorders are killed, as far as the guide promises that a run survives; page 2 knows only the thread id.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { after, before, test } from "node:test";

import { build } from "esbuild";

import { Browser } from "../../../clients/js/test/support/browser.mjs";
import { Service, startRecorder } from "../service.mjs";
import { Agent } from "./agent.mjs";

const fqn = "app.Harbours";
const here = import.meta.dirname;
const resolve = createRequire(import.meta.url).resolve;

let service, agent, browser, undisturbed;
// A run belongs to the recorder that started it; any other serves it, too.
let recorders;
before(async () => {
  const built = await build({
    entryPoints: [`${here}/page.mjs`],
    bundle: true,
    write: false,
    format: "esm",
    define: { "process.env.NODE_ENV": '"production"' },
    loader: { ".css": "empty" },
    // LtmAgent is built for any version of AG-UI's client: here it uses that of CopilotKit.
    alias: { "@ag-ui/client": dirname(dirname(resolve("@ag-ui/client"))), rxjs: dirname(resolve("rxjs/package.json")) },
    logLevel: "error",
  });
  const html = '<!doctype html><title>CopilotKit</title><div id="page"></div><script type="module" src="/page.js"></script>';
  const files = { "page.js": built.outputFiles[0].text, "page.html": html };
  [agent, browser] = await Promise.all([Agent.start(), Browser.start(files)]);
  service = await Service.start(origins());
  recorders = await Promise.all([startOne(), startOne()]);
  undisturbed = await runUndisturbed();
});
after(async () => {
  await browser?.stop();
  for (const recorder of recorders ?? []) await recorder.stop();
  await agent?.stop();
  await service?.stop();
});

const startOne = () => startRecorder(service, { [fqn]: agent.url }, { ...origins(), LTM__AGUI__LEASE: "60s" });
const origins = () => ({ LTM__CORS__ORIGINS: new URL(browser.url).origin });

/// Kills the services, and starts them again at the same address once `meanwhile` has happened.
async function restart(meanwhile) {
  service.process.kill("SIGKILL");
  await service.exited;
  await meanwhile();
  service = await Service.start(origins(), service.data, new URL(service.url).host);
}

async function open(parameters) {
  const page = await browser.context.newPage();
  page.on("pageerror", (error) => { throw error; });
  // The runner of the tests ends a test that waits in vain.
  page.setDefaultTimeout(0);
  await page.goto(`${browser.url}page.html?${new URLSearchParams(parameters)}`);
  return page;
}

/// Types a question, as a user does.
async function ask(page) {
  const input = page.getByTestId("copilot-chat-textarea");
  await input.fill("Which harbours?");
  await input.press("Enter");
}

const sees = (page, count) => page.waitForFunction((count) => window.told?.().state?.harbours?.length === count, count);

/// What a page holds at the end of a run, without the id that it gave its question.
async function told(page) {
  await sees(page, 3);
  await page.waitForFunction(() => !window.told().running);
  const { state, messages } = await page.evaluate(() => window.told());
  await page.getByTestId("copilot-assistant-message").getByText("Lund Oslo Bergen").waitFor();
  return { state, messages: messages.map(({ role, content }) => ({ role, content })) };
}

/// What a page holds after a run without a fault.
async function runUndisturbed() {
  const page = await open({ runtime: `${recorders[0].url}/agui`, thread: "undisturbed" });
  await ask(page);
  const run = await agent.asked();
  run.begin();
  run.finish();
  const end = await told(page);
  await page.close();
  assert.deepEqual(end.messages.map(({ role }) => role), ["user", "assistant"]);
  return end;
}

test("a page with only the thread id ends as an undisturbed run does, whatever was closed and killed", async () => {
  const first = await open({ runtime: `${recorders[0].url}/agui`, thread: "disturbed" });
  await ask(first);
  const run = await agent.asked();
  run.begin();
  await sees(first, 1);
  await first.close();
  // The services die at once, and the recorder that pages use now; the recorder of the run writes on when they are back.
  await restart(async () => {
    await recorders[1].stop("SIGKILL");
    run.visit("Oslo");
  });
  recorders[1] = await startOne();
  const second = await open({ runtime: `${recorders[1].url}/agui`, thread: "disturbed" });
  await sees(second, 2);
  run.visit("Bergen");
  run.end();
  const end = await told(second);
  await second.close();
  assert.deepEqual(end, undisturbed);
});

test("a page with LtmAgent stays open while the services are killed, and misses nothing", async () => {
  const page = await open({ self: recorders[0].url, thread: "watched" });
  await ask(page);
  const run = await agent.asked();
  run.begin();
  await sees(page, 1);
  await restart(() => run.visit("Oslo"));
  await sees(page, 2);
  run.visit("Bergen");
  run.end();
  assert.deepEqual(await told(page), undisturbed);
});
