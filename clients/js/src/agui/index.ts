export { LtmAgent, type LtmAgentOptions } from './agent.js';
export { LtmAgentRunner, type LtmAgentRunnerOptions, type RunnerConnect, type RunnerRun } from './runner.js';
export type { RunOptions } from './run.js';
