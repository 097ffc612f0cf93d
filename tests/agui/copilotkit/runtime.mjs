// A CopilotKit runtime in a process of its own: `node runtime.mjs <services> <recorder>`. Prints where it listens.

import { createServer } from "node:http";

import { HttpAgent } from "@ag-ui/client";
import { CopilotRuntime } from "@copilotkit/runtime/v2";
import { createCopilotNodeListener } from "@copilotkit/runtime/v2/node";

import { LtmAgentRunner } from "../../../clients/js/dist/agui/index.js";

const [url, recorder] = process.argv.slice(2);
const runtime = new CopilotRuntime({
  // The recorder knows where the agent is, and runs it.
  agents: { "app.Harbours": new HttpAgent({ url: "http://127.0.0.1:9" }) },
  runner: new LtmAgentRunner({ url, recorder, backoff: { min: 5, max: 200 } }),
});
const server = createServer(createCopilotNodeListener({ runtime, basePath: "/api/copilotkit", cors: true }));
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/api/copilotkit`));
