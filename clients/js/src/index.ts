export type { Backoff } from './backoff.js';
export { followLtm, type Following, type FollowOptions } from './follow.js';
export type { Json, JsonObject, Operation, Patch } from './json.js';
export { applyPatch, PatchError } from './patch.js';
export { Problem } from './problem.js';
export {
  Producer,
  type CreateOptions,
  type ErrorReport,
  type NewLtm,
  type ProducerOptions,
  type RollbackTarget,
  type Step,
  type WriteOptions,
} from './producer.js';
export type { Ltm, Token } from './server.js';
export type { Change, LtmError, Rollback, Snapshot, Status, View } from './view.js';
