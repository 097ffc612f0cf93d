// A CopilotKit page: its chat, unchanged, and beside it the state of the agent. The address says where the runtime is, or,
// with `self`, where the recorder or the gateway is that an LtmAgent in the page talks to.

import { CopilotChat, CopilotKitProvider, useAgent } from "@copilotkit/react-core/v2";
import { createElement, useMemo } from "react";
import { createRoot } from "react-dom/client";

import { LtmAgent } from "../../../clients/js/dist/agui/index.js";

const { runtime, self, thread } = Object.fromEntries(new URLSearchParams(location.search));
const agentId = "app.Harbours";

function State() {
  const { agent } = useAgent({ agentId });
  window.told = () => ({
    state: agent.state,
    messages: agent.messages.map(({ id, role, content }) => ({ id, role, content })),
    running: agent.isRunning,
  });
  return createElement("pre", { id: "state" }, JSON.stringify(agent.state));
}

function Page() {
  const agents = useMemo(() => (self ? { [agentId]: new LtmAgent({ url: self, fqn: agentId }) } : undefined), []);
  return createElement(
    CopilotKitProvider,
    { ...(self ? { selfManagedAgents: agents } : { runtimeUrl: runtime }), agentId },
    createElement(State),
    createElement(CopilotChat, { agentId, threadId: thread }),
  );
}

createRoot(document.getElementById("page")).render(createElement(Page));
