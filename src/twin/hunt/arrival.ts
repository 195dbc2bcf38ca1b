import type { InferenceService } from '../../model/kinds/inference-service.ts'
import type { TrainingJob } from '../../model/kinds/training-job.ts'
import type { Performance } from '../work/workload.ts'

/** A job or a service that somebody applies in a history, and how it will perform. */
export type Arrival = { atMs: number; performance: Performance } & (
  | { kind: 'TrainingJob'; object: TrainingJob }
  | { kind: 'InferenceService'; object: InferenceService }
)
