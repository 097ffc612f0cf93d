// The runner fits CopilotKit's runtime, and the agent its pages: this has to compile (see runtimes.test.mjs).

import { CopilotRuntime, type AgentRunner } from "@copilotkit/runtime/v2";

import { LtmAgentRunner } from "../../../clients/js/dist/agui/index.js";

const runner: AgentRunner = new LtmAgentRunner({ url: "http://ltm:8000", recorder: "http://ltm-agui:8010" });
export const runtime = new CopilotRuntime({ agents: {}, runner });
