export * from './core.js';
export type { CallOptions } from './calls.js';
export type { ListFilter, Row } from './filter.js';
export { followList, type FollowingList, type ListChange, type ListOptions, type ListPage, type ListStatus, type ListView } from './list.js';
export { followMany, type FollowingMany, type ManyOptions } from './many.js';
export { pointerAbove, pointerBelow, pointerKeys, valueAt } from './pointer.js';
export {
  Producer,
  type CreateOptions,
  type ErrorReport,
  type NewLtm,
  type ProducerOptions,
  type RollbackTarget,
  type Step,
  type StepChange,
  type WriteOptions,
} from './producer.js';
export { Reader, type Counts, type ReaderOptions, type StateAt, type WaitFor } from './reader.js';
