export type { Backoff } from './backoff.js';
export { followLtm, type Following, type FollowOptions } from './follow.js';
export type { Json, Jsonable, JsonInput, JsonObject, Merge, Operation, Patch } from './json.js';
export type { SocketConstructor, SocketLike, SourceConstructor, SourceLike } from './link.js';
export { applyPatch, PatchError } from './patch.js';
export { Problem, type ProblemKind } from './problem.js';
export type { Cursor, Fetch, Id, Ltm, LtmId, Token } from './server.js';
export type { ConnectOptions, Followed } from './session.js';
export type { Change, LtmDocument, LtmError, Rollback, Snapshot, Status, View, ViewFacts } from './view.js';
