import { z } from 'zod'
import type { NodeDescription } from '../../agent/contract.ts'
import type { DocumentError, TextFile } from '../../compile/documents.ts'
import { readTrees } from '../../compile/yaml-tree.ts'
import { fieldError } from '../../model/field-error.ts'
import { inferenceService } from '../../model/kinds/inference-service.ts'
import { queue } from '../../model/kinds/queue.ts'
import { trainingJob } from '../../model/kinds/training-job.ts'
import { schemaErrors } from '../../model/schema-errors.ts'
import type { Performance } from '../work/workload.ts'
import { isFaultKind } from './draw-faults.ts'
import type { Fault, History } from './history.ts'

/** A history that somebody kept, and the seed from which ids and late lines are drawn in it. */
export interface KeptHistory {
  /** What is known of it. */
  what?: string | undefined
  seed: number
  history: History
}

/** Reads what a hunt wrote (`reports/hunt`, `test/seeds`), JSON or YAML. All that is wrong comes back at once. Never throws. */
export function readKeptHistory({ name, text }: TextFile): KeptHistory | { errors: DocumentError[] } {
  const { trees, errors } = readTrees(text)
  if (errors.length > 0) return { errors: errors.map((error) => ({ ...error, file: name })) }
  const [tree] = trees
  if (tree === undefined) return { errors: [{ ...fieldError([], 'holds no history'), file: name, line: 1, column: 1 }] }
  const parsed = kept.safeParse(tree.value)
  if (parsed.success) return parsed.data
  const found = schemaErrors(kept, tree.value, parsed.error.issues, () => false)
  const placed = found.map((error) => ({
    ...error,
    ...tree.positionOf(error.at, error.found === undefined ? 'key' : 'value'),
    file: name,
  }))
  return { errors: placed }
}

const milliseconds = z.number().int().min(0).max(1e15)
const count = z.number().int().min(0).max(1e9)

const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isTime = (value: unknown): boolean => milliseconds.safeParse(value).success

const node = z.custom<NodeDescription>(
  (value) =>
    isFields(value) &&
    typeof value['name'] === 'string' &&
    isFields(value['labels']) &&
    Number.isInteger(value['slots']),
  'must be a node: name, labels and slots at least',
)

const performance = z.custom<Performance>(
  (value) => isFields(value) && isFields(value['training']) && isFields(value['replica']),
  'must say how the work performs: training and replica at least',
)

const fault = z.custom<Fault>(
  (value) => isFields(value) && isTime(value['atMs']) && isTime(value['forMs']) && isFaultKind(value['kind']),
  'must be a fault: atMs, forMs and a kind that this version knows',
)

const history = z
  .strictObject({
    startMs: milliseconds.exactOptional(),
    nodes: z.array(node).min(1).max(1000),
    queues: z.array(queue).max(1000),
    standbys: z.number().int().min(0).max(10),
    leaseSeconds: z.number().int().min(1).max(3600),
    fencing: z.boolean(),
    ledgerEveryMs: milliseconds.exactOptional(),
    history: count,
    delay: z.strictObject({ chance: z.number().min(0).max(1), msMax: milliseconds }),
    arrivals: z
      .array(
        z.discriminatedUnion('kind', [
          z.strictObject({ atMs: milliseconds, performance, kind: z.literal('TrainingJob'), object: trainingJob }),
          z.strictObject({
            atMs: milliseconds,
            performance,
            kind: z.literal('InferenceService'),
            object: inferenceService,
          }),
        ]),
      )
      .max(10_000),
    faults: z.array(fault).max(10_000),
    traffic: z
      .array(
        z.strictObject({
          service: z.string().max(253),
          rate: z.number().gt(0).max(1000),
          burst: z
            .strictObject({ atMs: milliseconds, lastsMs: milliseconds, factor: z.number().min(0).max(10_000) })
            .exactOptional(),
          input: count.min(1),
          output: count.min(1),
        }),
      )
      .max(1000)
      .exactOptional(),
    safetyMs: milliseconds,
  })
  .superRefine(({ nodes, faults }, context) => {
    const names = new Set(nodes.map(({ name }) => name))
    for (const [index, one] of faults.entries())
      if ('node' in one && one.node !== undefined && !names.has(one.node))
        context.addIssue({ code: 'custom', path: ['faults', index, 'node'], message: 'is no node of this history' })
  })

const kept = z.strictObject({
  what: z.string().max(100_000).optional(),
  seed: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  history,
})
