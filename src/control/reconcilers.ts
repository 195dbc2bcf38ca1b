import type { ReconcilerFactory } from './reconciler.ts'

/** Every concern of the control plane, in the order in which they see a change. */
export const builtInReconcilers: readonly ReconcilerFactory[] = []
