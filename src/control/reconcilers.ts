import { createDatasets } from './datasets/datasets.ts'
import { createDrills } from './drills/drills.ts'
import { createBlobSweep, createDroppedCheckpoints } from './garbage/blobs.ts'
import { createHistory, createTtl } from './garbage/history.ts'
import { createNamespaces } from './garbage/namespaces.ts'
import { createOwners } from './garbage/owners.ts'
import { createNodeHealth } from './nodes/health.ts'
import { createPools } from './nodes/pools.ts'
import { createPublishing } from './publishing/publishing.ts'
import type { ReconcilerFactory } from './reconciler.ts'
import { createNodeConditions } from './recovery/node-conditions.ts'
import { createXids } from './recovery/node-xids.ts'
import { createRecovery } from './recovery/recovery.ts'
import { createQueues } from './scheduling/queues.ts'
import { createScheduling } from './scheduling/scheduling.ts'
import { createServing } from './serving/serving.ts'
import { createTraining } from './training/training.ts'

/** Every concern of the control plane. Those that somebody waits for see a change first. */
export const builtInReconcilers: readonly ReconcilerFactory[] = [
  createRecovery,
  createScheduling,
  createTraining,
  createServing,
  createPublishing,
  createNodeHealth,
  createXids,
  createNodeConditions,
  createOwners,
  createNamespaces,
  createHistory,
  createTtl,
  createQueues,
  createPools,
  createDatasets,
  createDrills,
  createDroppedCheckpoints,
  createBlobSweep,
]
